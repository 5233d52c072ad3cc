"""Test-time views: which windows, with which weight, and nothing random."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snellen.predict.predict import views
from snellen.recipes.recipe import TTA

TTAS: tuple[TTA, ...] = ("none", "flip", "shift", "ten_crop")


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def window(images: torch.Tensor, down: int, right: int) -> torch.Tensor:
    """The images moved by so many pixels, reflected at the edge. Written one index at a time."""
    side = images.shape[-1]

    def reflected(at: int) -> int:
        return -at if at < 0 else 2 * (side - 1) - at if at >= side else at

    rows = [reflected(at + down) for at in range(side)]
    columns = [reflected(at + right) for at in range(side)]
    return images[:, :, rows][:, :, :, columns]


@pytest.mark.parametrize("tta", TTAS)
def test_weights_sum_to_one_and_there_are_as_many_views_as_stated(images: torch.Tensor, tta: TTA) -> None:
    weights = [weight for weight, _ in views(images, tta)]
    assert sum(weights) == pytest.approx(1.0, abs=1e-12)
    assert len(weights) == {"none": 1, "flip": 2, "shift": 6, "ten_crop": 10}[tta]


@pytest.mark.parametrize("tta", TTAS)
def test_the_first_view_is_the_plain_image_and_none_changes_its_shape(images: torch.Tensor, tta: TTA) -> None:
    seen = [view for _, view in views(images, tta)]
    assert torch.equal(seen[0], images)
    assert {view.shape for view in seen} == {images.shape}


@pytest.mark.parametrize("tta", TTAS[1:])
def test_every_window_comes_with_its_mirror_image_at_the_same_weight(images: torch.Tensor, tta: TTA) -> None:
    seen = list(views(images, tta))
    for (weight, view), (mirrored_weight, mirrored) in zip(seen[::2], seen[1::2], strict=True):
        assert weight == mirrored_weight
        assert torch.equal(mirrored, view.flip(-1))


def test_shift_is_half_the_image_and_a_quarter_for_each_step_along_the_diagonal(images: torch.Tensor) -> None:
    expected = [(0.25, window(images, 0, 0)), (0.125, window(images, -1, -1)), (0.125, window(images, 1, 1))]
    for (weight, view), (wanted, picture) in zip(list(views(images, "shift"))[::2], expected, strict=True):
        assert weight == wanted
        assert torch.equal(view, picture)


def test_ten_crop_is_the_middle_and_four_corners_of_the_padded_image(images: torch.Tensor) -> None:
    moves = [(0, 0), (-4, -4), (-4, 4), (4, -4), (4, 4)]
    for (weight, view), move in zip(list(views(images, "ten_crop"))[::2], moves, strict=True):
        assert weight == 0.1
        assert torch.equal(view, window(images, *move))


@pytest.mark.parametrize("tta", TTAS)
def test_the_same_views_every_time(images: torch.Tensor, tta: TTA) -> None:
    torch.manual_seed(1)
    first = [view for _, view in views(images, tta)]
    torch.manual_seed(2)
    np.random.seed(2)
    assert all(torch.equal(a, b) for a, (_, b) in zip(first, views(images, tta), strict=True))
