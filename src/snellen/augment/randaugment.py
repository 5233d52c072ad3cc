"""RandAugment: a few operations per image, drawn out of fourteen, all of one strength.

Source: E. Cubuk et al., "RandAugment", 2020, with the operations and strengths of torchvision's transform of that
name: at magnitude m of 30 shears of 0.3 m/30, moves of 150/331 of the side m/30, turns of m degrees, blends by
1 ± 0.9 m/30, m/30 of four bits taken away, brighter than 1 - m/30 inverted. Moved pictures are sampled at the nearest
pixel about their middle, and what comes in from outside is black. Unlike there, grey levels are rounded only where an
operation is about levels.

The images of a batch are taken operation by operation. On a GPU that waits for the device, so this is not for a
captured graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snellen.augment.random_streams import Array, Kind, below, random_words

MOST = 30
"""The largest magnitude."""
_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114  # as `reference.LUMA`

_Operation = Callable[[Tensor, Tensor, float], Tensor]
"""(n, C, H, W) float32 in [0, 1], (n,) float32 signs of 1 or -1, magnitude / 30 -> (n, C, H, W)."""


@dataclass(frozen=True)
class Operations(Generic[Array]):
    """What is done to each image, as NumPy arrays or as tensors on a device.

    Attributes:
        kind: (N, R) int64: which of `OPERATIONS`, one after the other.
        sign: (N, R) float32, 1 or -1: in which direction.
        magnitude: 0 to 30, the same for all.
    """

    kind: Array
    sign: Array
    magnitude: int


def draw_operations(rounds: int, magnitude: int, *, seed: int, epoch: int, count: int) -> Operations[NDArray[Any]]:
    """The operations of an epoch."""
    drawn = random_words(seed, epoch, Kind.OPERATION, count * rounds).reshape(count, rounds)
    kind = below(len(OPERATIONS), drawn >> np.uint64(32))
    sign = np.where(drawn & np.uint64(1), np.float32(1), np.float32(-1))
    return Operations(kind, sign, magnitude)


def operate(batch: Tensor, operations: Operations[Tensor]) -> Tensor:
    """Do to each image what was drawn for it.

    Args:
        batch: (B, C, H, W) float32 in [0, 1]; changed in place.
        operations: B rows.
    """
    strength = operations.magnitude / MOST
    for turn in range(operations.kind.shape[1]):
        kinds, signs = operations.kind[:, turn], operations.sign[:, turn]
        for number, function in enumerate(OPERATIONS.values()):
            chosen = (kinds == number).nonzero()[:, 0]
            if len(chosen) > 0:
                batch[chosen] = function(batch[chosen], signs[chosen], strength)
    return batch


def grey(batch: Tensor) -> Tensor:
    """(B, 1, H, W) float32. Written out: a matrix product would follow the precision set for the network."""
    if batch.shape[1] == 1:
        return batch
    return batch[:, 0:1] * _RED + batch[:, 1:2] * _GREEN + batch[:, 2:3] * _BLUE


def blend_(batch: Tensor, anchor: Tensor | None, factor: Tensor) -> Tensor:
    """`reference.blend` per image, in place: factor (B,), anchor broadcast against the batch or None for black."""
    weight = factor.view(-1, 1, 1, 1)
    batch = batch.mul_(weight)
    if anchor is not None:
        batch = batch.add_(anchor * (1 - weight))
    return batch.clamp_(0, 1)


def move(images: Tensor, matrix: tuple[Tensor, Tensor, Tensor, Tensor], shift: tuple[Tensor, Tensor]) -> Tensor:
    """Each pixel taken from matrix @ (its place from the middle) + shift, at the nearest pixel; black outside.

    Args:
        images: (n, C, H, W).
        matrix: its entries row-row, row-column, column-row, column-column, (n,) each.
        shift: rows and columns in pixels, (n,) each.
    """
    count, channels, height, width = images.shape
    middle = ((height - 1) / 2, (width - 1) / 2)
    row = (torch.arange(height, device=images.device) - middle[0])[None, :, None]
    column = (torch.arange(width, device=images.device) - middle[1])[None, None, :]
    entries = [entry.view(-1, 1, 1) for entry in (*matrix, *shift)]
    from_row = torch.floor(entries[0] * row + entries[1] * column + entries[4] + middle[0] + 0.5).long()
    from_column = torch.floor(entries[2] * row + entries[3] * column + entries[5] + middle[1] + 0.5).long()
    inside = (from_row >= 0) & (from_row < height) & (from_column >= 0) & (from_column < width)  # (n, H, W)
    place = from_row.clamp(0, height - 1) * width + from_column.clamp(0, width - 1)
    flat = images.reshape(count, channels, height * width)
    taken = flat.gather(2, place.view(count, 1, -1).expand(-1, channels, -1)).view(images.shape)
    return taken * inside[:, None]


def _identity(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    return images


def _shear(row: float, column: float) -> _Operation:
    def shear(images: Tensor, sign: Tensor, strength: float) -> Tensor:
        one, none = torch.ones_like(sign), torch.zeros_like(sign)
        slant = sign * (0.3 * strength)
        return move(images, (one, slant * row, slant * column, one), (none, none))

    return shear


def _translate(row: float, column: float) -> _Operation:
    def translate(images: Tensor, sign: Tensor, strength: float) -> Tensor:
        one, none = torch.ones_like(sign), torch.zeros_like(sign)
        pixels = [torch.round(sign * (150 / 331 * strength * side)) for side in images.shape[2:]]
        return move(images, (one, none, none, one), (pixels[0] * row, pixels[1] * column))

    return translate


def _rotate(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    angle = math.radians(30 * strength)
    cosine, sine = torch.full_like(sign, math.cos(angle)), sign * math.sin(angle)
    return move(images, (cosine, -sine, sine, cosine), (torch.zeros_like(sign), torch.zeros_like(sign)))


def _brightness(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    return blend_(images, None, 1 + sign * (0.9 * strength))


def _colour(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    return blend_(images, grey(images), 1 + sign * (0.9 * strength)) if images.shape[1] == 3 else images


def _contrast(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    return blend_(images, grey(images.mean(dim=(2, 3), keepdim=True)), 1 + sign * (0.9 * strength))


def _sharpness(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    if min(images.shape[2:]) < 3:
        return images
    kernel = images.new_ones(3, 3)
    kernel[1, 1] = 5
    channels = images.shape[1]
    weight = (kernel / 13).expand(channels, 1, 3, 3)
    smooth = images.clone()  # the outermost pixels have no full surroundings and stay, as in Pillow
    smooth[:, :, 1:-1, 1:-1] = functional.conv2d(images, weight, groups=channels)
    return blend_(images, smooth, 1 + sign * (0.9 * strength))


def _levels(images: Tensor) -> Tensor:
    return torch.round(images * 255)


def _posterize(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    step = float(2 ** round(4 * strength))
    return torch.floor(_levels(images) / step) * step / 255


def _solarize(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    return torch.where(_levels(images) >= 255 * (1 - strength), 1 - images, images)


def _autocontrast(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low), images)


def _equalize(images: Tensor, sign: Tensor, strength: float) -> Tensor:
    """Pillow's rule: each level goes to the share of darker pixels, counted in steps without the brightest level."""
    count, channels = images.shape[:2]
    levels = _levels(images).long().reshape(count * channels, -1)
    histogram = torch.zeros(count * channels, 256, dtype=torch.int64, device=images.device)
    histogram.scatter_add_(1, levels, torch.ones_like(levels))
    brightest = histogram.gather(1, levels.amax(dim=1, keepdim=True))
    step = (levels.shape[1] - brightest) // 255  # (n * C, 1)
    darker = histogram.cumsum(dim=1) - histogram
    table = ((step // 2 + darker) // step.clamp(min=1)).clamp(max=255)
    table = torch.where(step > 0, table, torch.arange(256, device=images.device)[None])
    return (table.gather(1, levels).float() / 255).view(images.shape)


OPERATIONS: dict[str, _Operation] = {
    "identity": _identity,
    "shear x": _shear(0, 1),
    "shear y": _shear(1, 0),
    "translate x": _translate(0, 1),
    "translate y": _translate(1, 0),
    "rotate": _rotate,
    "brightness": _brightness,
    "colour": _colour,
    "contrast": _contrast,
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "autocontrast": _autocontrast,
    "equalize": _equalize,
}
"""By name; the order is part of the result, since draws are numbers into it."""
