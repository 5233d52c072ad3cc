"""What is allowed to differ between a file and its run, and what is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snellen.data.labeled_images import LabeledImages
from snellen.export.onnx_file import OnnxSession
from snellen.export.parity import FP32, INT8, SAME, Parity, parity
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions


def answers(right: int, wrong: int) -> Predictions:
    """Two classes, sure of each answer: the first `right` images are right."""
    n = right + wrong
    logits = np.where(np.arange(n)[:, None] < right, [[4.0, 0.0]], [[0.0, 4.0]]).astype(np.float32)
    zeros = np.zeros(n, dtype=np.int64)
    return Predictions(logits, zeros, np.arange(n), ("a", "b"), "val", data="made")


def compared(right: int, n: int, found_right: int, tolerance: object = INT8) -> Parity:
    found = answers(found_right, n - found_right).probabilities
    return parity("file", "runtime", answers(right, n - right), found, tolerance)  # type: ignore[arg-type]


def test_the_same_answers_have_no_gap() -> None:
    found = compared(90, 100, 90, SAME)
    assert (found.refusal, found.largest_gap, found.same_answer.hits) == (None, 0.0, 100)


def test_both_are_the_best_of_as_many_epochs_as_the_run() -> None:
    expected = replace(answers(90, 10), best_of=4)
    accuracy = parity("f", "r", expected, answers(89, 11).probabilities, INT8).accuracy
    assert (accuracy.first, accuracy.second) == (Rate(90, 100, best_of=4), Rate(89, 100, best_of=4))


def test_a_file_with_changed_weights_is_refused(
    tampered_onnx: bytes, plain_onnx: bytes, expected: Predictions, val: LabeledImages
) -> None:
    def judged(model: bytes) -> str | None:
        return parity("f", "r", expected, OnnxSession(model).probabilities(val.images), FP32).refusal

    assert judged(plain_onnx) is None
    refusal = judged(tampered_onnx)
    assert refusal is not None
    assert "allowed is 0.0001" in refusal


@pytest.mark.parametrize(("gap", "refused"), [(0.5e-4, False), (2e-4, True)])
def test_one_probability_that_is_off_is_enough(gap: float, refused: bool) -> None:
    expected = answers(50, 50)
    found = expected.probabilities.copy()
    found[7, 0] += gap
    assert (parity("f", "r", expected, found, FP32).refusal is not None) is refused


@pytest.mark.parametrize(("lost", "refused"), [(0, False), (10, False), (11, True), (-20, False)])
def test_int8_may_lose_one_point_of_accuracy(lost: int, refused: bool) -> None:
    refusal = compared(900, 1000, 900 - lost).refusal
    assert (refusal is not None) is refused
    if refusal:
        assert "88.9 %" in refusal
        assert "a loss of 1 points or one image" in refusal


@pytest.mark.parametrize(("lost", "refused"), [(1, False), (2, True)])
def test_on_few_images_one_may_be_lost(lost: int, refused: bool) -> None:
    assert (compared(25, 30, 25 - lost).refusal is not None) is refused


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_answers_that_are_no_numbers_are_refused_and_lie_farther_off_than_any_probability(wrong: float) -> None:
    expected = answers(5, 5)
    found = expected.probabilities.copy()
    found[3, 1] = wrong
    compared = parity("f", "r", expected, found, INT8)
    assert compared.refusal is not None
    assert "no numbers" in compared.refusal
    assert 1 < compared.largest_gap <= 2
