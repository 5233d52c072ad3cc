from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_f1_score

from snellen.errors import UsageError
from snellen.metrics.classification import (
    accuracy,
    balanced_accuracy,
    brier_score,
    class_scores,
    hard_cross_entropy,
    image_losses,
    macro_f1,
    majority_baseline,
    never_predicted,
    smoothing_floor,
    top_k_accuracy,
)
from snellen.metrics.intervals import Rate
from snellen.serialize import to_json


def test_three_of_four_right_is_a_rate_of_three_in_four(votes):
    assert accuracy(votes([0, 1, 1, 2], [0, 1, 2, 2], 3)) == Rate(3, 4)


def test_class_scores_worked_by_hand_have_none_where_nothing_can_be_said(votes):
    # a: 2 images, 1 found; b: answered 3 times, right once; c: 1 image, missed; d: absent, answered once.
    rows = class_scores(votes([0, 1, 1, 1, 3], [0, 0, 1, 2, 1], 5))
    assert rows[0].recall == Rate(1, 2)
    assert rows[0].precision == Rate(1, 1)
    assert rows[0].f1 == pytest.approx(2 / 3)
    assert (rows[1].recall, rows[1].precision) == (Rate(1, 2), Rate(1, 3))
    assert (rows[2].recall, rows[2].precision, rows[2].f1) == (Rate(0, 1), None, 0.0)
    assert (rows[3].recall, rows[3].precision, rows[3].f1) == (None, Rate(0, 1), 0.0)
    assert (rows[4].recall, rows[4].precision, rows[4].f1) == (None, None, None)
    assert to_json(rows[4])["recall"] is None


def test_scores_equal_scikit_learns(simulated):
    predictions = simulated(500, classes=6, seed=1)
    truth, answer = predictions.labels, predictions.predicted
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(truth, answer)
    rows = class_scores(predictions)
    assert [row.precision.value for row in rows] == pytest.approx(list(precision))
    assert [row.recall.value for row in rows] == pytest.approx(list(recall))
    assert [row.f1 for row in rows] == pytest.approx(list(f1))
    assert [row.support for row in rows] == list(support)
    assert accuracy(predictions).value == sklearn_metrics.accuracy_score(truth, answer)
    assert balanced_accuracy(predictions) == pytest.approx(sklearn_metrics.balanced_accuracy_score(truth, answer))
    assert macro_f1(predictions) == pytest.approx(sklearn_metrics.f1_score(truth, answer, average="macro"))
    assert hard_cross_entropy(predictions) == pytest.approx(
        sklearn_metrics.log_loss(truth, predictions.probabilities, labels=range(6))
    )
    brier = sklearn_metrics.brier_score_loss(truth, predictions.probabilities, labels=range(6), scale_by_half=False)
    assert brier_score(predictions) == pytest.approx(brier)


def test_scores_equal_torchmetrics(simulated):
    predictions = simulated(400, classes=7, seed=2)
    logits, labels = torch.from_numpy(predictions.logits), torch.from_numpy(predictions.labels)
    assert macro_f1(predictions) == pytest.approx(multiclass_f1_score(logits, labels, 7, average="macro").item())
    assert balanced_accuracy(predictions) == pytest.approx(multiclass_accuracy(logits, labels, 7).item())
    for k in (1, 3, 5):
        expected = multiclass_accuracy(logits, labels, 7, top_k=k, average="micro").item()
        assert top_k_accuracy(predictions, k).value == pytest.approx(expected)


@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(3, 8))
@settings(max_examples=60, deadline=None)
def test_also_where_classes_are_absent_scores_equal_scikit_learns_and_torchmetrics(simulated, seed, n, classes):
    predictions = simulated(n, classes=classes, seed=seed)
    truth, answer, every = predictions.labels, predictions.predicted, range(classes)
    expected = sklearn_metrics.precision_recall_fscore_support(truth, answer, labels=every, zero_division=np.nan)
    for rates, theirs in zip(zip(*_per_class(predictions), strict=True), expected, strict=True):
        np.testing.assert_allclose(np.array(rates, dtype=float), theirs, rtol=1e-12)
    occur, either = np.unique(truth), np.union1d(truth, answer)
    recall = sklearn_metrics.recall_score(truth, answer, labels=occur, average="macro")
    assert balanced_accuracy(predictions) == pytest.approx(recall)
    assert macro_f1(predictions) == pytest.approx(
        sklearn_metrics.f1_score(truth, answer, labels=either, average="macro")
    )
    assert accuracy(predictions).value == sklearn_metrics.accuracy_score(truth, answer)
    assert hard_cross_entropy(predictions) == pytest.approx(
        sklearn_metrics.log_loss(truth, predictions.probabilities, labels=every)
    )
    logits, labels = torch.from_numpy(predictions.logits), torch.from_numpy(truth)
    for k in range(1, classes + 1):
        theirs = multiclass_accuracy(logits, labels, classes, top_k=k, average="micro").item()
        assert top_k_accuracy(predictions, k).value == pytest.approx(theirs)


def _per_class(predictions):
    """precision, recall, f1 and support of each class; None where nothing can be said."""
    for row in class_scores(predictions):
        yield row.precision and row.precision.value, row.recall and row.recall.value, row.f1, row.support


def test_the_loss_equals_torch(simulated):
    predictions = simulated(300, seed=3)
    logits, labels = torch.from_numpy(predictions.logits).double(), torch.from_numpy(predictions.labels)
    assert hard_cross_entropy(predictions) == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item())


@pytest.mark.parametrize(("smoothing", "classes", "floor"), [(0.1, 10, 0.5003), (0.0, 10, 0.0), (0.2, 2, 0.3251)])
def test_the_smoothed_loss_has_a_floor_at_the_entropy_of_its_targets(smoothing, classes, floor):
    assert smoothing_floor(smoothing, classes) == pytest.approx(floor, abs=5e-5)
    target = torch.full((1, classes), smoothing / classes)
    target[0, 0] += 1 - smoothing
    best = torch.nn.functional.cross_entropy(
        target.clamp_min(1e-30).log(), torch.tensor([0]), label_smoothing=smoothing
    )
    assert best.item() == pytest.approx(floor, abs=5e-5)


def test_a_blind_guess_loses_ln_k_and_has_the_brier_score_of_one_minus_one_in_k(answers):
    blind = answers(np.full((8, 4), 0.25), [0, 1, 2, 3] * 2)
    assert hard_cross_entropy(blind) == pytest.approx(math.log(4))
    assert brier_score(blind) == pytest.approx(0.75)


def test_a_certain_and_wrong_answer_has_a_large_but_finite_loss(votes):
    predictions = votes([1], [0], 2)
    predictions.logits[0] = (-500.0, 500.0)
    assert image_losses(predictions)[0] == pytest.approx(1000.0)


@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(2, 7))
@settings(max_examples=40, deadline=None)
def test_top_k_grows_with_k_from_accuracy_to_1_also_with_equal_logits(votes, seed, n, classes):
    rng = np.random.default_rng(seed)
    predictions = votes([0] * n, rng.integers(0, classes, n), classes)
    predictions.logits[:] = rng.integers(0, 3, (n, classes))
    hits = [top_k_accuracy(predictions, k).hits for k in range(1, classes + 1)]
    assert hits[0] == accuracy(predictions).hits
    assert hits == sorted(hits)
    assert hits[-1] == n


@given(st.integers(0, 10**6), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_scores_do_not_depend_on_the_order_of_the_images(votes, seed, n):
    rng = np.random.default_rng(seed)
    predicted, labels, order = rng.integers(0, 4, n), rng.integers(0, 4, n), rng.permutation(n)
    one, other = votes(predicted, labels, 4), votes(predicted[order], labels[order], 4)
    assert class_scores(one) == class_scores(other)
    assert 0 <= macro_f1(one) <= 1
    assert sum(row.support for row in class_scores(one)) == n


def test_always_answering_the_most_frequent_class_shows_in_the_baseline_and_in_balanced_accuracy(votes):
    lazy = votes([2] * 10, [2] * 8 + [0, 1], 3)
    assert majority_baseline(lazy) == ("c", Rate(8, 10))
    assert accuracy(lazy) == Rate(8, 10)
    assert balanced_accuracy(lazy) == pytest.approx(1 / 3)
    assert never_predicted(lazy) == ("a", "b")


def test_a_class_that_does_not_occur_is_not_reported_as_never_predicted(votes):
    assert never_predicted(votes([0, 1], [0, 1], 3)) == ()


def test_images_without_labels_are_refused_with_the_way_out(votes):
    with pytest.raises(UsageError, match="1 of 2 images have no label"):
        accuracy(votes([0, 1], [0, -1], 2))


def test_grading_nothing_is_refused(votes):
    with pytest.raises(UsageError, match="at least one image"):
        accuracy(votes([], [], 2))
