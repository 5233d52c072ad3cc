from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from snellen.metrics import feature_geometry as geometry_file
from snellen.metrics.feature_geometry import feature_geometry, spearman, unit_rows
from snellen.serialize import to_json


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=30))
@settings(max_examples=60, deadline=None)
def test_spearman_equals_scipys_also_with_ties(pairs):
    x, y = np.array(pairs, dtype=float).T
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert spearman(x, y) is None
    else:
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_spearman_leaves_unknown_values_out_and_says_nothing_about_two_points():
    x = np.array([1.0, 2.0, 3.0, np.nan])
    assert spearman(x, np.array([10.0, 20.0, 30.0, 0.0])) == pytest.approx(1)
    assert spearman(x[:2], x[:2]) is None
    assert spearman(x[:3], np.ones(3)) is None


def test_rows_are_brought_to_length_one_and_a_row_of_zeros_stays_one():
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0.0, 0.0]])


def test_classes_that_stand_close_and_are_mixed_up_correlate(rng, monkeypatch):
    monkeypatch.setattr(geometry_file, "_MOST_DRAWS", 60)
    angles = np.array([0.0, 0.3, 1.5, 1.9, 3.2, 4.4, 5.3])
    places = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    labels = np.repeat(np.arange(7), 40)
    features = 10 + 5 * places[labels] + rng.normal(scale=0.05, size=(280, 2))
    closeness = np.exp(3 * places @ places.T)
    matrix = np.rint(closeness).astype(np.int64)
    np.fill_diagonal(matrix, 1000)
    geometry = feature_geometry(features, labels, matrix)
    assert geometry.nearness_and_errors > 0.9
    assert geometry.p_value == pytest.approx(1 / 61)  # no shuffle does as well; the true order is one of 61
    assert geometry.cosine[0, 1] > geometry.cosine[0, 4]
    assert geometry.cosine.diagonal() == pytest.approx(1)


def test_without_a_connection_the_p_value_is_mostly_large():
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        labels = np.repeat(np.arange(6), 5)
        features, matrix = rng.normal(size=(30, 4)) + rng.normal(size=(6, 4))[labels], rng.integers(1, 50, (6, 6))
        values.append(feature_geometry(features, labels, matrix).p_value)
    assert np.mean(np.array(values) < 0.05) <= 0.2
    assert 0.25 < np.mean(values) < 0.75


def test_spread_worked_by_hand():
    # As many pictures as features would hide which of the two is summed.
    features = np.array([[0.0, 0.0], [0.0, 2.0], [0.0, 0.0], [0.0, 2.0], [5.0, 5.0], [5.0, 5.0], [9.0, 1.0]])
    labels, matrix = np.array([0, 0, 0, 0, 1, 1, 2]), np.array([[2, 2, 0], [0, 2, 0], [0, 0, 1]])
    geometry = feature_geometry(features, labels, matrix)
    assert geometry.spread == pytest.approx([1.0, 0.0, 0.0])
    assert geometry.spread_and_errors == pytest.approx(1.0)


def test_an_absent_class_is_none_in_json_and_left_out_of_the_correlation(rng):
    labels = np.repeat([0, 1, 2, 3], 10)
    matrix = np.zeros((5, 5), dtype=np.int64)
    matrix[:4, :4] = rng.integers(1, 9, (4, 4))
    features = rng.normal(size=(40, 3))
    geometry = feature_geometry(features, labels, matrix)
    without = feature_geometry(features, labels, matrix[:4, :4])
    assert (geometry.nearness_and_errors, geometry.p_value) == (without.nearness_and_errors, without.p_value)
    written = json.loads(json.dumps(to_json(geometry), allow_nan=False))
    assert written["spread"][4] is None
    assert written["cosine"][4][0] is None
    assert written["nearness_and_errors"] is not None


@pytest.mark.parametrize("classes", [3, 9])  # of three classes one shuffle in six is none
def test_the_p_value_is_that_of_ranking_every_shuffle_anew(rng, monkeypatch, classes):
    draws = 40
    monkeypatch.setattr(geometry_file, "_MOST_DRAWS", draws)
    labels = np.repeat(np.arange(classes), 6)
    features = rng.normal(size=(6 * classes, 3)) + rng.normal(size=(classes, 3))[labels]
    matrix = rng.integers(0, 4, (classes, classes)) + np.diag([20] * classes)  # many ties
    geometry = feature_geometry(features, labels, matrix)
    upper, support = np.triu_indices(classes, 1), matrix.sum(axis=1)
    confusion = ((matrix + matrix.T) / (support[:, None] + support[None, :]))[upper]
    again = np.random.default_rng(0)
    values = [stats.spearmanr(geometry.cosine[upper], confusion).statistic]
    for _ in range(draws):
        order = again.permutation(classes)
        values.append(stats.spearmanr(geometry.cosine[np.ix_(order, order)][upper], confusion).statistic)
    assert geometry.nearness_and_errors == pytest.approx(values[0])
    assert geometry.p_value == pytest.approx(np.mean(np.abs(values) >= abs(values[0]) - 1e-9))


def test_with_many_classes_there_are_fewer_shuffles(rng):
    labels = np.arange(800)
    matrix = rng.integers(0, 3, (800, 800))
    geometry = feature_geometry(rng.normal(size=(800, 4)), labels, matrix)
    assert geometry.p_value * 201 == pytest.approx(round(geometry.p_value * 201))
