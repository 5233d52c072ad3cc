"""Which rows go into the page, and what is said about them."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import numpy as np

from snellen.metrics.confidence import confidence_groups
from snellen.predict.predictions import Predictions
from snellen.report.predictions import chosen_rows, predictions_json


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
    assert chosen_rows([some_predictions()], 300).tolist() == list(range(300))


def test_where_they_do_not_fit_every_mistake_and_every_close_call_is_kept() -> None:
    predictions = some_predictions()
    _, *others = confidence_groups(predictions)
    needed = {row for group in others for row in group.index.tolist()}
    rows = chosen_rows([predictions], 250)
    assert needed <= set(rows.tolist())
    assert len(needed) < len(rows) <= 250
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


def test_with_two_classes_there_are_two_bars() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(40, 2)).astype(np.float32)
    two = Predictions(logits, rng.integers(0, 2, 40), np.arange(40), ("yes", "no"), "val")
    assert predictions_json(two, np.arange(40))["top_count"] == 2


def test_probabilities_are_those_of_the_plain_answers() -> None:
    plain, rows = some_predictions(), np.arange(300)
    averaged = dataclasses.replace(plain, tta="flip", tta_logits=-plain.logits)
    assert predictions_json(averaged, rows)["rows"] == predictions_json(plain, rows)["rows"]
