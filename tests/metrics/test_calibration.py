from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from snellen.errors import UsageError
from snellen.metrics import calibration as calibration_file
from snellen.metrics.calibration import (
    adaptive_calibration_error,
    calibration,
    confidences,
    expected_calibration_error,
    null_ece,
    reliability_bins,
)
from snellen.metrics.intervals import Rate, bootstrap_interval
from snellen.serialize import to_json


def test_ninety_percent_sure_but_half_right_is_an_error_of_point_four(votes, monkeypatch):
    overconfident = votes([0, 0, 0, 0], [0, 0, 1, 1], 2)
    assert expected_calibration_error(overconfident) == pytest.approx(0.4)
    monkeypatch.setattr(calibration_file, "_BINS", 2)
    assert adaptive_calibration_error(overconfident) == pytest.approx(0.5 * 0.1 + 0.5 * 0.9)


def test_a_bin_holds_its_upper_edge_and_the_last_holds_full_certainty(answers, monkeypatch):
    monkeypatch.setattr(calibration_file, "_BINS", 2)
    bins = reliability_bins(answers([[0.5, 0.5], [0.51, 0.49], [1.0, 0.0]], [0, 1, 0]))
    assert [row.count for row in bins] == [1, 2]
    assert [(row.low, row.high) for row in bins] == [(0.0, 0.5), (0.5, 1.0)]
    assert bins[1].accuracy == Rate(1, 2)


def test_an_empty_bin_has_no_accuracy(answers):
    first = reliability_bins(answers([[0.9, 0.1]], [0]))[0]
    assert (first.count, first.confidence, first.accuracy) == (0, None, None)


@given(st.integers(0, 10**6), st.integers(1, 300), st.sampled_from([0.5, 1.0, 2.0]))
@settings(max_examples=40, deadline=None)
def test_the_error_equals_torchmetrics(simulated, seed, n, overconfidence):
    predictions = simulated(n, seed=seed, overconfidence=overconfidence)
    probabilities = torch.from_numpy(predictions.probabilities)
    expected = multiclass_calibration_error(probabilities, torch.from_numpy(predictions.labels), 10, n_bins=15)
    assert expected_calibration_error(predictions) == pytest.approx(expected.item(), abs=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 80))
@settings(max_examples=40, deadline=None)
def test_the_error_lies_between_the_plain_gap_and_1_and_ignores_the_order(simulated, seed, n):
    predictions = simulated(n, classes=4, seed=seed)
    error = expected_calibration_error(predictions)
    gap = abs(confidences(predictions).mean() - predictions.correct.mean())
    assert gap - 1e-12 <= error <= 1
    assert gap - 1e-12 <= adaptive_calibration_error(predictions) <= 1
    rows = reliability_bins(predictions)
    by_hand = sum(row.count * abs(row.confidence - row.accuracy.value) for row in rows if row.count) / n
    assert error == pytest.approx(by_hand)


def test_adaptive_bins_hold_equally_many_images(simulated):
    predictions = simulated(601, seed=6)
    order = np.argsort(confidences(predictions), kind="stable")
    gaps = (predictions.correct - confidences(predictions))[order]
    pieces = np.split(gaps, [int(np.ceil(601 * b / 15)) for b in range(1, 15)])
    assert {len(piece) for piece in pieces} == {40, 41}
    assert adaptive_calibration_error(predictions) == pytest.approx(sum(abs(piece.sum()) for piece in pieces) / 601)


def test_equally_sure_images_stay_in_order_in_adaptive_bins(votes):
    labels = [0] * 10 + [1] * 2 + [0] * 300 + [1] * 288
    equal = votes([0] * 600, labels, 2)
    gaps = [abs(sum((label == 0) - 0.9 for label in labels[at : at + 40])) for at in range(0, 600, 40)]
    assert adaptive_calibration_error(equal) == pytest.approx(sum(gaps) / 600)


def test_a_calibrated_model_shows_about_the_null_value_and_an_overconfident_one_exceeds_it(simulated):
    honest, boastful, timid = (
        calibration(simulated(4000, seed=7, overconfidence=factor), draws=200) for factor in (1.0, 2.0, 0.5)
    )
    assert honest.ece < honest.null.percentile_95
    assert honest.low == 0
    assert not honest.distinguishable
    assert boastful.distinguishable
    assert boastful.low > boastful.null.percentile_95
    assert boastful.mean_confidence > boastful.accuracy.value
    assert "overconfident" in str(boastful)
    assert "underconfident" in str(timid)
    assert "not told apart" in str(honest)


def test_the_interval_reaches_0_wherever_perfect_calibration_is_not_excluded(simulated):
    reports = [calibration(simulated(300, seed=seed, overconfidence=1.1), draws=60) for seed in range(20)]
    assert {report.distinguishable for report in reports} == {False, True}
    for report in reports:
        assert report.distinguishable or report.low == 0
        assert report.low <= report.ece <= report.high


def test_interval_and_null_value_are_those_of_as_many_draws_as_asked_for(simulated):
    predictions = simulated(60, seed=3, overconfidence=4.0)
    found = calibration(predictions, draws=30)
    expected = bootstrap_interval(
        lambda at: expected_calibration_error(predictions.take(at)), 60, draws=30, method="basic"
    )
    assert found.distinguishable
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.null == null_ece(confidences(predictions), draws=30)


def test_who_is_certain_and_right_is_not_called_miscalibrated(answers):
    certain = calibration(answers([[1.0, 0.0]] * 9, [0] * 9), draws=20)
    assert (certain.ece, certain.null.percentile_95, certain.distinguishable) == (0, 0, False)


def test_the_null_value_is_the_mean_error_of_models_whose_confidences_are_true(simulated):
    errors = [expected_calibration_error(simulated(400, seed=seed)) for seed in range(100)]
    null = null_ece(confidences(simulated(400, seed=0)), draws=300)
    assert null.mean == pytest.approx(np.mean(errors), rel=0.08)
    assert null.percentile_95 == pytest.approx(np.quantile(errors, 0.95), rel=0.15)


def test_the_null_value_shrinks_with_the_root_of_n(simulated):
    small, large = (null_ece(confidences(simulated(n, seed=8)), draws=150).mean for n in (500, 8000))
    assert small / large == pytest.approx(4, rel=0.15)


def test_the_interval_holds_the_true_error_in_most_splits(simulated):
    truth = expected_calibration_error(simulated(200_000, seed=9, overconfidence=1.3))
    reports = [calibration(simulated(500, seed=seed, overconfidence=1.3), draws=100) for seed in range(40)]
    assert np.mean([report.low <= truth <= report.high for report in reports]) >= 0.85


def test_the_report_is_json_without_nan(simulated):
    written = json.loads(json.dumps(to_json(calibration(simulated(50), draws=20)), allow_nan=False))
    assert len(written["bins"]) == 15
    assert written["null"]["mean"] < written["null"]["percentile_95"]


def test_images_without_labels_are_refused(votes):
    with pytest.raises(UsageError, match="no label"):
        calibration(votes([0], [-1], 2))
