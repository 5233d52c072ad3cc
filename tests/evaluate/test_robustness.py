"""Corruptions are what they are called, and the card holds each of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter1d

from snellen.data.run_images import images_of
from snellen.evaluate import robustness
from snellen.evaluate.robustness import (
    CORRUPTIONS,
    GRADINGS,
    blur,
    brightness,
    contrast,
    jpeg,
    measure_robustness,
    mirror,
    noise,
    robustness_card,
    rotate180,
    shift,
)
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions
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


EVERY = [apply for severities in CORRUPTIONS.values() for apply in severities.values()]
NAMES = [f"{name} {label}" for name, severities in CORRUPTIONS.items() for label in severities]


@pytest.fixture
def images(rng) -> np.ndarray:
    """(7, 32, 24, 3) uint8: smooth pictures, not square, so that swapped axes would show."""
    small = Image.fromarray(rng.integers(0, 256, (7 * 8, 6, 3), dtype=np.uint8))
    return np.asarray(small.resize((24, 7 * 32), Image.Resampling.BICUBIC)).reshape(7, 32, 24, 3).copy()


@pytest.mark.parametrize("apply", EVERY, ids=NAMES)
def test_every_corruption_keeps_shape_and_type_changes_pixels_and_leaves_its_input_alone(apply, images):
    before = images.copy()
    after = apply(images)
    assert (after.shape, after.dtype) == (images.shape, np.uint8)
    assert not np.array_equal(after, images)
    np.testing.assert_array_equal(images, before)
    assert not np.shares_memory(after, images)


@pytest.mark.parametrize("apply", EVERY, ids=NAMES)
def test_every_corruption_is_the_same_again_and_does_not_depend_on_batch_or_order(apply, images):
    together = apply(images)
    np.testing.assert_array_equal(apply(images), together)
    order = np.array([3, 0, 6, 1, 5, 2, 4])
    np.testing.assert_array_equal(apply(images[order]), together[order])
    np.testing.assert_array_equal(apply(images[2:3]), together[2:3])


@pytest.mark.parametrize("apply", EVERY, ids=NAMES)
def test_every_corruption_takes_grey_pictures(apply, images):
    assert apply(images[..., :1]).shape == (7, 32, 24, 1)


@pytest.mark.parametrize("name", ["blur", "noise", "jpeg"])
def test_severities_are_listed_from_mild_to_strong(name, images):
    changes = [np.abs(apply(images).astype(int) - images).mean() for apply in CORRUPTIONS[name].values()]
    assert changes == sorted(changes)
    assert changes[-1] > 1.3 * changes[0]


@pytest.mark.parametrize("name", ["brightness", "contrast"])
def test_factors_are_listed_from_small_to_large_and_mean_what_they_say(name, images):
    middling = images // 4 + 40  # so that no factor clips
    for label, apply in CORRUPTIONS[name].items():
        factor, after = float(label.removeprefix("x ")), apply(middling)
        before, changed = middling.std(axis=(1, 2, 3)), after.std(axis=(1, 2, 3))
        assert changed / before == pytest.approx(np.full(7, factor), rel=0.03)
        mean = after.mean() / middling.mean()
        assert mean == pytest.approx(factor if name == "brightness" else 1, rel=0.02)


def test_mirror_and_half_turn_undo_themselves(images):
    for turn in (mirror, rotate180):
        np.testing.assert_array_equal(turn(turn(images)), images)
    np.testing.assert_array_equal(mirror(images)[0, 0, 0], images[0, 0, -1])
    np.testing.assert_array_equal(rotate180(images)[0, 0, 0], images[0, -1, -1])


def test_a_shift_to_the_right_moves_columns_right_and_reflects_the_border(images):
    moved = shift(images, down=0, right=4)
    np.testing.assert_array_equal(moved[:, :, 4:], images[:, :, :-4])
    np.testing.assert_array_equal(moved[:, :, :4], images[:, :, 4:0:-1])


def test_a_shift_up_moves_rows_up_and_reflects_the_border(images):
    moved = shift(images, down=-4, right=0)
    np.testing.assert_array_equal(moved[:, :-4], images[:, 4:])
    np.testing.assert_array_equal(moved[:, -4:], images[:, -2:-6:-1])


def test_brightness_and_contrast_worked_by_hand():
    picture = np.array([[[[100]], [[200]]]], dtype=np.uint8).reshape(1, 2, 1, 1)
    assert brightness(picture, 1.5).ravel().tolist() == [150, 255]
    assert contrast(picture, 0.5).ravel().tolist() == [125, 175]
    assert contrast(picture, 4.0).ravel().tolist() == [0, 255]


@pytest.mark.usefixtures("small_eyechart")
def test_a_run_is_graded_on_val_in_its_precision_and_tells_how_far_it_is(own_run, monkeypatch):
    own_run.update_info(precision="bf16")
    val, asked, told = images_of(own_run).val, [], []

    def answered(model, images, **options):
        asked.append((images.images, options))
        return Predictions.of(
            images, np.eye(10, dtype=np.float32)[images.labels if len(asked) == 1 else 0 * images.labels]
        )

    monkeypatch.setattr(robustness, "predict", answered)
    card = measure_robustness(own_run, device="cpu", graded=told.append)
    assert told == list(range(1, GRADINGS + 1))
    assert all(options == {"bf16": True} for _, options in asked)
    for (seen, _), expected in zip(asked, (val.images, *(apply(val.images) for apply in EVERY)), strict=True):
        np.testing.assert_array_equal(seen, expected)
    assert card.clean == Rate(len(val), len(val), best_of=len(own_run.val_looks))
    assert {row.accuracy.hits for row in card.rows} == {int((val.labels == 0).sum())}
    assert own_run.read("robustness.json") == {"split": "val", "view": "plain", **to_json(card)}


@pytest.mark.parametrize("height", [1, 3, 32])
@pytest.mark.parametrize("sigma", [0.5, 1.0, 1.5])
def test_blur_equals_scipys_gaussian(images, sigma, height):
    images = images[:, :height]
    radius = int(np.ceil(3 * sigma))
    expected = images.astype(np.float64)
    for axis in (1, 2):
        expected = gaussian_filter1d(expected, sigma, axis=axis, mode="mirror", radius=radius)
    assert np.abs(blur(images, sigma) - expected).max() <= 0.51


def test_blur_resembles_pillows(images):
    pillow = np.asarray(Image.fromarray(images[0]).filter(ImageFilter.GaussianBlur(1.0)))
    inner = (slice(4, -4), slice(4, -4))
    assert np.abs(blur(images, 1.0)[0][inner].astype(int) - pillow[inner]).mean() < 3


def test_a_flat_picture_stays_flat_under_blur():
    flat = np.full((1, 8, 8, 3), 77, dtype=np.uint8)
    np.testing.assert_array_equal(blur(flat, 1.5), flat)


def test_noise_has_the_stated_spread_and_no_bias():
    grey = np.full((40, 32, 32, 3), 128, dtype=np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None, None] % 2
    change = noise(grey, 16).astype(float) - grey
    assert change.std() == pytest.approx(16, rel=0.03)
    assert abs(change.mean()) < 0.5
    assert not np.array_equal(noise(grey, 16, seed=1), noise(grey, 16))


def test_jpeg_at_high_quality_is_nearly_the_picture(images):
    smooth = blur(images, 1.5)
    assert np.abs(jpeg(smooth, 95).astype(int) - smooth).mean() < 4


def test_the_table_of_corruptions_cannot_be_changed():
    with pytest.raises(TypeError):
        CORRUPTIONS["flip"] = ()
