"""Random resized crop: which windows are drawn, and how one becomes a whole picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from snellen.augment.batched import augment_batch, to_device
from snellen.augment.draws import draw
from snellen.augment.reference import augment_one
from snellen.augment.resized_crop import Windows, resize_windows
from snellen.errors import InvalidSetting
from snellen.recipes.recipe import Augment

HALF_OR_MORE = Augment(resized_crop=0.5, flip="random")


def pictures(count: int, height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("side", [1.0, 0.7])
@pytest.mark.parametrize("shape", [(32, 32, 3), (24, 40, 1), (17, 16, 3)])
def test_every_image_is_cropped_as_the_reference_does_it(shape: tuple[int, int, int], side: float) -> None:
    images = pictures(60, *shape)
    augment = Augment(resized_crop=0.1, resized_crop_side=side, flip="random", brightness=0.2)
    draws = draw(augment, seed=2, epoch=1, count=60)
    batch = augment_batch(torch.from_numpy(images), to_device(draws, "cpu")).permute(0, 2, 3, 1).numpy()
    one_by_one = np.stack([augment_one(image, draws[number]) for number, image in enumerate(images)])
    assert batch.shape == (60, round(side * shape[0]), round(side * shape[1]), shape[2])
    np.testing.assert_allclose(batch, one_by_one, rtol=0, atol=2e-5)


def test_a_window_is_enlarged_as_torch_enlarges_a_crop() -> None:
    batch = torch.rand(1, 3, 40, 48)
    area, aspect = np.float32(18 * 24 / (40 * 48)), np.float32(18 / 24)
    windows = Windows(*(torch.tensor([value], dtype=torch.float32) for value in (area, aspect, 0.5, 0.999)))
    top, left = int(0.5 * (40 - 18 + 1)), 48 - 24
    crop = batch[:, :, top : top + 18, left : left + 24]
    for side, size in ((1.0, (40, 48)), (0.75, (30, 36))):
        expected = functional.interpolate(crop, size=size, mode="bilinear", antialias=True)
        windows = replace(windows, side=side)
        torch.testing.assert_close(resize_windows(batch, windows), expected, atol=2e-5, rtol=0)


def test_area_and_shape_are_drawn_as_asked_for_and_all_places_occur() -> None:
    windows = draw(HALF_OR_MORE, seed=0, epoch=0, count=20_000).windows
    assert windows is not None
    assert 0.5 <= windows.area.min() < 0.505
    assert 0.995 < windows.area.max() <= 1
    assert abs(np.log(windows.aspect).mean()) < 0.01
    assert np.abs(np.log(windows.aspect)).max() <= np.log(4 / 3) + 1e-6
    assert np.histogram(windows.down, 10, (0, 1))[0].min() > 1_800
    assert draw(Augment(flip="random"), seed=0, epoch=0, count=5).windows is None


def test_the_whole_picture_is_left_as_it_is() -> None:
    batch = torch.rand(2, 3, 20, 20).contiguous(memory_format=torch.channels_last)
    ones = torch.ones(2)
    whole = Windows(ones, ones, ones * 0.3, ones * 0.7)
    torch.testing.assert_close(resize_windows(batch, whole), batch, atol=2e-5, rtol=0)


def test_two_ways_to_crop_are_one_too_many() -> None:
    with pytest.raises(InvalidSetting, match="crop_pixels crops already"):
        Augment(resized_crop=0.5, crop_pixels=4)


def test_a_side_without_a_window_is_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"augment\.resized_crop=0 makes no window"):
        Augment(resized_crop_side=0.9)
