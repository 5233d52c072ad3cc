"""A line of a benchmark: its table and its JSON."""

from __future__ import annotations

import json

from snellen.bench.protocol import Measurement, Timing, conditions_here, table
from snellen.serialize import to_json


def line(case: str, **figures: float | None) -> Measurement:
    return Measurement("step", case, figures, conditions_here(precision="fp32", batch=8))


def test_a_cell_that_was_not_measured_says_so() -> None:
    (_, row, *_) = table([line("a", rate=None, seconds=1234.4)]).splitlines()
    assert row.split() == ["a", "not", "measured", "1,234"]


def test_numbers_are_shown_to_three_digits_and_zero_as_zero() -> None:
    (_, row, *_) = table([line("a", one=0.012345, two=12.345, three=123.45, four=0.0)]).splitlines()
    assert row.split() == ["a", "0.0123", "12.3", "123.5", "0"]


def test_lines_with_other_figures_get_a_table_of_their_own() -> None:
    text = table([line("a", x=1.0), line("b", x=2.0), line("c", y=3.0)])
    headers = [row.split() for row in text.splitlines() if row.startswith("step")]
    assert headers == [["step", "x"], ["step", "y"]]


def test_every_table_names_its_machine_and_load() -> None:
    conditions = conditions_here()
    text = table([line("a", x=1.0), line("c", y=3.0)])
    assert text.count(conditions.machine) == 2
    assert text.count(f"torch {conditions.torch}") == 2
    assert text.count("load up to") == 2


def test_a_note_stands_below_its_table() -> None:
    noted = Measurement("step", "a", {"x": None}, conditions_here(), note="no such kernel.")
    assert "  a: no such kernel." in table([noted]).splitlines()


def test_the_json_has_conditions_timing_and_figures() -> None:
    conditions = conditions_here(batch=3)
    told = to_json(Measurement("s", "c", {"x": 2.0}, conditions, Timing((2.0, 4.0), conditions)))
    assert json.loads(json.dumps(told))["conditions"]["batch"] == 3
    assert told["timing"]["median"] == 3
    assert told["timing"]["conditions"] == told["conditions"]
    assert told["comparison"] is None
