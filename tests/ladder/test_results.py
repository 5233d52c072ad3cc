"""Where a ladder stands: read from disk, pairs pooled over seeds, test opened in one declared look."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from snellen.data.ledger import Ledger
from snellen.errors import RunError, UsageError
from snellen.evaluate.test_set import evaluate_on_test, ledger_of
from snellen.ladder.results import open_test, pooled_pairs, read_results, results_json
from snellen.ladder.rungs import Plan
from snellen.metrics.confusion import ConfusedPair
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run, open_run


def predictions(labels: list[int], answers: list[int]) -> Predictions:
    logits = np.eye(3, dtype=np.float32)[answers]
    return Predictions(
        logits, np.array(labels), np.arange(len(labels)), ("cat", "deer", "dog"), "val", data="made"
    )  # fmt: skip


def test_pairs_are_added_over_seeds() -> None:
    first, second = predictions([0, 0, 2, 1], [2, 0, 2, 0]), predictions([0, 0, 2, 1], [2, 2, 0, 1])
    pairs, graded = pooled_pairs([first, second])
    assert [(pair.first, pair.second, pair.first_as_second, pair.second_as_first) for pair in pairs] == [
        ("cat", "dog", 3, 1),
        ("cat", "deer", 0, 1),
    ]
    assert graded == 8


def test_the_table_holds_what_the_runs_hold(finished_ladder: Plan) -> None:
    results = read_results(finished_ladder)
    for rung in results.rungs:
        for seed in rung.seeds:
            info = open_run(finished_ladder.folder / seed.run).info
            assert seed.accuracy is not None
            assert seed.accuracy.value == info["val"]["accuracy"]["value"]
    assert results.graded == 2 * 30
    assert results.top == finished_ladder.rungs[1].name
    assert [len(curve.journals) for curve in results.curves] == [2, 2]


def test_the_ten_worst_pairs_are_in_the_file(finished_ladder: Plan) -> None:
    pairs = tuple(ConfusedPair("cat", f"dog {number}", 20 - number, 0, 0.05, Rate(1, 20)) for number in range(12))
    top = results_json(dataclasses.replace(read_results(finished_ladder), pairs=pairs))["top"]
    assert [pair["second"] for pair in top["worst_pairs"]] == [pair.second for pair in pairs[:10]]


def test_an_unfinished_run_gives_no_table(own_ladder: Plan) -> None:
    Run(own_ladder.folder / own_ladder.run_name(own_ladder.rungs[1], 1)).update_info(status="training")
    with pytest.raises(RunError, match="crop-and-flip-s1 is not finished"):
        read_results(own_ladder)


@pytest.mark.usefixtures("small_eyechart")
def test_test_is_opened_once_for_all_rungs_in_the_ledger_of_all_runs(own_ladder: Plan) -> None:
    ledger = Ledger(own_ladder.folder.parent / "ledger.jsonl")
    column = open_test(own_ladder, device="cpu")
    intent, result = ledger.lines()
    assert (intent.kind, result.kind) == ("intent", "result")
    declared = {(candidate["recipe"], candidate["seed"]) for candidate in intent.content["candidates"]}
    assert len(declared) == len(intent.content["candidates"]) == 4
    assert (column.look, column.repeated, column.images) == (1, False, 60)
    hits = {entry["run"]: entry["hits"] for entry in result.content["results"]}
    for rung, summary in zip(own_ladder.rungs, column.accuracy, strict=True):
        assert summary.mean == pytest.approx(sum(hits[own_ladder.run_name(rung, seed)] for seed in (0, 1)) / 120)
    again = open_test(own_ladder, device="cpu")
    assert (again.look, again.repeated, len(ledger.lines())) == (1, True, 2)
    assert again.accuracy == column.accuracy


@pytest.mark.usefixtures("small_eyechart")
def test_outside_a_declared_comparison_one_look_still_grades_one_recipe(own_ladder: Plan) -> None:
    runs = [open_run(own_ladder.folder / own_ladder.run_name(rung, 0)) for rung in own_ladder.rungs]
    with pytest.raises(UsageError, match="One look grades one recipe"):
        evaluate_on_test(runs, ledger_of(runs[0]), reason="all", device="cpu")
    assert not list(own_ladder.folder.parent.rglob("ledger.jsonl"))


def test_a_single_run_of_a_ladder_writes_into_the_ledger_of_all_runs(own_ladder: Plan) -> None:
    run = open_run(own_ladder.folder / own_ladder.run_name(own_ladder.rungs[0], 0))
    assert ledger_of(run).path == own_ladder.folder.parent.resolve() / "ledger.jsonl"


def test_the_last_epoch_is_the_last_also_where_another_is_the_best(own_ladder: Plan) -> None:
    run = Run(own_ladder.folder / own_ladder.run_name(own_ladder.rungs[0], 0))
    rows = run.journal.rows()
    run.journal.path.unlink()
    for row, value in zip(rows, (0.9, 0.2), strict=True):
        run.journal.append(row | {"val/accuracy": value})
    assert read_results(own_ladder).rungs[0].seeds[0].last_accuracy == 0.2
