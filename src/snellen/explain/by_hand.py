"""The pipeline's arithmetic as one would do it by hand: one image, NumPy, nothing fast.

What `augment.reference` is to augmentation, this file is to the rest. A trace lays each of these functions
beside the one that does the work and compares the two results. Letters: C, H, W as everywhere, K classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.augment.reference import crop, mirror, reflect_pad
from snellen.recipes.recipe import TTA

Floats = NDArray[np.floating[Any]]

_WINDOWS: dict[TTA, tuple[int, tuple[tuple[float, int, int], ...]]] = {
    "none": (0, ((1.0, 0, 0),)),
    "flip": (0, ((1.0, 0, 0),)),
    "shift": (1, ((0.5, 1, 1), (0.25, 0, 0), (0.25, 2, 2))),
    "ten_crop": (4, ((0.2, 4, 4), (0.2, 0, 0), (0.2, 0, 8), (0.2, 8, 0), (0.2, 8, 8))),
}
"""Padding in pixels, then weight, top and left of each window in the padded image."""


def planes(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, C) -> (C * H * W,): the whole red plane first, then green, then blue, as CIFAR-10 stores a picture."""
    row: NDArray[np.uint8] = image.transpose(2, 0, 1).reshape(-1)
    return row


def side_by_side(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, C) -> (H * W * C,): the channels of a pixel side by side, as they lie in memory."""
    return image.reshape(-1)


def unfold(row: NDArray[np.uint8], shape: tuple[int, int, int], *, planes: bool) -> NDArray[np.uint8]:
    """(C * H * W,) -> (H, W, C), by saying where each byte lies: in planes, or the channels of a pixel side by side."""
    height, width, channels = shape
    y, x, c = np.indices(shape)
    at = (c * height + y) * width + x if planes else (y * width + x) * channels + c
    picture: NDArray[np.uint8] = row[at]
    return picture


def as_fractions(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(H, W, C) uint8 -> (C, H, W) float32 in [0, 1]."""
    return image.transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def normalise(image: NDArray[np.float32], mean: NDArray[np.float32], std: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C, H, W): each channel minus its mean (C,), divided by its standard deviation (C,)."""
    return (image - mean[:, None, None]) / std[:, None, None]


def convolve_at(patch: Floats, weight: Floats, bias: Floats | float) -> Floats:
    """All F filters at one position: patch (C, k, k), weight (F, C, k, k), bias (F,) or 0 -> (F,)."""
    sums: Floats = (weight * patch).sum(axis=(1, 2, 3)) + bias
    return sums


def linear(features: Floats, weight: Floats, bias: Floats | float) -> Floats:
    """One layer: features (D,), weight (K, D), bias (K,) or 0 -> (K,)."""
    sums: Floats = weight @ features + bias
    return sums


def batch_norm(maps: Floats, mean: Floats, variance: Floats, scale: Floats, shift: Floats, epsilon: float) -> Floats:
    """(C, h, w) in eval mode: statistics are those kept from training; all four are (C, 1, 1)."""
    normed: Floats = (maps - mean) / np.sqrt(variance + epsilon) * scale + shift
    return normed


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) -> (K,): the textbook's formula, which overflows for logits above 709."""
    probabilities: NDArray[np.float64] = np.exp(logits) / np.exp(logits).sum()
    return probabilities


def cross_entropy(
    logits: NDArray[np.float64], label: int, smoothing: float, class_weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(K,) -> (1,), nats: minus log-probability times target times class weight, summed over the K classes."""
    target = np.full(len(logits), smoothing / len(logits))
    target[label] += 1 - smoothing
    log_probabilities = logits - np.log(np.exp(logits).sum())
    return np.array([-(target * class_weights * log_probabilities).sum()])


def most_probable(probabilities: NDArray[np.float64], count: int) -> list[int]:
    """The `count` classes with the largest probability; equals in class order."""
    return sorted(range(len(probabilities)), key=lambda k: (-probabilities[k], k))[:count]


def views(image: NDArray[np.uint8], tta: TTA) -> list[tuple[float, NDArray[np.uint8]]]:
    """Weights and pictures (H, W, C) that `predict.predict.views` makes of a batch."""
    height, width, _ = image.shape
    pad, windows = _WINDOWS[tta]
    padded, seen = reflect_pad(image, pad), []
    for weight, top, left in windows:
        window = crop(padded, top, left, height, width)
        seen += [(weight, window)] if tta == "none" else [(weight / 2, window), (weight / 2, mirror(window))]
    return seen


def average(weights: Floats, logits: Floats) -> Floats:
    """Weights (V,) of the views and their logits (V, K) -> (K,)."""
    mean: Floats = (weights[:, None] * logits).sum(axis=0)
    return mean
