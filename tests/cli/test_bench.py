"""`snellen bench`: a table with conditions, a file, and no option without effect."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snellen.bench import process, step
from snellen.bench.catalog import Settings
from snellen.bench.protocol import Measurement, conditions_here
from snellen.errors import InvalidSetting

Snellen = Callable[..., Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings with which subjects were measured; each gives one line at once."""
    given: list[Settings] = []

    def measure(settings: Settings) -> Iterator[Measurement]:
        given.append(settings)
        yield Measurement("step", "a case", {"images/s": 1234.0, "ms/step": None}, conditions_here(batch=5))

    monkeypatch.setattr(step, "measure", measure)
    monkeypatch.setattr(process, "measure_import", measure)
    return given


def test_it_prints_a_table_with_its_conditions(snellen: Snellen, asked: list[Settings]) -> None:
    answer = snellen("bench", "step")
    assert (answer.code, answer.err) == (0, "")
    header, row, conditions, *_ = answer.out.splitlines()
    assert header.split() == ["step", "images/s", "ms/step"]
    assert row.split() == ["a", "case", "1,234", "not", "measured"]
    assert conditions_here().machine in conditions
    assert [(one.device, one.quick, one.recipe) for one in asked] == [("auto", False, None)]


def test_json_has_the_environment_and_conditions_of_every_line(snellen: Snellen, asked: list[Settings]) -> None:
    told = snellen("bench", "step", "import", "--json", "--quick").json
    assert told["environment"]["packages"]["torch"]
    assert told["quick"] is True
    assert [line["conditions"]["batch"] for line in told["measurements"]] == [5, 5]


def test_out_keeps_the_same_in_a_file(snellen: Snellen, asked: list[Settings], tmp_path: Path) -> None:
    snellen("bench", "step", "--out", tmp_path / "deep" / "speed.json")
    kept = json.loads((tmp_path / "deep" / "speed.json").read_text(encoding="utf-8"))
    assert [line["case"] for line in kept["measurements"]] == ["a case"]


def test_what_was_measured_before_a_failure_is_kept(
    snellen: Snellen, asked: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(settings: Settings) -> Iterator[Measurement]:
        raise InvalidSetting("the second subject cannot be measured.")

    monkeypatch.setattr(process, "measure_import", broken)
    answer = snellen("bench", "step", "import", "--out", tmp_path / "speed.json")
    assert answer.code == 2
    assert len(json.loads((tmp_path / "speed.json").read_text())["measurements"]) == 1


def test_quick_says_that_its_numbers_are_not_for_publication(snellen: Snellen, asked: list[Settings]) -> None:
    assert "Quick: small sizes and few repeats." in snellen("bench", "step", "--quick").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stepp"], "Unknown subject 'stepp'. Did you mean 'step'?"),
        (["step", "--dataset", "eyechart"], "--dataset has no effect on step"),
        (["step", "--recipe", "sprnt"], "Did you mean 'sprint'?"),
        (["step", "--device", "abacus"], "--device abacus is not available here"),
        (["step", "--out", "speed.txt"], "is not a .json file"),
        (["memory", "--dataset", "cifar"], "Did you mean 'cifar10'?"),
    ],
)
def test_what_cannot_be_is_one_sentence_before_anything_is_measured(
    snellen: Snellen, arguments: list[str], sentence: str
) -> None:
    answer = snellen("bench", *arguments)
    assert answer.code == 2
    assert sentence in answer.sentence
