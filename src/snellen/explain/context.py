"""What a trace starts from: a run with its data, and one picture of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.augment.draws import Draws, draw
from snellen.data.labeled_images import LabeledImages
from snellen.data.pixel_statistics import PixelStatistics, measure
from snellen.data.run_images import RunImages
from snellen.errors import InvalidSetting, RunError
from snellen.models.normalized import Classifier
from snellen.models.weights import restore
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.recipes.recipe import Augment, Recipe
from snellen.runs.run import Run

Side = Literal["val", "train"]
"""The splits a trace may begin in; test pictures stay sealed."""


@dataclass(frozen=True, eq=False)
class Context:
    """All that the traces of one run share.

    The model is on the CPU, in eval mode; the statistics were measured again on train, or are those of published
    weights; `stored` are the val predictions that were written down, or None.
    """

    run: Run
    model: Classifier
    images: RunImages
    statistics: PixelStatistics
    stored: Predictions | None

    @property
    def recipe(self) -> Recipe:
        """Of the run."""
        return self.run.recipe

    def done_before(self, epoch: int) -> float:
        """Fraction of all steps that come before this epoch, counted from 0."""
        count = len(self.images.train)
        per_epoch = count // min(self.recipe.batch_size, count)
        return epoch * per_epoch / max(1, round(self.recipe.epochs_on(count) * per_epoch))

    def side_in_epoch(self, epoch: int) -> int:
        """Pixels a side of the training images at the first step of this epoch, counted from 0."""
        return self.recipe.side_at(self.done_before(epoch), full=min(self.images.train.image_shape[:2]))


@dataclass(frozen=True, eq=False)
class TracedImage:
    """The picture that is followed: a row of `images`, train or val; `epoch`, from 0, has the draws that are shown."""

    context: Context
    images: LabeledImages
    row: int
    epoch: int

    @cached_property
    def alone(self) -> LabeledImages:
        """The picture as a set of one."""
        return self.images.take(np.array([self.row]), self.images.role)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, C) uint8."""
        pixels: NDArray[np.uint8] = self.alone.images[0]
        return pixels

    @property
    def batch(self) -> torch.Tensor:
        """(1, H, W, C) uint8."""
        return torch.from_numpy(self.alone.images)

    @property
    def image_id(self) -> int:
        """Position in the source file."""
        return int(self.alone.ids[0])

    @property
    def name(self) -> str:
        """What to call it: its file, or "#ID"."""
        return self.alone.names[0]

    @property
    def label(self) -> str:
        """Name of the class it is said to be."""
        return self.images.class_names[int(self.alone.labels[0])]

    @property
    def augment(self) -> Augment:
        """How pictures are changed in this epoch; of versions kept for a frozen part, the first is plain."""
        recipe = self.context.recipe
        return Augment() if self.version_of and self.version == 0 else recipe.augment

    @property
    def version_of(self) -> int:
        """How many versions of each picture are kept as a frozen part sees them; 0 where none are."""
        finetune = self.context.recipe.finetune
        return finetune.versions if finetune is not None and finetune.frozen else 0

    @property
    def version(self) -> int:
        """The epoch that the draws are of: where versions of the pictures are kept, they come again."""
        return self.epoch % self.version_of if self.version_of else self.epoch

    @cached_property
    def draws(self) -> Draws[NDArray[Any]]:
        """What chance decided for it in this epoch, one row."""
        seed = int(self.context.run.info["seed"])
        return draw(self.augment, seed=seed, epoch=self.version, count=self.row + 1).at(np.array([self.row]))

    @property
    def source(self) -> Path:
        """What the data were read from, if they were read at all."""
        return Path(self.context.images.dataset.source)

    @property
    def is_cifar10(self) -> bool:
        """Whether it lies as a row in one of CIFAR-10's files."""
        return self.images.name == "cifar10" and self.source.is_dir()

    @property
    def file(self) -> tuple[str, Path | None]:
        """Name and place of the file it was decoded from; without place if it lies in a shard, "" if there is none."""
        name = self.name if self.images.files else ""
        path = (self.source if self.source.is_dir() else self.source.parent) / name
        return name, path if path.is_file() else None


def context_of(run: Run, images: RunImages) -> Context:
    """Measure the run's images again, and restore its model.

    Raises:
        RunError: the run is not finished.
    """
    run.require_finished()
    said = run.info["statistics"]
    published = PixelStatistics(tuple(said["mean"]), tuple(said["std"]), "published")
    statistics = published if said.get("measured_on") == "published" else measure(images.train)
    return Context(run, restore(run), images, statistics, stored_predictions(run, "val"))


def find(context: Context, *, image: int | str | None, split: Side, epoch: int) -> TracedImage:
    """The image with this id or name; None takes the first of the split.

    Raises:
        RunError: the run kept no val images.
        InvalidSetting: there is no such image in the split, or no such epoch in the training.
    """
    images = context.images.train if split == "train" else context.images.val
    if images is None:
        raise RunError(f"{context.run.folder} was trained with --final and kept no val images. Use --split train.")
    epochs = math.ceil(context.recipe.epochs_on(len(context.images.train)))
    if not 0 <= epoch < epochs:
        raise InvalidSetting(f"--epoch {epoch} is not possible: this training has epochs 0 to {epochs - 1}.")
    known: Sequence[int | str] = images.names if isinstance(image, str) else images.ids.tolist()
    row = 0 if image is None else known.index(image) if image in known else None
    if row is None:
        shown = ", ".join(images.names[:3])
        other = "val" if split == "train" else "train"
        raise InvalidSetting(
            f"--image {image} is not in {split}, which holds {len(images):,} images such as {shown}. "
            f"It may be in the other split: --split {other}"
        )
    return TracedImage(context, images, row, epoch)
