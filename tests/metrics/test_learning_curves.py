"""Training curves as numbers, over seeds and as JSON."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from tests.journal_rows import BETTER, ROWS

from snellen.metrics.classification import smoothing_floor
from snellen.metrics.learning_curves import Curve, band, curve_of, curves_json
from snellen.recipes.cifar10 import SMALL_CNN


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_curve_of_runs_knows_how_low_their_smoothed_loss_can_be(smoothing: float) -> None:
    info = {"data": {"class_names": ["a", "b", "c"]}}
    runs = [
        SimpleNamespace(
            recipe=SMALL_CNN.replace(label_smoothing=smoothing),
            info=info,
            journal=SimpleNamespace(rows=lambda own=own: own),
        )
        for own in (ROWS, BETTER)
    ]
    curve = curve_of("two seeds", runs)  # type: ignore[arg-type]
    assert curve == Curve("two seeds", (ROWS, BETTER), smoothing_floor(0.1, 3) if smoothing else None)


def test_seeds_are_one_line_inside_their_range() -> None:
    both = band(Curve("two seeds", (ROWS, BETTER)), "val_accuracy")
    assert both.epochs == (1, 3)
    assert both.mean == pytest.approx((0.40, 0.75))
    assert both.low == pytest.approx((0.35, 0.70))
    assert both.high == pytest.approx((0.45, 0.80))


def test_an_epoch_that_one_seed_did_not_reach_is_no_part_of_the_mean() -> None:
    assert band(Curve("one stopped", (ROWS, ROWS[:1])), "val_accuracy").epochs == (1,)
    assert band(Curve("one never began", (ROWS, [])), "val_accuracy").epochs == ()


def test_epochs_rise_however_rarely_val_was_looked_at() -> None:
    rows = [{"epoch": epoch, "val/accuracy": epoch / 100} for epoch in range(8, 80, 8)]
    seen = band(Curve("every eighth", (rows, rows)), "val_accuracy")
    assert seen.epochs == tuple(range(8, 80, 8))
    assert seen.mean == pytest.approx([epoch / 100 for epoch in seen.epochs])


def test_the_same_numbers_are_there_as_json() -> None:
    content = json.loads(json.dumps(curves_json([Curve("smoothed", (ROWS, BETTER), 0.5)]), allow_nan=False))
    (curve,) = content["curves"]
    assert (curve["name"], curve["seeds"], curve["smoothing_floor"]) == ("smoothed", 2, 0.5)
    assert curve["bands"]["gap"]["mean"] == pytest.approx([-0.10, 0.05])
    assert curve["runs"][1]["val_accuracy"] == [pytest.approx(0.45), None, pytest.approx(0.8)]
    assert set(content["series"]) == set(curve["bands"])
