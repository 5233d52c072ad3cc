"""What a ladder says about confidence: calibration over seeds, from the same predictions as its accuracies."""

from __future__ import annotations

import json

import pytest

from snellen.ladder.results import calibration_of, read_results, results_json
from snellen.ladder.rungs import Plan
from snellen.ladder.table import markdown
from snellen.metrics.calibration import expected_calibration_error
from snellen.predict.predictions import Predictions


def answers_of(plan: Plan, rung: int) -> list[Predictions]:
    return [
        Predictions.load(plan.folder / plan.run_name(plan.rungs[rung], seed) / "predictions_val.npz")
        for seed in plan.seeds
    ]


def test_it_is_the_mean_over_the_rungs_own_runs(finished_ladder: Plan) -> None:
    answers = answers_of(finished_ladder, 1)
    found = calibration_of(answers)
    assert found is not None
    assert found.ece.mean == pytest.approx(sum(map(expected_calibration_error, answers)) / len(answers))
    assert found.ece.n == len(finished_ladder.seeds)
    assert 0 < found.null < 1


def test_a_rung_without_answers_has_none() -> None:
    assert calibration_of([]) is None


def test_the_table_and_the_file_hold_a_row_for_each_rung(finished_ladder: Plan) -> None:
    results = read_results(finished_ladder)
    page = markdown(results)
    first = results.calibration[0]
    assert first is not None
    assert "## Calibration" in page
    assert f"| {100 * first.null:.2f} |" in page
    assert len(json.loads(json.dumps(results_json(results)))["calibration"]) == len(finished_ladder.rungs)
