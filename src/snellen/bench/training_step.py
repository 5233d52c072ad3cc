"""A training held at one step, so that the step and its parts can be timed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from snellen.augment.batched import resize_side
from snellen.bench.noise import MEAN, STD
from snellen.data.labeled_images import LabeledImages
from snellen.data.pixel_statistics import PixelStatistics
from snellen.data.splits import Splits
from snellen.models.device import keep_freed_memory, return_freed_memory
from snellen.models.summary import multiply_adds
from snellen.recipes.recipe import Recipe
from snellen.train.batches import Batch, Batches
from snellen.train.freezing import apply_freezing, trainable_names
from snellen.train.optimizers import build_optimizers
from snellen.train.precision import Placement, Precision
from snellen.train.setup import TrainingSetup
from snellen.train.step import update

_SMALL_LR = 1e-4  # as a fraction of the peak: the weights must stay finite on noise, the arithmetic is the same


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
    ends = [*(stage.until for stage in recipe.resolutions), 1.0]
    starts = [0.0, *ends[:-1]]
    found = []
    for start, end in zip(starts, ends, strict=True):
        middle = (start + end) / 2
        found.append(Stage(recipe.side_at(middle, full=full), end - start, middle))
    return found


class TrainingStep:
    """Model, optimizers and batches of a recipe at one point of its training.

    Args:
        recipe: every choice; its batch is cut to the number of images.
        images: (N, H, W, C) in the role "train"; what they show does not matter.
        device: that does the work.
        precision: of convolutions and matrix products.
        stage: the point of the training: it decides about image size and frozen parameters.
    """

    def __init__(
        self, recipe: Recipe, images: LabeledImages, *, device: torch.device, precision: Precision, stage: Stage
    ) -> None:
        keep_freed_memory()  # as a training does
        self.recipe, self.stage = recipe, stage
        self.placement = Placement(device, precision, "asked for")
        model = _job(recipe, images, self.placement).new_model().to(device)
        self.model = model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.optimizers = build_optimizers(self.model, recipe)
        apply_freezing(self.model, recipe, trainable_names(self.model), done=stage.middle)
        self.batches = Batches(
            images, batch_size=recipe.batch_size, augment=recipe.augment, seed=0, device=device
        )  # fmt: skip
        self._endless = _endless(self.batches)
        self._image_shape = (stage.side, stage.side, images.image_shape[2])
        return_freed_memory()

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next batch, gathered, augmented and shrunk to the stage's size."""
        batch = next(self._endless)
        return resize_side(batch.images, self.stage.side), batch.targets

    def update(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Forward, loss, backward, optimizers; returns the summed loss on the device."""
        return update(
            self.model, images, labels,
            optimizers=self.optimizers, lr=_SMALL_LR, recipe=self.recipe, placement=self.placement,
        )[0]  # fmt: skip

    def whole(self) -> torch.Tensor:
        """A whole step: make a batch, update."""
        return self.update(*self.batch())

    def flop_per_image(self) -> float:
        """Floating-point operations of a step for one image: forward, and twice as much backward.

        What freezing saves is not subtracted, so that recipes can be compared.
        """
        return 3 * 2 * multiply_adds(self.model, self._image_shape)


def _job(recipe: Recipe, images: LabeledImages, placement: Placement) -> TrainingSetup:
    channels = images.image_shape[2]
    statistics = PixelStatistics(MEAN[:channels], STD[:channels], "train", "noise", len(images))
    return TrainingSetup(recipe, Splits(images, None, None), statistics, 0, placement, "noise")


def _endless(batches: Batches) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from batches.epoch(epoch)
        epoch += 1
