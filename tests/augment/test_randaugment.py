"""RandAugment: each operation equals its reference, which equals Pillow's; draws are uniform."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from snellen.augment.batched import augment_batch, to_device
from snellen.augment.draws import draw
from snellen.augment.randaugment import OPERATIONS, Operations, operate
from snellen.augment.reference import augment_one, operate_one
from snellen.recipes.recipe import Augment

NAMES = tuple(OPERATIONS)


def some_images(count=4, height=24, width=20, channels=3, seed=0):
    """Smooth pictures with all grey levels, as (N, H, W, C) float32 in [0, 1] on whole levels."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, height * width).reshape(1, height, width, 1)
    return (np.rint(ramp + rng.uniform(0, 55, (count, height, width, channels))) / 255).astype(np.float32)


def batched(images, number, sign, magnitude):
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).clone()
    count = len(images)
    operations = Operations(torch.full((count, 1), number), torch.full((count, 1), float(sign)), magnitude)
    return operate(batch, operations).permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("magnitude", [0, 9, 30])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_each_operation_gives_what_the_reference_gives(number, sign, magnitude, channels):
    images = some_images(channels=channels)
    expected = np.stack([operate_one(image, number, sign, magnitude) for image in images])
    found = batched(images, number, sign, magnitude)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 9), (9, 2), (3, 4), (1, 1)])
@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_the_smallest_pictures_are_changed_as_the_reference_changes_them(number, shape):
    images = some_images(height=shape[0], width=shape[1])
    expected = np.stack([operate_one(image, number, 1, 21) for image in images])
    np.testing.assert_allclose(batched(images, number, 1, 21), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("number", range(len(NAMES)), ids=NAMES)
def test_at_full_strength_every_operation_but_the_identity_changes_the_picture(number):
    images = some_images()
    changed = bool((batched(images, number, 1, 30) != images).any())
    assert changed == (NAMES[number] != "identity")


def pillow(name, image, magnitude, sign):
    picture = Image.fromarray(np.rint(image * 255).astype(np.uint8))
    strength = magnitude / 30
    return np.asarray(
        {
            "brightness": lambda: ImageEnhance.Brightness(picture).enhance(1 + sign * 0.9 * strength),
            "colour": lambda: ImageEnhance.Color(picture).enhance(1 + sign * 0.9 * strength),
            "contrast": lambda: ImageEnhance.Contrast(picture).enhance(1 + sign * 0.9 * strength),
            "sharpness": lambda: ImageEnhance.Sharpness(picture).enhance(1 + sign * 0.9 * strength),
            "posterize": lambda: ImageOps.posterize(picture, 8 - round(4 * strength)),
            "solarize": lambda: ImageOps.solarize(picture, 255 * (1 - strength)),
            "autocontrast": lambda: ImageOps.autocontrast(picture),
            "equalize": lambda: ImageOps.equalize(picture),
        }[name]()
    )


@pytest.mark.parametrize("magnitude", [9, 21])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    "name",
    ["brightness", "colour", "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize"],
)
def test_operations_on_colour_are_pillows_to_within_two_grey_levels(name, sign, magnitude):
    for image in some_images(height=32, width=32):
        ours = np.rint(operate_one(image, NAMES.index(name), sign, magnitude) * 255)
        assert np.abs(ours - pillow(name, image, magnitude, sign)).max() <= 2


def test_equalizing_counts_all_pixels_but_the_lightest_as_pillow_does():
    image = some_images(height=32, width=32)[0]
    image[4:] = 1.0  # of one level more than of all others
    ours = np.rint(operate_one(image, NAMES.index("equalize"), 1, 9) * 255)
    np.testing.assert_array_equal(ours, pillow("equalize", image, 9, 1))
    np.testing.assert_array_equal(np.rint(batched(image[None], NAMES.index("equalize"), 1, 9)[0] * 255), ours)


def test_rotation_turns_about_the_middle_and_brings_black_in():
    image = np.ones((1, 9, 9, 3), dtype=np.float32)
    turned = batched(image, NAMES.index("rotate"), 1, 30)[0]
    assert turned[0, 0].tolist() == [0, 0, 0]
    assert turned[4, 4].tolist() == [1, 1, 1]


def test_translation_moves_by_whole_pixels():
    image = np.zeros((1, 20, 20, 1), dtype=np.float32)
    image[0, 10, 10] = 1
    moved = batched(image, NAMES.index("translate x"), 1, 30)[0, :, :, 0]
    assert np.argwhere(moved).tolist() == [[10, 10 - round(150 / 331 * 20)]]


def test_operations_and_signs_are_drawn_evenly_and_two_rounds_differ():
    operations = draw(Augment(randaugment=2), seed=0, epoch=0, count=14_000).operations
    assert operations is not None
    observed = np.bincount(operations.kind.ravel(), minlength=14)
    assert 3.5 < ((observed - 2000) ** 2 / 2000).sum() < 40  # 13 degrees of freedom
    assert abs(operations.sign.mean()) < 0.03
    assert (operations.kind[:, 0] != operations.kind[:, 1]).mean() > 0.9


def test_a_batch_with_everything_on_is_the_reference_one_image_at_a_time():
    augment = Augment(crop_pixels=2, flip="random", randaugment=2, brightness=0.2, contrast=0.2, erase=0.5)
    images = np.rint(some_images(64) * 255).astype(np.uint8)
    draws = draw(augment, seed=5, epoch=1, count=64)
    one_by_one = np.stack([augment_one(image, draws[i]) for i, image in enumerate(images)])
    batch = augment_batch(torch.from_numpy(images), to_device(draws, "cpu")).permute(0, 2, 3, 1).numpy()
    alike = (np.abs(batch - one_by_one) < 1e-4).all(axis=(1, 2, 3))
    assert alike.mean() > 0.95  # a second operation on grey levels may round a level the other way


def test_the_order_of_a_batch_does_not_matter():
    images = torch.from_numpy(np.rint(some_images(24) * 255).astype(np.uint8))
    draws = to_device(draw(Augment(randaugment=2, erase=0.5), seed=1, epoch=0, count=24), "cpu")
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    assert torch.equal(augment_batch(images, draws)[order], augment_batch(images[order], draws.at(order)))
