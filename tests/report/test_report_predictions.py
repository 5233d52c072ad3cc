"""Which rows go into the page, and what is said about them."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import numpy as np
import pytest

from snellen.inspect.feature_space import principal_components
from snellen.metrics.calibration import calibration, fit_temperature
from snellen.metrics.compare import compare
from snellen.metrics.confidence import confidence_groups
from snellen.metrics.label_issues import label_issues
from snellen.predict.predictions import Predictions
from snellen.report.predictions import chosen_rows, geometry_json, predictions_json, versus_json
from snellen.serialize import to_json


def some_predictions(n: int = 300, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 7, n)
    logits = rng.normal(size=(n, 7)) * 1.5
    logits[np.arange(n), labels] += 3
    names = tuple("abcdefg")
    return Predictions(logits.astype(np.float32), labels.astype(np.int64), np.arange(n) + 1000, names, "val")


def column(content: dict[str, Any], name: str) -> np.ndarray:
    entry = content["rows"][name]
    return np.frombuffer(base64.b64decode(entry["data"]), dtype=f"<{entry['type']}")


def test_all_rows_are_shown_where_they_fit() -> None:
    for limit in (300, 301, 10_000):
        assert chosen_rows([some_predictions()], limit).tolist() == list(range(300))


def test_where_they_do_not_fit_every_mistake_and_every_close_call_is_kept() -> None:
    predictions = some_predictions()
    _, *others = confidence_groups(predictions)
    needed = {row for group in others for row in group.index.tolist()}
    rows = chosen_rows([predictions], 250)
    assert needed <= set(rows.tolist())
    assert len(needed) < len(rows) == 250
    spare = np.searchsorted(np.setdiff1d(np.arange(300), list(needed)), sorted(set(rows.tolist()) - needed))
    assert (spare[0], spare[-1]) == (0, 300 - len(needed) - 1)  # of the rest evenly from the first to the last
    assert np.ptp(np.diff(spare)) <= 1
    assert (np.diff(rows) > 0).all()


def test_where_not_even_the_mistakes_fit_the_surest_of_them_are_kept() -> None:
    predictions = some_predictions()
    worst = confidence_groups(predictions)[3].index[:4]
    assert set(chosen_rows([predictions], 4).tolist()) == set(worst.tolist())


def test_mistakes_of_every_run_come_before_what_is_right() -> None:
    first, other = some_predictions(), some_predictions(seed=1)
    other = dataclasses.replace(other, labels=first.labels)  # as good as guessed
    mistakes = np.flatnonzero(~first.correct | ~other.correct)
    assert set(mistakes.tolist()) <= set(chosen_rows([first, other], len(mistakes) + 5).tolist())
    own = set(np.flatnonzero(~first.correct).tolist())
    assert own <= set(chosen_rows([first, other], len(own) + 1).tolist())


def test_columns_are_over_the_rows_shown_and_figures_over_all() -> None:
    predictions = some_predictions()
    rows = np.array([5, 17, 200])
    content = predictions_json(predictions, rows)
    assert content["n"] == 300
    assert sum(map(sum, content["matrix"])) == 300
    top = column(content, "top").reshape(3, 5)
    assert top[:, 0].tolist() == predictions.predicted[rows].tolist()
    own = predictions.probabilities[rows, predictions.labels[rows]]
    np.testing.assert_allclose(column(content, "own") / 65_535, own, atol=1e-5)
    probability = column(content, "probability").reshape(3, 5)
    assert (np.diff(probability.astype(int), axis=1) <= 0).all()


def test_a_pair_names_its_classes_by_number() -> None:
    content = predictions_json(some_predictions(), np.arange(300))
    worst = content["pairs"][0]
    matrix = np.array(content["matrix"])
    assert worst["first_as_second"] == matrix[worst["first"], worst["second"]]
    assert worst["second_as_first"] == matrix[worst["second"], worst["first"]]


def test_of_equally_probable_classes_the_first_are_named() -> None:
    names = tuple(f"class {n}" for n in range(40))
    unsure = Predictions(
        np.tile(np.array([0, 1], dtype=np.float32), (3, 20)), np.array([1, 20, 39]), np.arange(3), names, "val"
    )
    assert column(predictions_json(unsure, np.arange(3)), "top").reshape(3, 5).tolist() == [[1, 3, 5, 7, 9]] * 3


def test_with_two_classes_there_are_two_bars() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(40, 2)).astype(np.float32)
    two = Predictions(logits, rng.integers(0, 2, 40), np.arange(40), ("yes", "no"), "val")
    assert predictions_json(two, np.arange(40))["top_count"] == 2


def test_probabilities_are_those_of_the_plain_answers() -> None:
    plain, rows = some_predictions(), np.arange(300)
    averaged = dataclasses.replace(plain, tta="flip", tta_logits=-plain.logits)
    assert predictions_json(averaged, rows)["rows"] == predictions_json(plain, rows)["rows"]


def test_figures_are_those_of_the_metrics_and_a_temperature_is_fitted_on_val_alone() -> None:
    rng = np.random.default_rng(2)
    names = tuple("abcdefghijkl")
    guessed = Predictions(rng.normal(size=(600, 12)), rng.integers(0, 12, 600), np.arange(600), names, "val")
    content = predictions_json(guessed, np.arange(0))
    assert len(content["pairs"]) == 40  # of 66
    assert content["calibration"] == to_json(calibration(guessed, draws=300))
    assert content["temperature"] == fit_temperature(guessed).temperature
    assert predictions_json(dataclasses.replace(guessed, split="test"), np.arange(0))["temperature"] is None


def test_if_it_answers_only_where_it_is_sure_accuracy_and_the_least_confidence_go_with_the_share() -> None:
    predictions = some_predictions()
    coverage = predictions_json(predictions, np.arange(0))["coverage"]
    order = np.argsort(-predictions.probabilities.max(axis=1), kind="stable")
    right, sure = predictions.correct[order], predictions.probabilities.max(axis=1)[order]
    assert len(coverage["share"]) == 101
    assert (coverage["share"][0], coverage["share"][-1]) == (round(1 / 300, 5), 1)
    for share, accuracy, least in zip(*(coverage[key] for key in ("share", "accuracy", "least")), strict=True):
        count = round(share * 300)
        assert accuracy == pytest.approx(right[:count].mean(), abs=1e-5)
        assert least == pytest.approx(sure[count - 1], abs=1e-5)


def test_each_row_has_its_group_its_place_there_and_its_rank_among_the_doubted() -> None:
    predictions, rows = some_predictions(), np.array([250, 5, 17, 200, 3])
    content = predictions_json(predictions, rows)
    groups = [group.index.tolist() for group in confidence_groups(predictions)]
    doubted = label_issues(predictions).index.tolist()
    for row, number, place, rank in zip(
        rows.tolist(), *(column(content, name).tolist() for name in ("group", "place", "label_issue")), strict=True
    ):
        assert groups[number][place] == row
        assert rank == (doubted.index(row) + 1 if row in doubted else 0)
    every = column(predictions_json(predictions, np.arange(300)), "label_issue")
    assert np.argsort(every)[-len(doubted) :].tolist() == doubted
    assert [each["name"] for each in content["groups"]] == [group.name for group in confidence_groups(predictions)]


def test_a_map_of_directions_has_no_ray_for_a_strong_picture_and_each_two_runs_are_compared_both_ways() -> None:
    rng = np.random.default_rng(3)
    predictions = some_predictions(60)
    features = rng.normal(size=(60, 9)).astype(np.float32)
    rows = np.array([3, 50])
    content = geometry_json(features, predictions, rows)
    own = features - features.mean(axis=0)
    flat = principal_components(own / np.linalg.norm(own, axis=1, keepdims=True), axes=2)
    (drawn,) = content["maps"]
    points = np.frombuffer(base64.b64decode(drawn["points"]["data"]), dtype="<f4").reshape(2, 2)
    np.testing.assert_allclose(points, flat.points[rows], atol=1e-5)
    assert (content["dimensions"], drawn["share"]) == (9, pytest.approx(flat.share.sum()))
    runs = {0: predictions, 4: dataclasses.replace(predictions, logits=some_predictions(60, seed=1).logits)}
    assert [(each["first"], each["second"], each["difference"]) for each in versus_json(runs)] == [
        (first, second, to_json(compare(runs[first], runs[second]))) for first, second in ((0, 4), (4, 0))
    ]
