"""What a ladder says about confidence: calibration over seeds, from the same predictions as its accuracies."""

from __future__ import annotations

import json
from statistics import fmean

from snellen.ladder.results import calibration_of, read_results, results_json
from snellen.ladder.rungs import Plan
from snellen.ladder.table import markdown
from snellen.metrics.calibration import confidences, expected_calibration_error, fit_temperature, null_ece
from snellen.metrics.intervals import mean_over_seeds
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
    fits = [fit_temperature(one) for one in answers]
    assert found.ece == mean_over_seeds(list(map(expected_calibration_error, answers)))
    assert found.temperature == mean_over_seeds([fit.temperature for fit in fits])
    assert found.ece_after == mean_over_seeds([fit.ece_after for fit in fits])
    assert found.nll == mean_over_seeds([fit.nll_before for fit in fits])
    assert found.null == fmean(null_ece(confidences(one), draws=200).mean for one in answers)


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
