"""Augmentation for reading: one image, NumPy, one step after the other, pixel by pixel where that is clearer.

Nothing here is fast. It is the meaning that `batched` must have, and tests hold the two equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.augment.draws import OneDraw
from snellen.augment.randaugment import MOST, OPERATIONS

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in a grey value; ITU-R BT.601, as Pillow's "L" mode has them."""

Image = NDArray[np.float32]
"""(H, W, C) float32 in [0, 1]."""


def reflect_pad(image: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """(H + 2 * pixels, W + 2 * pixels, C) uint8: mirrored outwards; the border pixel itself is not repeated."""
    return np.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="reflect")


def crop(padded: NDArray[Any], top: int, left: int, height: int, width: int) -> NDArray[Any]:
    """(height, width, C): the window whose upper left pixel is (top, left)."""
    return padded[top : top + height, left : left + width]


def mirror(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, C) uint8: left and right exchanged."""
    return image[:, ::-1]


def jitter(
    image: NDArray[np.float32],
    *,
    brightness: float | None = None,
    contrast: float | None = None,
    saturation: float | None = None,
) -> NDArray[np.float32]:
    """(H, W, C) float32 in [0, 1]: each factor that is not None pulls the image towards something, or away from it.

    Args:
        image: (H, W, C) float32 in [0, 1], C is 1 or 3.
        brightness: factor about black.
        contrast: factor about the image's mean grey value.
        saturation: factor about each pixel's grey value; a grey image (C = 1) has none to change.

    The steps are those of torchvision's ColorJitter, always in this order (there the order is drawn as well), with
    the result of each step clipped to [0, 1].
    """
    if brightness is not None:
        image = blend(image, np.zeros(1, dtype=np.float32), brightness)
    if contrast is not None:
        image = blend(image, grey(image).mean(keepdims=True), contrast)
    if saturation is not None and image.shape[2] == 3:
        image = blend(image, grey(image), saturation)
    return image


def augment_one(image: NDArray[np.uint8], draw: OneDraw) -> NDArray[np.float32]:
    """One image (H, W, C) uint8 with its draws applied: (H, W, C) float32 in [0, 1].

    Crop and mirror move bytes and round nothing; only then does the image become numbers.
    """
    height, width, _ = image.shape
    moved = crop(reflect_pad(image, draw.pad), draw.down, draw.right, height, width)
    if draw.flip:
        moved = mirror(moved)
    as_fraction = moved.astype(np.float32) / np.float32(255)
    if draw.window is not None:
        as_fraction = enlarge_window(as_fraction, *draw.window)
    if draw.operations is not None:
        kinds, magnitude = draw.operations
        for number, sign in kinds:
            as_fraction = operate_one(as_fraction, number, sign, magnitude)
    done = jitter(as_fraction, brightness=draw.brightness, contrast=draw.contrast, saturation=draw.saturation)
    return done if draw.rectangle is None else erase_one(done, *draw.rectangle)


def enlarge_window(
    image: NDArray[np.float32],
    area: np.float32,
    aspect: np.float32,
    down: np.float32,
    right: np.float32,
    share: float = 1.0,
) -> NDArray[np.float32]:
    """(H', W', C) float32: a window at that share of the image's size; `resized_crop.Windows` says what is drawn."""
    pixels = np.float32(image.shape[0] * image.shape[1])
    for axis, place, stretch in ((0, down, aspect), (1, right, np.float32(1) / aspect)):
        size, new = image.shape[axis], max(1, round(share * image.shape[axis]))
        side = int(np.clip(np.round(np.sqrt(area * pixels * stretch)), 1, size))
        start = min(int(place * np.float32(size - side + 1)), size - side)
        at = np.clip((np.arange(new) + 0.5) * side / new - 0.5, 0, side - 1)  # middles of the new pixels, in old ones
        before = np.floor(at).astype(int)
        after = np.minimum(before + 1, side - 1)
        nearer = (at - before).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        image = (1 - nearer) * image.take(start + before, axis) + nearer * image.take(start + after, axis)
    return image


def erase_one(
    image: NDArray[np.float32], area: np.float32, aspect: np.float32, down: np.float32, right: np.float32
) -> NDArray[np.float32]:
    """(H, W, C) float32 with a rectangle in its mean colour; the numbers mean what `erasing.Rectangles` says."""
    parts = []
    for place, size, stretch in ((down, image.shape[0], aspect), (right, image.shape[1], np.float32(1) / aspect)):
        pixels = np.float32(image.shape[0] * image.shape[1])
        side = int(np.clip(np.round(np.sqrt(area * pixels * stretch)), 1, size))
        start = min(int(place * np.float32(size - side + 1)), size - side)
        parts.append(slice(start, start + side))
    painted = image.copy()
    painted[tuple(parts)] = image.mean(axis=(0, 1), dtype=np.float64)
    return painted


def shrink(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """(H, W, C) -> (height, width, C), not enlarged: bilinear with antialiasing, as `batched.resize_side` does it.

    Each new pixel is a weighted mean of old ones, rows and columns one after the other. The weight falls in a straight
    line from the new pixel's centre to 0 one new pixel further on.
    """
    rows, columns = _tents(image.shape[0], height), _tents(image.shape[1], width)
    return np.asarray(np.einsum("ay,bx,yxc->abc", rows, columns, image), dtype=np.float32)


def _tents(old: int, new: int) -> NDArray[np.float64]:
    """(new, old) weights, each row summing to 1."""
    scale = old / new  # old pixels per new one
    centres = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(old) + 0.5 - centres[:, None]) / scale  # in new pixels
    weights = np.maximum(0, 1 - distance)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


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
