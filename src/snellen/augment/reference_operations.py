"""RandAugment's operations as they are meant: one image, NumPy, pixel by pixel where that is clearer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.augment.randaugment import MOST, OPERATIONS

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in a grey value; ITU-R BT.601, as Pillow's "L" mode has them."""

Image = NDArray[np.float32]
"""(H, W, C) float32 in [0, 1]."""


def grey(image: Image) -> Image:
    """(H, W, 1) float32."""
    return image if image.shape[2] == 1 else (image * LUMA).sum(axis=2, keepdims=True)


def blend(image: Image, anchor: Image, factor: float) -> Image:
    """`anchor` at factor 0, the image itself at 1, beyond it above 1; clipped to [0, 1]."""
    weight = np.float32(factor)
    return np.clip(weight * image + (np.float32(1) - weight) * anchor, 0, 1)


def operate_one(image: Image, number: int, sign: float, magnitude: int) -> Image:
    """One operation of `randaugment.OPERATIONS`, by its number there."""
    strength = magnitude / MOST
    return _BY_NAME[list(OPERATIONS)[number]](image, sign, strength)


def moved(image: Image, place: Callable[[np.float32, np.float32], tuple[Any, Any]]) -> Image:
    """Each pixel taken from the pixel nearest to `place(row, column)`, both counted from the middle; black outside."""
    height, width, _ = image.shape
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    result = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            # In float32 as the batch does it: between two pixels the last bit decides.
            from_row, from_column = place(np.float32(row - middle_row), np.float32(column - middle_column))
            at = math.floor(from_row + middle_row + 0.5), math.floor(from_column + middle_column + 0.5)
            if 0 <= at[0] < height and 0 <= at[1] < width:
                result[row, column] = image[at]
    return result


def _rotated(image: Image, sign: float, strength: float) -> Image:
    angle = sign * math.radians(30 * strength)
    cosine, sine = math.cos(angle), math.sin(angle)
    return moved(image, lambda y, x: (cosine * y - sine * x, sine * y + cosine * x))


def _translated(image: Image, sign: float, strength: float, axis: int) -> Image:
    pixels = round(sign * 150 / 331 * strength * image.shape[axis])
    return moved(image, lambda y, x: (y + pixels * (axis == 0), x + pixels * (axis == 1)))


def _sharpened(image: Image, sign: float, strength: float) -> Image:
    height, width, _ = image.shape
    smooth = image.copy()
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            around = image[row - 1 : row + 2, column - 1 : column + 2].sum(axis=(0, 1))
            smooth[row, column] = (around + 4 * image[row, column]) / 13
    return blend(image, smooth, 1 + sign * 0.9 * strength)


def _levels(image: Image) -> NDArray[np.int64]:
    return np.rint(image * 255).astype(np.int64)


def _posterized(image: Image, sign: float, strength: float) -> Image:
    bits = round(4 * strength)
    return ((_levels(image) >> bits << bits) / 255).astype(np.float32)


def _autocontrasted(image: Image, sign: float, strength: float) -> Image:
    low, high = image.min(axis=(0, 1)), image.max(axis=(0, 1))
    return np.where(high > low, (image - low) / np.where(high > low, high - low, 1), image).astype(np.float32)


def _equalized(image: Image, sign: float, strength: float) -> Image:
    result = image.copy()
    for channel in range(image.shape[2]):
        levels = _levels(image[:, :, channel])
        histogram = np.bincount(levels.ravel(), minlength=256)
        step = int(histogram.sum() - histogram[levels.max()]) // 255
        if step > 0:
            darker = np.cumsum(histogram) - histogram
            table = np.minimum((step // 2 + darker) // step, 255)
            result[:, :, channel] = table[levels] / 255
        else:
            result[:, :, channel] = levels / 255
    return result


def _blended_with_mean(image: Image, sign: float, strength: float) -> Image:
    return blend(image, grey(image).mean(keepdims=True), 1 + sign * 0.9 * strength)


_BY_NAME: dict[str, Callable[[Image, float, float], Image]] = {
    "identity": lambda image, sign, strength: image,
    "shear x": lambda image, sign, strength: moved(image, lambda y, x: (y, x + sign * 0.3 * strength * y)),
    "shear y": lambda image, sign, strength: moved(image, lambda y, x: (y + sign * 0.3 * strength * x, x)),
    "translate x": lambda image, sign, strength: _translated(image, sign, strength, axis=1),
    "translate y": lambda image, sign, strength: _translated(image, sign, strength, axis=0),
    "rotate": _rotated,
    "brightness": lambda image, sign, strength: blend(image, np.zeros_like(image), 1 + sign * 0.9 * strength),
    "colour": lambda image, sign, strength: (
        blend(image, grey(image), 1 + sign * 0.9 * strength) if image.shape[2] == 3 else image
    ),
    "contrast": _blended_with_mean,
    "sharpness": _sharpened,
    "posterize": _posterized,
    "solarize": lambda image, sign, strength: np.where(_levels(image) >= 255 * (1 - strength), 1 - image, image),
    "autocontrast": _autocontrasted,
    "equalize": _equalized,
}
