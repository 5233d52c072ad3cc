from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
from torchmetrics.functional.classification import multiclass_confusion_matrix

from snellen.metrics.confusion import (
    confusion_json,
    confusion_matrix,
    worst_pairs,
)
from snellen.metrics.intervals import Rate

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PETS = ("cat", "dog", "owl")
#        said: cat dog owl
MATRIX = np.array([[70, 25, 5], [15, 84, 1], [0, 4, 96]])


def test_rows_are_the_truth_and_columns_the_answer(votes):
    matrix = confusion_matrix(votes([1, 1, 0], [0, 0, 1], 3))
    assert matrix.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]
    assert matrix.dtype == np.int64


@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(2, 10))
@settings(max_examples=40, deadline=None)
def test_the_matrix_equals_scikit_learns_and_torchmetrics(simulated, seed, n, classes):
    predictions = simulated(n, classes=classes, seed=seed)
    expected = sklearn_confusion_matrix(predictions.labels, predictions.predicted, labels=range(classes))
    np.testing.assert_array_equal(confusion_matrix(predictions), expected)
    answers, labels = (torch.from_numpy(each) for each in (predictions.predicted, predictions.labels))
    np.testing.assert_array_equal(expected, multiclass_confusion_matrix(answers, labels, classes))


def test_worst_pairs_merge_both_directions_worked_by_hand():
    first, second, third = worst_pairs(MATRIX, PETS)
    assert (first.first, first.second, first.count) == ("cat", "dog", 40)
    assert (first.first_as_second, first.second_as_first) == (25, 15)
    assert first.share_of_errors == pytest.approx(40 / 50)
    assert first.rate == Rate(40, 200)
    # Equal counts stay in class order.
    assert [(p.first, p.second, p.count) for p in (second, third)] == [("cat", "owl", 5), ("dog", "owl", 5)]
    assert str(first) == "cat ↔ dog: 40 errors, 80 % of all (25 cat as dog, 15 the other way)"


def test_few_errors_are_said_with_a_decimal_and_as_many_pairs_as_asked_for():
    pairs = worst_pairs(np.array([[9, 17, 0], [1, 9, 1], [1, 0, 9]]), PETS, limit=2)
    assert list(map(str, pairs)) == [
        "cat ↔ dog: 18 errors, 90 % of all (17 cat as dog, 1 the other way)",
        "cat ↔ owl: 1 error, 5.0 % of all (0 cat as owl, 1 the other way)",
    ]


def test_pairs_without_errors_are_left_out():
    assert worst_pairs(np.diag([5, 5, 5]), PETS) == ()


@given(st.integers(0, 10**6), st.integers(2, 8))
@settings(max_examples=40, deadline=None)
def test_the_pairs_hold_every_error_exactly_once_and_are_sorted(seed, classes):
    matrix = np.random.default_rng(seed).integers(0, 9, (classes, classes))
    pairs = worst_pairs(matrix, [str(i) for i in range(classes)])
    assert sum(pair.count for pair in pairs) == matrix.sum() - np.trace(matrix)
    assert [p.count for p in pairs] == sorted((p.count for p in pairs), reverse=True)
    transposed = worst_pairs(matrix.T, [str(i) for i in range(classes)])
    assert [p.count for p in pairs] == [p.count for p in transposed]


def test_json_holds_the_matrix_its_orientation_and_the_pairs():
    written = json.loads(json.dumps(confusion_json(MATRIX, PETS), allow_nan=False))
    assert written["matrix"] == MATRIX.tolist()
    assert (written["rows"], written["columns"]) == ("true", "predicted")
    assert written["worst_pairs"][0]["count"] == 40
