"""What a ladder says about confidence: calibration over seeds, from the same predictions as its accuracies."""

from __future__ import annotations

import json

import pytest

from snellen.ladder.calibration import sureness
from snellen.ladder.plan import Plan
from snellen.ladder.results import results_json, standing_of
from snellen.ladder.table import markdown
from snellen.metrics.calibration import expected_calibration_error
from snellen.predict.predictions import Predictions


def answers_of(plan: Plan, rung: int) -> list[Predictions]:
    return [
        Predictions.load(plan.folder / plan.run_name(plan.rungs[rung], seed) / "predictions_val.npz")
        for seed in plan.seeds
    ]


def test_it_is_the_mean_over_the_rungs_own_runs(climbed: Plan) -> None:
    answers = answers_of(climbed, 1)
    found = sureness(answers)
    assert found is not None
    assert found.ece.mean == pytest.approx(sum(map(expected_calibration_error, answers)) / len(answers))
    assert found.ece.n == len(climbed.seeds)
    assert 0 < found.null < 1


def test_a_rung_without_answers_has_none() -> None:
    assert sureness([]) is None


def test_the_table_and_the_file_hold_a_row_for_each_rung(climbed: Plan) -> None:
    standing = standing_of(climbed)
    page = markdown(standing)
    first = standing.sureness[0]
    assert first is not None
    assert "## Confidence" in page
    assert f"| {100 * first.null:.2f} |" in page
    assert len(json.loads(json.dumps(results_json(standing)))["confidence"]) == len(climbed.rungs)
