"""Mean and standard deviation of each channel, of training images only.

The first layer of each model subtracts and divides by them. Measured on the test set they would be a leak, small but
real, so the role of the images is asked first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages, Role
from snellen.errors import DataError

CHUNK_IMAGES = 500
"""bincount widens each byte to 8; a part at a time stays in the processor's cache."""


@dataclass(frozen=True)
class PixelStatistics:
    """What normalisation needs to know.

    Attributes:
        mean: per channel, as fractions: 0 is black, 1 is 255.
        std: per channel, population standard deviation over all pixels, same unit.
        source: role of the images measured, "train" or "train+val"; "published" for those of published weights.
        fingerprint: of the images measured; empty for published ones.
        count: number of images measured; 0 for published ones.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: Role | Literal["published"]
    fingerprint: str = ""
    count: int = 0


def measure(images: LabeledImages) -> PixelStatistics:
    """Mean and standard deviation per channel, exact to the last bit: counted in whole numbers, divided once.

    CIFAR-10's 50,000: mean 0.4914 0.4822 0.4465, std 0.2470 0.2435 0.2616. The std 0.2023 0.1994 0.2010 found in many
    repositories is another thing: the mean of each image's own standard deviation.

    Raises:
        DataError: the images' role is not "train" or "train+val", there are none, or a channel is the same everywhere.
    """
    if images.role not in ("train", "train+val"):
        way_out = "Split first: splits.split(dataset)." if images.role == "all" else "Measure them on the train split."
        raise DataError(
            f"Pixel statistics of {images.name} must come from training images; these have the role {images.role!r}. "
            + way_out
        )
    if len(images) == 0:
        raise DataError(f"{images.name} has no training images; the mean of nothing is not 0.")
    mean, std = channel_moments(images.images)
    if 0 in std:
        raise DataError(f"{images.name}: a channel has one and the same value in all images; there is nothing to see.")
    return PixelStatistics(mean, std, source=images.role, fingerprint=images.fingerprint, count=len(images))


def channel_moments(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of (N, H, W, C) uint8, as fractions."""
    mean, std = zip(*map(_mean_and_std, _histograms(images).tolist()), strict=True)
    return mean, std


def _histograms(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(C, 256) int64: how often each channel takes each value."""
    channels = images.shape[3]
    counted = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(images), CHUNK_IMAGES):
        part = images[start : start + CHUNK_IMAGES]
        for channel in range(channels):
            counted[channel] += np.bincount(part[..., channel].ravel(), minlength=256)
    return counted


def _mean_and_std(histogram: list[int]) -> tuple[float, float]:
    # Python's integers do not overflow and do not round: the variance loses no digit to cancellation.
    pixels = sum(histogram)
    total = sum(value * times for value, times in enumerate(histogram))
    squares = sum(value * value * times for value, times in enumerate(histogram))
    return total / (255 * pixels), sqrt((pixels * squares - total * total) / (255 * pixels) ** 2)
