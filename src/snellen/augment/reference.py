"""Augmentation as the lesson tells it: one image, NumPy, one step after the other.

Nothing here is fast. It is the meaning that `batched` must have, pixel by pixel, and the place to read it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snellen.augment.draws import OneDraw

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in a grey value; ITU-R BT.601, as Pillow's "L" mode has them."""


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
        image = _blend(image, np.zeros(1, dtype=np.float32), brightness)
    if contrast is not None:
        image = _blend(image, _grey(image).mean(keepdims=True), contrast)
    if saturation is not None and image.shape[2] == 3:
        image = _blend(image, _grey(image), saturation)
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
    return jitter(as_fraction, brightness=draw.brightness, contrast=draw.contrast, saturation=draw.saturation)


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


def _grey(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W, 1) float32."""
    return image if image.shape[2] == 1 else (image * LUMA).sum(axis=2, keepdims=True)


def _blend(image: NDArray[np.float32], anchor: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """`anchor` at factor 0, the image itself at 1, beyond it above 1; clipped to [0, 1]."""
    weight = np.float32(factor)
    return np.clip(weight * image + (np.float32(1) - weight) * anchor, 0, 1)
