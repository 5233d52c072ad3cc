from __future__ import annotations

import json

import numpy as np
import pytest

from snellen.evaluate.robustness import CORRUPTIONS, robustness_card
from snellen.serialize import to_json


def brighter_half(images: np.ndarray) -> np.ndarray:
    """Logits (N, 2) of a model that sees only which half of the picture, left or right, is brighter."""
    means = images.mean(axis=(1, 3))
    half = means.shape[1] // 2
    left = means[:, :half].mean(axis=1) - means[:, half:].mean(axis=1)
    return np.stack([left, -left], axis=1).astype(np.float32)


@pytest.fixture
def card():
    labels = np.arange(20, dtype=np.int64) % 2
    images = np.full((20, 16, 16, 3), 90, dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 8 * label : 8 * label + 8] = 160
    return robustness_card(images, labels, brighter_half)


def test_a_model_that_reads_the_side_fails_when_mirrored_and_turned_and_withstands_the_rest(card):
    assert str(card.clean).startswith("100.0 %")
    for row in card.rows:
        expected = 0.0 if row.corruption in ("flip", "rotate180") else 1.0
        assert row.accuracy.value == expected, row.corruption
        assert row.change.value == expected - 1.0


def test_the_card_holds_every_severity_once_and_is_json(card):
    rows = [(row["corruption"], row["severity"]) for row in json.loads(json.dumps(to_json(card)))["rows"]]
    assert rows == [(name, label) for name, severities in CORRUPTIONS.items() for label in severities]
