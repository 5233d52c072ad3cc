"""Pictures whose content does not matter: uniform noise, made faster than any data set is read."""

from __future__ import annotations

import numpy as np

from snellen.data.labeled_images import LabeledImages

MEAN, STD = (0.5, 0.5, 0.5), (0.29, 0.29, 0.29)
"""Channel statistics of uniform noise, in units of [0, 1]."""


def noise_images(count: int, *, side: int = 32, classes: int = 10) -> LabeledImages:
    """`count` RGB pictures (N, side, side, 3) of noise in the role "train", the same each time."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % classes
    names = tuple(f"class {number}" for number in range(classes))
    return LabeledImages(pixels, labels, names, np.arange(count, dtype=np.int64), "train", "noise")
