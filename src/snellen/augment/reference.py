"""Augmentation as the lesson tells it: one image, NumPy, one step after the other.

Nothing here is fast. It is the meaning that `batched` must have, pixel by pixel, and the place to read it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snellen.augment.draws import OneDraw
from snellen.augment.reference_operations import blend, grey, operate_one


def reflect_pad(image: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    """(H + 2 * pixels, W + 2 * pixels, C) uint8: mirrored outwards; the border pixel itself is not repeated."""
    return np.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="reflect")


def crop(padded: NDArray[np.uint8], top: int, left: int, height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, C) uint8: the window whose upper left pixel is (top, left)."""
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
    if draw.operations is not None:
        kinds, magnitude = draw.operations
        for number, sign in kinds:
            as_fraction = operate_one(as_fraction, number, sign, magnitude)
    done = jitter(as_fraction, brightness=draw.brightness, contrast=draw.contrast, saturation=draw.saturation)
    return done if draw.rectangle is None else erase_one(done, *draw.rectangle)


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


def mix_two(
    image: NDArray[np.float32],
    other: NDArray[np.float32],
    own: np.float32,
    cut: bool,
    down: np.float32,
    right: np.float32,
) -> tuple[NDArray[np.float32], float]:
    """(H, W, C) float32 of two, and how much of it is the first; the numbers mean what `mixing.Mixes` says."""
    if not cut:
        return own * image + (np.float32(1) - own) * other, float(own)
    parts = []
    for middle, size in ((down, image.shape[0]), (right, image.shape[1])):
        half = int(np.float32(size) * np.sqrt(np.float32(1) - own) / np.float32(2))
        centre = int(middle * np.float32(size))
        parts.append(slice(max(centre - half, 0), centre + half))
    pasted = image.copy()
    pasted[tuple(parts)] = other[tuple(parts)]
    outside = np.ones(image.shape[:2])
    outside[tuple(parts)] = 0
    return pasted, float(outside.mean())


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
