"""Random resized crop: a window of the picture, of random area and shape, enlarged to the whole size.

Source: C. Szegedy et al., "Going deeper with convolutions", 2015, section 6. Area and aspect are drawn as torchvision's
RandomResizedCrop draws them; a side that would not fit is cut to the picture's instead of being drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snellen.augment.erasing import span
from snellen.augment.random_streams import Kind, fractions

_LOG_ASPECT = float(np.log(4 / 3))

Array = TypeVar("Array", NDArray[Any], Tensor)


@dataclass(frozen=True)
class Windows(Generic[Array]):
    """One window per image, as NumPy arrays or as tensors on a device.

    Attributes:
        area: (N,) float32, as a fraction of the picture.
        aspect: (N,) float32, height divided by width.
        down: (N,) float32 in [0, 1]: where between its highest and lowest possible place it lies.
        right: (N,) float32, the same from left to right.
        side: of what a window is enlarged to, as a fraction of the picture's.
    """

    area: Array
    aspect: Array
    down: Array
    right: Array
    side: float = 1.0


def draw_windows(smallest: float, side: float, *, seed: int, epoch: int, count: int) -> Windows[NDArray[Any]]:
    """The windows of an epoch, of at least the `smallest` share of the area, to be enlarged to that `side`."""
    drawn = fractions(seed, epoch, Kind.WINDOW, count, columns=4)
    return Windows(
        (smallest + (1 - smallest) * drawn[:, 0]).astype(np.float32),
        np.exp(_LOG_ASPECT * (2 * drawn[:, 1] - 1)).astype(np.float32),
        drawn[:, 2].astype(np.float32),
        drawn[:, 3].astype(np.float32),
        side,
    )


def resize_windows(batch: Tensor, windows: Windows[Tensor]) -> Tensor:
    """Each image's window, of whole pixels, enlarged to its share of the image's size: bilinear, as by torchvision.

    Args:
        batch: (B, C, H, W) float32.
        windows: B of them.

    Returns:
        (B, C, H', W') float32, each side `windows.side` of what it was, rounded.
    """
    height, width = batch.shape[2:]
    high, wide = new_sides(height, width, windows.side)
    rows = _places(windows.area, windows.down, windows.aspect, (height, high), height * width)
    columns = _places(windows.area, windows.right, 1 / windows.aspect, (width, wide), height * width)
    grid = torch.stack([columns[:, None, :].expand(-1, high, -1), rows[:, :, None].expand(-1, -1, wide)], dim=3)
    return functional.grid_sample(batch, grid, padding_mode="border", align_corners=True)


def new_sides(height: int, width: int, side: float) -> tuple[int, int]:
    """Height and width in pixels of what a window becomes."""
    return max(1, round(side * height)), max(1, round(side * width))


def _places(area: Tensor, place: Tensor, stretch: Tensor, sizes: tuple[int, int], pixels: int) -> Tensor:
    """(B, new) float32: where each new row, or column, lies between the first old one at -1 and the last at 1."""
    size, many = sizes
    start, side = (each[:, None] for each in span(area, place, stretch, size, pixels))
    new = torch.arange(many, device=place.device)
    inside = ((new + 0.5) * (side / many) - 0.5).clamp(min=0).minimum(side - 1)  # nothing from beyond the window's edge
    return 2 * (start + inside) / max(1, size - 1) - 1
