"""What stands behind a run's numbers is its own: the looks at its weights, its verdicts, its journal."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from snellen.data.ledger import Ledger, Line
from snellen.metrics.classification import smoothing_floor
from snellen.report import record
from snellen.report.record import graded_on_test, looks, record_json
from snellen.runs.run import Run


class Written(Ledger):
    """A ledger of these lines, the intents numbered from 1."""

    def __init__(self, *lines: Line) -> None:
        super().__init__(Path("unread.jsonl"))
        self.written = list(lines)

    def lines(self) -> list[Line]:
        return self.written

    def look_numbers(self) -> dict[str, int]:
        return {line.hash: n for n, line in enumerate((each for each in self.written if each.kind == "intent"), 1)}


def intent(name: str, *weights: str, test_set: str = "eyechart", intact: bool = True) -> Line:
    about = {"time": f"at {name}", "reason": f"for {name}", "tta": "flip", "test_set": {"name": test_set}}
    return Line(
        {"hash": name, "kind": "intent", **about, "candidates": [{"weights": each} for each in weights]}, intact
    )


def result(of: str, *weights: str, intact: bool = True) -> Line:
    results = [{"weights": each, "n": 60, "hits": n, "hits_tta": n + 1, "more": 0} for n, each in enumerate(weights)]
    return Line({"hash": f"result of {of}", "kind": "result", "intent": of, "results": results}, intact)


@pytest.fixture
def run(own_run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run on the eye chart whose weights are called "own"."""
    monkeypatch.setattr(record, "weights_hash", lambda run: "own")
    return own_run


def test_the_looks_are_those_at_these_weights_on_this_data_with_what_each_showed(run: Run) -> None:
    ledger = Written(
        intent("elsewhere", "own", test_set="cifar10"),
        intent("others", "x", "y"),
        intent("first", "own"),
        result("first", "own"),
        result("others", "x", "y"),
        intent("among others", "x", "own"),
        result("among others", "x", "own"),
        intent("stopped", "own", "x"),
        intent("without it", "own", "x"),
        result("without it", "x"),
    )
    found = looks(run, ledger)
    assert [(each["look"], each["time"], each["reason"], each["tta"], each["intact"]) for each in found] == [
        (n, f"at {name}", f"for {name}", "flip", True)
        for n, name in ((3, "first"), (4, "among others"), (5, "stopped"), (6, "without it"))
    ]
    assert [each["result"] for each in found] == [
        {"n": 60, "hits": 0, "hits_tta": 1}, {"n": 60, "hits": 1, "hits_tta": 2}, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "its_result", "graded"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_a_look_counts_where_its_line_and_its_result_are_as_they_were_written(
    run: Run, line: bool, its_result: bool, graded: bool
) -> None:
    ledger = Written(intent("a", "own", intact=line), result("a", "own", intact=its_result), intent("b", "own"))
    assert [each["intact"] for each in looks(run, ledger)] == [graded, True]
    assert not graded_on_test(run, ledger)  # there are no answers
    (run.folder / "predictions_test.npz").touch()
    assert graded_on_test(run, ledger) == graded
    assert not graded_on_test(run, Written(intent("b", "own")))


def test_of_its_files_the_numbers_and_verdicts_are_told_and_what_is_missing_is_none(run: Run) -> None:
    about: dict[str, Any] = {"passed": True, "evidence": "1", "remedy": "", "severity": "error"}
    guards = {"run": [{"name": "a", **about, "more": 1}, {"passed": False}, "odd"], "version": 3}
    (run.folder / "guards.json").write_text(json.dumps(guards))
    content = record_json(run, Written())
    assert content["guards"] == [{"name": "a", **about}]
    (run.folder / "guards.json").unlink()
    again = record_json(run, Written())
    assert (again["guards"], again["robustness"], again["ledger"]) == (None, None, [])
    assert content["loss_floor"] == smoothing_floor(0.1, 10) > 0
    rows = run.journal.rows()
    assert [row["epoch"] for row in content["journal"]] == [row["epoch"] for row in rows]
    assert all(
        isinstance(value, int | float) and not math.isnan(value) for row in content["journal"] for value in row.values()
    )
    assert record._numbers({"a": 1, "b": math.nan, "c": "x", "d": 0.5}) == {"a": 1, "d": 0.5}
    for name in ("seed", "final", "device", "precision", "status", "best_epoch", "seconds"):
        assert content[name] == run.info[name]
