"""Random erasing: a rectangle of the picture painted over, so that no single part is enough to know it.

Source: Z. Zhong et al., "Random erasing data augmentation", 2020. Area and aspect are drawn as there; a side that
would not fit is cut to the picture's instead of being drawn again, and the paint is the picture's own mean colour,
which after normalisation is near the 0 that torchvision paints with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snellen.augment.random_streams import Array, Kind, fractions

_AREA = (0.02, 0.33)
_LOG_ASPECT = float(np.log(3.3))


@dataclass(frozen=True)
class Rectangles(Generic[Array]):
    """One rectangle per image, as NumPy arrays or as tensors on a device.

    Attributes:
        on: (N,) bool, whether it is painted.
        area: (N,) float32, as a fraction of the picture.
        aspect: (N,) float32, height divided by width.
        down: (N,) float32 in [0, 1]: where between its highest and lowest possible place it lies.
        right: (N,) float32, the same from left to right.
    """

    on: Array
    area: Array
    aspect: Array
    down: Array
    right: Array


def draw_rectangles(probability: float, *, seed: int, epoch: int, count: int) -> Rectangles[NDArray[Any]]:
    """The rectangles of an epoch; each is there with this probability."""
    drawn = fractions(seed, epoch, Kind.ERASE, count, columns=5)
    low, high = _AREA
    return Rectangles(
        drawn[:, 0] < probability,
        (low + (high - low) * drawn[:, 1]).astype(np.float32),
        np.exp(_LOG_ASPECT * (2 * drawn[:, 2] - 1)).astype(np.float32),
        drawn[:, 3].astype(np.float32),
        drawn[:, 4].astype(np.float32),
    )


def erase(batch: Tensor, rectangles: Rectangles[Tensor]) -> Tensor:
    """Paint each image's rectangle, where it has one.

    Args:
        batch: (B, C, H, W) float32.
        rectangles: B of them.
    """
    height, width = batch.shape[2:]
    sides = []
    for place, size, stretch in (
        (rectangles.down, height, rectangles.aspect),
        (rectangles.right, width, 1 / rectangles.aspect),
    ):
        start, side = span(rectangles.area, place, stretch, size, height * width)
        at = torch.arange(size, device=batch.device)[None]  # (1, size)
        sides.append((at >= start[:, None]) & (at < (start + side)[:, None]))  # (B, size)
    inside = sides[0][:, None, :, None] & sides[1][:, None, None, :] & rectangles.on[:, None, None, None]
    return torch.where(inside, batch.mean(dim=(2, 3), keepdim=True), batch)


def span(area: Tensor, place: Tensor, stretch: Tensor, size: int, pixels: int) -> tuple[Tensor, Tensor]:
    """First pixel and number of pixels, both (B,), of a rectangle along one axis of a picture; whole numbers.

    Args:
        area: (B,) float32, as a fraction of the picture.
        place: (B,) float32 in [0, 1], between its first and its last possible place.
        stretch: (B,) float32, its side along this axis divided by the other one.
        size: pixels of the picture along this axis.
        pixels: of the whole picture.
    """
    side = torch.round(torch.sqrt(area * pixels * stretch)).clamp(1, size)
    return torch.minimum(torch.floor(place * (size - side + 1)), size - side), side
