"""The protocol's arithmetic, under a clock that the tests wind themselves; its table and its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from snellen.bench import protocol
from snellen.bench.protocol import (
    Comparison,
    Conditions,
    Measurement,
    Timing,
    compare,
    conditions_here,
    table,
    time_repeatedly,
)
from snellen.serialize import to_json


class Clock:
    """Stands still until somebody works."""

    def __init__(self) -> None:
        self.now = 100.0
        self.diary: list[str] = []

    def __call__(self) -> float:
        self.diary.append("look")
        return self.now

    def work(self, name: str, *durations: float) -> Callable[[], None]:
        left = iter(durations)

        def subject() -> None:
            self.diary.append(name)
            self.now += next(left)

        return subject

    def synchronize(self) -> None:
        self.diary.append("sync")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    wound = Clock()
    monkeypatch.setattr(protocol, "time", SimpleNamespace(perf_counter=wound))
    return wound


@pytest.fixture
def conditions() -> Conditions:
    return conditions_here(precision="fp32", batch=7)


def test_the_warm_up_is_not_in_the_times(clock: Clock, conditions: Conditions) -> None:
    timing = time_repeatedly(
        clock.work("a", 50, 40, 1, 2, 3), warmup=2, repeats=3, synchronize=clock.synchronize, conditions=conditions,

    )  # fmt: skip
    assert timing.seconds == (1, 2, 3)
    assert timing.n == 3


def test_the_device_is_waited_for_before_each_look_at_the_clock(clock: Clock, conditions: Conditions) -> None:
    time_repeatedly(clock.work("a", 1, 1), warmup=1, repeats=1, synchronize=clock.synchronize, conditions=conditions)
    assert clock.diary == ["a", "sync", "look", "a", "sync", "look"]


def test_median_and_percentiles_interpolate_between_the_repeats(conditions: Conditions) -> None:
    timing = Timing((5.0, 1.0, 2.0, 3.0, 4.0), conditions)
    assert timing.median == 3
    assert timing.p10 == pytest.approx(1.4)
    assert timing.p90 == pytest.approx(4.6)


def test_two_subjects_take_turns(clock: Clock, conditions: Conditions) -> None:
    compare(
        clock.work("a", 1, 1, 1), clock.work("b", 1, 1, 1), warmup=1, repeats=2, synchronize=lambda: None,
        conditions=(conditions, conditions),
    )  # fmt: skip
    assert [entry for entry in clock.diary if entry != "look"] == ["a", "b", "a", "b", "a", "b"]


def test_the_ratio_is_taken_pair_by_pair_so_that_a_slow_spell_cancels(clock: Clock, conditions: Conditions) -> None:
    found = compare(
        clock.work("a", 1, 10, 2), clock.work("b", 3, 30, 6), warmup=0, repeats=3, synchronize=lambda: None,
        conditions=(conditions, conditions),
    )  # fmt: skip
    assert found.ratios == (3, 3, 3)
    assert (found.ratio, found.spread) == (3, (3, 3))
    assert found.a.median == 2
    assert found.b.median == 6


def test_a_ratio_above_one_says_that_the_first_is_faster(conditions: Conditions) -> None:
    assert Comparison(Timing((1.0,), conditions), Timing((4.0,), conditions)).ratio == 4


def test_no_timing_leaves_without_its_conditions(clock: Clock, conditions: Conditions) -> None:
    timing = time_repeatedly(clock.work("a", 1), warmup=0, repeats=1, synchronize=lambda: None, conditions=conditions)
    told = to_json(timing)["conditions"]
    assert {name for name, value in told.items() if value is not None} >= {
        "machine", "device", "threads", "precision", "batch", "torch", "snellen", "load_average",
    }  # fmt: skip
    assert told["batch"] == 7


def test_the_load_is_noted_before_and_after(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    loads = iter([(0.5, 0, 0), (4.25, 0, 0)])
    monkeypatch.setattr("os.getloadavg", lambda: next(loads))
    timing = time_repeatedly(
        clock.work("a", 1), warmup=0, repeats=1, synchronize=lambda: None, conditions=conditions_here()
    )
    assert timing.conditions.load_average == (0.5, 4.25)


def test_a_system_without_a_load_average_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.getloadavg")
    assert conditions_here().load_average == (None, None)


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
