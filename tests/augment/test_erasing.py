"""Random erasing: where the rectangles lie, how large they are, what they are painted with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snellen.augment.batched import augment_batch, to_device
from snellen.augment.draws import draw
from snellen.augment.reference import augment_one
from snellen.recipes.recipe import Augment

ALWAYS = Augment(erase=1.0)


def noise(count=200, height=20, width=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def erased(images, draws):
    return augment_batch(torch.from_numpy(images), to_device(draws, "cpu")).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("shape", [(32, 32), (20, 16), (7, 40), (1, 1)])
def test_every_image_is_erased_as_the_reference_does_it(shape):
    images = noise(100, *shape)
    draws = draw(Augment(erase=0.7), seed=2, epoch=0, count=100)
    one_by_one = np.stack([augment_one(image, draws[i]) for i, image in enumerate(images)])
    np.testing.assert_allclose(erased(images, draws), one_by_one, rtol=0, atol=1e-6)


def test_what_is_erased_is_one_rectangle_in_the_mean_colour_and_the_rest_is_untouched():
    images = noise()
    results = erased(images, draw(ALWAYS, seed=3, epoch=0, count=len(images)))
    for image, result in zip(images, results, strict=True):
        original = image.astype(np.float32) / np.float32(255)
        painted = (np.abs(result - original.mean(axis=(0, 1))) < 1e-6).all(axis=2)
        rows, columns = np.flatnonzero(painted.any(axis=1)), np.flatnonzero(painted.any(axis=0))
        assert len(rows) * len(columns) == painted.sum()  # a rectangle
        np.testing.assert_array_equal(result[~painted], original[~painted])


def test_a_rectangle_takes_between_a_fiftieth_and_a_third_of_the_picture():
    images = np.zeros((2000, 64, 64, 3), dtype=np.uint8)
    images[:, :1] = 255
    draws = draw(ALWAYS, seed=0, epoch=0, count=2000)
    background = images.astype(np.float32) / np.float32(255)
    share = (erased(images, draws) != background).all(axis=3).mean(axis=(1, 2))
    assert 0.01 < share.min() < 0.04
    assert 0.28 < share.max() < 0.36


def test_the_probability_is_kept_and_zero_draws_nothing():
    rectangles = draw(Augment(erase=0.25), seed=0, epoch=0, count=20_000).rectangles
    assert rectangles is not None
    assert abs(rectangles.on.mean() - 0.25) < 0.01
    assert draw(Augment(crop_pixels=4), seed=0, epoch=0, count=5).rectangles is None
