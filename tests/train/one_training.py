"""A training on images that a test makes up, to be led step by step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from snellen.data.labeled_images import LabeledImages
from snellen.data.pixel_statistics import PixelStatistics
from snellen.data.splits import Splits
from snellen.recipes.recipe import Recipe
from snellen.train.batches import Batch
from snellen.train.precision import DeviceAndPrecision
from snellen.train.setup import TrainingSetup
from snellen.train.training import Training

MEAN, STD = (0.5,) * 3, (0.2,) * 3


def training_of(
    recipe: Recipe,
    *,
    count: int = 8,
    classes: int = 4,
    compute: DeviceAndPrecision | None = None,
    schedule: Callable[[int], float] = lambda step: 1.0,
) -> Training:
    """A training on `count` grey pictures of 16x16 px, on the CPU and at the full rate where nothing else is asked."""
    numbers = np.arange(count, dtype=np.int64)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    names = tuple(map(str, range(classes)))
    images = LabeledImages(pixels, numbers % classes, names, numbers, "train", "made up")
    statistics = PixelStatistics(MEAN, STD, "train", "made up", count)
    setup = TrainingSetup(
        recipe, Splits(images, None, None), statistics, 0, compute or DeviceAndPrecision(), "made up"
    )  # fmt: skip
    training = Training(setup, steps=1_000, schedule=schedule)
    training.model.train()
    return training


def batch_of(images: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None) -> Batch:
    """A batch that no `Batches` made: of the first training images, as far as anyone remembers their losses."""
    return Batch(images, targets, weights, torch.arange(len(targets)))
