"""Each mistake that a guard is there for, really made: the guard notices, and docs/gotchas.md shows what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.guards.mistakes import MISTAKES

from snellen.guards.guard import GUARDS

GOTCHAS = Path(__file__).parents[2] / "docs" / "gotchas.md"
TRAINED = {"stuck-at-chance", "overfit-gap", "class-answers", "initial-loss", "repeatable-evaluation", "finite-loss"}
"""Their figures come out of a network and may differ in the last digits between processors."""


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_trips_its_own_guard_as_the_docs_say(name):
    result = MISTAKES[name].make()
    assert (result.name, result.passed) == (name, False)
    section = GOTCHAS.read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert f"mistake  {MISTAKES[name].sentence}\n" in section
    if name not in TRAINED:
        assert result.evidence in section
    if name not in TRAINED - {"finite-loss"}:
        assert result.remedy in section


def test_there_is_a_mistake_for_every_guard_in_the_same_order():
    assert list(MISTAKES) == list(GUARDS)
