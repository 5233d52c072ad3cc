"""What a walk through the pipeline starts from: a run with its data, and one image of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.pixel_statistics import PixelStatistics, measure
from snellen.data.splits import split, split_final
from snellen.errors import DataError, InvalidSetting, RunError
from snellen.models.normalized import Classifier
from snellen.models.restore import restore
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run

Side = Literal["val", "train"]
"""The splits a walk may begin in; test pictures stay sealed."""


@dataclass(frozen=True, eq=False)
class Context:
    """All that the walks through one run share.

    Attributes:
        run: with weights.
        recipe: of the run.
        model: its weights, on the CPU, in eval mode.
        train: the images it was trained on.
        val: the images it was chosen by, or None after a --final training.
        statistics: mean and std, measured again on `train`.
        source: the data's folder, or the words that say how they were made.
        stored: the val predictions that were written down, or None.
    """

    run: Run
    recipe: Recipe
    model: Classifier
    train: LabeledImages
    val: LabeledImages | None
    statistics: PixelStatistics
    source: str
    stored: Predictions | None

    def side_in_epoch(self, epoch: int) -> int:
        """Pixels a side of the training images at the first step of this epoch, counted from 0."""
        per_epoch = max(1, len(self.train) // min(self.recipe.batch_size, len(self.train)))
        steps = max(1, round(self.recipe.epochs * per_epoch))
        return self.recipe.side_at(epoch * per_epoch / steps, full=min(self.train.image_shape[:2]))


@dataclass(frozen=True, eq=False)
class Subject:
    """One image on that ground.

    Attributes:
        ground: see there.
        split: which of its two sets of images.
        row: position in that set.
        epoch: of the training whose draws are shown, from 0.
    """

    ground: Context
    split: Side
    row: int
    epoch: int

    @property
    def images(self) -> LabeledImages:
        """The set the image belongs to."""
        images = self.ground.train if self.split == "train" else self.ground.val
        assert images is not None, "`find` asks for it"
        return images

    @property
    def image(self) -> NDArray[np.uint8]:
        """(H, W, C) uint8."""
        image: NDArray[np.uint8] = self.images.images[self.row]
        return image

    @property
    def image_id(self) -> int:
        """Position in the source file."""
        return int(self.images.ids[self.row])

    @property
    def label(self) -> int:
        """The class it is said to be."""
        return int(self.images.labels[self.row])


def context_of(run: Run, dataset: Dataset) -> Context:
    """Split the data as the run did, measure them again, and restore its model.

    Raises:
        RunError: the run has no weights yet.
        DataError: these are not the images it was trained on.
    """
    model = restore(run)
    info = run.info
    parts = split_final(dataset) if info["final"] else split(dataset)
    if parts.train.fingerprint != info["data"]["train"]["fingerprint"]:
        raise DataError(
            f"The training images of {dataset.name} ({dataset.source}) are not those that {run.folder} was trained on. "
            "Name the right ones with --data."
        )
    path = run.folder / "predictions_val.npz"
    return Context(
        run=run,
        recipe=run.recipe,
        model=model,
        train=parts.train,
        val=parts.val,
        statistics=measure(parts.train),
        source=dataset.source,
        stored=Predictions.load(path) if parts.val is not None and path.exists() else None,
    )


def find(ground: Context, *, image_id: int | None, split: Side, epoch: int) -> Subject:
    """The image with this id; None takes the first of the split.

    Raises:
        RunError: the run kept no val images.
        InvalidSetting: there is no such image in the split, or no such epoch in the training.
    """
    images = ground.train if split == "train" else ground.val
    if images is None:
        raise RunError(f"{ground.run.folder} was trained with --final and kept no val images. Walk with --split train.")
    epochs = math.ceil(ground.recipe.epochs)
    if not 0 <= epoch < epochs:
        raise InvalidSetting(f"--epoch {epoch} is not possible: this training has epochs 0 to {epochs - 1}.")
    at = np.flatnonzero(images.ids == (images.ids[0] if image_id is None else image_id))
    if len(at) == 0:
        shown = ", ".join(map(str, images.ids[:3].tolist()))
        other = "val" if split == "train" else "train"
        raise InvalidSetting(
            f"--image {image_id} is not in {split}, which holds {len(images):,} images with ids such as {shown}. "
            f"It may be in the other split: --split {other}"
        )
    return Subject(ground, split, int(at[0]), epoch)


def folder_of(subject: Subject) -> Path | None:
    """Where CIFAR-10 was read from; None where nothing was read."""
    folder = Path(subject.ground.source)
    return folder if subject.images.name == "cifar10" and folder.is_dir() else None
