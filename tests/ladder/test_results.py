"""Where a ladder stands: read from disk, pairs pooled over seeds, test opened in one declared look."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from snellen.data.ledger import Ledger
from snellen.errors import RunError, UsageError
from snellen.evaluate.test_set import TestEvaluation, evaluate_on_test, ledger_of
from snellen.ladder import results as results_file
from snellen.ladder.results import open_test, pooled_pairs, read_results, results_json
from snellen.ladder.rungs import Plan
from snellen.metrics.confusion import ConfusedPair
from snellen.metrics.intervals import Rate, level_among, mean_over_seeds, paired_difference_over_seeds
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
            graded = info["val"]["accuracy"]
            assert seed.accuracy == Rate(graded["hits"], graded["n"], best_of=2)  # of its two epochs
            assert (seed.seed, seed.best_epoch, seed.seconds) == (info["seed"], info["best_epoch"], info["seconds"])
    assert results.graded == 2 * 30
    assert results.top == finished_ladder.rungs[1].name
    assert [len(curve.journals) for curve in results.curves] == [2, 2]


def test_the_ten_worst_pairs_are_in_the_file(finished_ladder: Plan) -> None:
    pairs = tuple(ConfusedPair("cat", f"dog {number}", 20 - number, 0, 0.05, Rate(1, 20)) for number in range(12))
    top = results_json(dataclasses.replace(read_results(finished_ladder), pairs=pairs))["top"]
    assert [pair["second"] for pair in top["worst_pairs"]] == [pair.second for pair in pairs[:10]]


def test_what_diverged_counts_nowhere_and_has_no_grade(own_ladder: Plan) -> None:
    for seed, pooled in ((1, 30), (0, 0)):
        Run(own_ladder.folder / own_ladder.run_name(own_ladder.rungs[1], seed)).update_info(status="diverged")
        results = read_results(own_ladder)
        assert results.rungs[1].seeds[seed].accuracy is results.rungs[1].seeds[seed].last_accuracy is None
        assert results.rungs[1].accuracy is None
        assert (results.graded, bool(results.calibration[1])) == (pooled, pooled > 0)
        assert results.calibration[0] is not None
    with pytest.raises(UsageError, match="crop-and-flip-s0, crop-and-flip-s1 diverged and has no grade"):
        open_test(own_ladder, device="cpu")


def test_every_grade_of_the_look_stands_at_its_rung_as_wide_as_the_look_asks(
    finished_ladder: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [finished_ladder.run_name(rung, seed) for rung in finished_ladder.rungs for seed in (0, 1)]
    answers = {}
    for name, plain, averaged in zip(names, ([0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0] * 4), range(4), strict=True):
        logits = np.eye(3, dtype=np.float32)[[0] * averaged + [1] * (4 - averaged)]
        answers[name] = dataclasses.replace(predictions([0] * 4, plain), tta="flip", tta_logits=logits)
    asked: dict[str, object] = {}

    def looked(runs: list[Run], ledger: Ledger, **options: object) -> TestEvaluation:
        asked.update(options, names=[run.name for run in runs])
        return TestEvaluation(tuple(names[::-1]), tuple(answers[name] for name in names[::-1]), 3, False, ledger.path)

    monkeypatch.setattr(results_file, "evaluate_on_test", looked)
    monkeypatch.setattr(results_file, "complete_pictures", lambda runs, look: asked.update(pictured=len(runs)))
    found = open_test(finished_ladder, ledger=tmp_path / "own.jsonl", data=tmp_path, device="cuda")
    assert asked == {
        "names": names, "pictured": 4, "reason": "ladder tiny: 2 rungs x 2 seeds, all reported", "data": tmp_path,
        "device": "cuda", "comparison": True,
    }  # fmt: skip
    over_seeds = partial(mean_over_seeds, level=level_among(3))
    assert found.accuracy == (over_seeds([0.25, 0.5]), over_seeds([0.75, 1.0]))
    assert found.with_tta == (over_seeds([0.0, 0.25]), over_seeds([0.5, 0.75]))
    lift = paired_difference_over_seeds([0.25, 0.5], [0.75, 1.0], level=level_among(3))
    assert found.differences == (None, lift)
    assert (found.tta, found.images, found.look, found.ledger) == ("flip", 4, 3, tmp_path / "own.jsonl")


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
