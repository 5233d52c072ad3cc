"""`step`: training speed per model, precision and image size, and what of it is arithmetic.

A training is held at one step, so that the step and its parts can be timed; what its pictures show does not matter.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from snellen.augment.batched import resize_side
from snellen.bench.catalog import Settings
from snellen.bench.protocol import Measurement, conditions_here, time_repeatedly
from snellen.data.labeled_images import LabeledImages
from snellen.data.pixel_statistics import PixelStatistics
from snellen.data.splits import Splits
from snellen.models.device import choose_device, keep_freed_memory
from snellen.models.summary import multiply_adds
from snellen.recipes.catalog import find_recipe
from snellen.recipes.recipe import Recipe
from snellen.train.batches import Batch
from snellen.train.precision import DeviceAndPrecision, Precision
from snellen.train.setup import TrainingSetup
from snellen.train.training import Training

MEAN, STD = (0.5, 0.5, 0.5), (0.29, 0.29, 0.29)
"""Channel statistics of uniform noise, in units of [0, 1]."""
_SMALL_LR = 1e-4  # as a fraction of the peak: the weights must stay finite on noise, the arithmetic is the same


def noise_images(count: int, *, side: int = 32, classes: int = 10) -> LabeledImages:
    """`count` RGB pictures (N, side, side, 3) of uniform noise in the role "train", the same each time."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % classes
    names = tuple(f"class {number}" for number in range(classes))
    return LabeledImages(pixels, labels, names, np.arange(count, dtype=np.int64), "train", "noise")


@dataclass(frozen=True)
class Stage:
    """A part of a training with images of one size.

    Attributes:
        side: pixels.
        share: of all steps, a fraction.
        middle: the point of the training halfway through the stage, a fraction.
    """

    side: int
    share: float
    middle: float


def stages(recipe: Recipe, full: int) -> list[Stage]:
    """The recipe's stages for images of side `full`, in order; one where it has none."""
    borders = [0.0, *(stage.until for stage in recipe.resolutions), 1.0]
    parts = [(end - start, (start + end) / 2) for start, end in pairwise(borders)]
    return [Stage(recipe.side_at(middle, full=full), share, middle) for share, middle in parts]


class TrainingStep:
    """A training of a recipe that stays at one point: its weights move, image size and frozen parameters do not.

    Args:
        recipe: every choice but pruning, which would make batches of several sizes.
        images: (N, H, W, C) in the role "train"; what they show does not matter.
        compute: that does the work.
        stage: the point of the training.
    """

    def __init__(self, recipe: Recipe, images: LabeledImages, compute: DeviceAndPrecision, stage: Stage) -> None:
        keep_freed_memory()  # as a training does
        channels = images.image_shape[2]
        statistics = PixelStatistics(MEAN[:channels], STD[:channels], "train", "noise", len(images))
        setup = TrainingSetup(
            recipe.replace(data_pruning=None),
            Splits(images, None, None),
            statistics,
            0,
            compute,
            {"name": "noise", "source": "noise"},
        )
        self.training = Training(setup, steps=sys.maxsize, schedule=lambda step: _SMALL_LR, held_at=stage.middle)
        self.batch_size = self.training.batch_size
        self._image_shape = (stage.side, stage.side, channels)
        self._batches = self.training.batches()

    def batch(self) -> Batch:
        """The next batch, gathered, augmented and of the stage's size; or what a frozen part made of it."""
        batch = next(self._batches)
        if self.training.kept is not None:
            return batch
        by = self.training.setup.recipe.resized_by(self.training.done)
        return replace(batch, images=resize_side(batch.images, self._image_shape[0], by))

    def whole(self) -> torch.Tensor:
        """A whole step: make a batch, learn from it; returns the summed loss on the device."""
        return self.training.step(self.batch())

    def flop_per_image(self) -> float:
        """Floating-point operations of a step for one image: forward, and twice as much backward.

        What freezing saves is not subtracted, so that recipes can be compared.
        """
        return 3 * 2 * multiply_adds(self.training.model, self._image_shape)


RECIPES = ("mlp", "plain", "small_cnn", "resnet18", "sprint")
"""One for each model."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
QUICK_BATCH = 64
_FIGURES = ("images/s", "ms/step", "GFLOP/image", "GFLOP/s")


def measure(settings: Settings, recipes: Sequence[Recipe] = ()) -> Iterator[Measurement]:
    """One line per recipe, precision and stage of image size; `recipes` are measured as they are."""
    device = choose_device(settings.device)
    for recipe in recipes or asked_for(settings, RECIPES):
        images = noise_images(2 * recipe.batch_size)
        for precision in PRECISIONS:
            for stage in stages(recipe, images.image_shape[0]):
                yield measure_step(recipe, images, DeviceAndPrecision(device, precision), stage, settings)


def asked_for(settings: Settings, usual: Sequence[str]) -> list[Recipe]:
    """The recipe that was named, or the usual ones; with a small batch where the measurement is to be quick."""
    recipes = [find_recipe(name) for name in ((settings.recipe,) if settings.recipe else usual)]
    return [r.replace(batch_size=min(r.batch_size, QUICK_BATCH)) if settings.quick else r for r in recipes]


def measure_step(
    recipe: Recipe, images: LabeledImages, compute: DeviceAndPrecision, stage: Stage, settings: Settings
) -> Measurement:
    """Time whole training steps of one recipe in one precision and at one stage; a step makes its own batch."""
    case = f"{recipe.name} {compute.precision} {stage.side} px, batch {recipe.batch_size}"
    conditions = conditions_here(device=compute.device, precision=compute.precision, batch=recipe.batch_size)
    try:
        step = TrainingStep(recipe, images, compute, stage)
        timing = time_repeatedly(
            step.whole, warmup=2, repeats=settings.repeats, synchronize=compute.synchronize, conditions=conditions
        )
    except RuntimeError as error:  # no bf16 kernel for a layer, or not enough memory
        reason = str(error).splitlines()[0]
        return Measurement("step", case, dict.fromkeys(_FIGURES), conditions, note=f"failed: {reason}")
    rate = step.batch_size / timing.median
    flop = step.flop_per_image()
    figures = dict(zip(_FIGURES, (rate, 1e3 * timing.median, flop / 1e9, rate * flop / 1e9), strict=True))
    return Measurement("step", case, figures, timing.conditions, timing)
