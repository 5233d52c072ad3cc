"""Training curves as numbers, over seeds and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snellen.metrics.learning_curves import Curve, band, curves_json

ROWS: list[dict[str, Any]] = [
    {
        "epoch": 1,
        "train/loss": 2.0,
        "train/accuracy": 0.3,
        "train/cross_entropy": 1.9,
        "val/loss": 1.8,
        "val/accuracy": 0.35,
    },
    {"epoch": 2, "train/loss": 1.0},  # an epoch without a look at val
    {
        "epoch": 3,
        "train/loss": 0.75,
        "train/accuracy": 0.8,
        "train/cross_entropy": 0.4,
        "val/loss": 0.9,
        "val/accuracy": 0.7,
    },
]
BETTER = [{**row, "val/accuracy": row["val/accuracy"] + 0.1} if "val/accuracy" in row else row for row in ROWS]


def test_seeds_are_one_line_inside_their_range() -> None:
    both = band(Curve("two seeds", (ROWS, BETTER)), "val_accuracy")
    assert both.epochs == (1, 3)
    assert both.mean == pytest.approx((0.40, 0.75))
    assert both.low == pytest.approx((0.35, 0.70))
    assert both.high == pytest.approx((0.45, 0.80))


def test_an_epoch_that_one_seed_did_not_reach_is_no_part_of_the_mean() -> None:
    assert band(Curve("one stopped", (ROWS, ROWS[:1])), "val_accuracy").epochs == (1,)
    assert band(Curve("one never began", (ROWS, [])), "val_accuracy").epochs == ()


def test_the_same_numbers_are_there_as_json() -> None:
    content = json.loads(json.dumps(curves_json([Curve("smoothed", (ROWS, BETTER), 0.5)]), allow_nan=False))
    (curve,) = content["curves"]
    assert (curve["name"], curve["seeds"], curve["smoothing_floor"]) == ("smoothed", 2, 0.5)
    assert curve["bands"]["gap"]["mean"] == pytest.approx([-0.10, 0.05])
    assert curve["runs"][1]["val_accuracy"] == [pytest.approx(0.45), None, pytest.approx(0.8)]
    assert set(content["series"]) == set(curve["bands"])
