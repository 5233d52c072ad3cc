"""What one training needs, gathered before the first step: nothing is decided later."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from snellen.data.dataset import Dataset
from snellen.data.pixel_statistics import PixelStatistics, measure
from snellen.data.splits import Splits, split, split_final
from snellen.errors import DataError, InvalidSetting, unknown_name
from snellen.guards.data_guards import balanced_weights
from snellen.models.catalog import ModelSpec, build
from snellen.models.device import keep_freed_memory
from snellen.models.normalized import Classifier
from snellen.models.pretrained import LoadReport, load_pretrained
from snellen.recipes.recipe import Recipe
from snellen.train.batches import Batches
from snellen.train.ddp import ALONE, Workers
from snellen.train.precision import Placement, place
from snellen.train.pruning import Pruning


@dataclass(frozen=True)
class TrainingSetup:
    """A recipe with the data, seed and device it is applied to.

    Attributes:
        recipe: every choice.
        splits: train and val; val is None when `final`.
        statistics: mean and std of the training images only.
        seed: of initialisation, order and augmentation.
        placement: device and precision, with the reason.
        source: where the data came from, for people.
        loading: how a user's own pictures were read; empty for other data.
        files: the file each id stands for; empty where there are none.
        weights: the .safetensors file to begin with, "pretrained" for the library's own, or None for random ones.
        taken: what that file gave.
    """

    recipe: Recipe
    splits: Splits
    statistics: PixelStatistics
    seed: int
    placement: Placement
    source: str
    loading: dict[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    weights: Path | Literal["pretrained"] | None = None
    taken: LoadReport | None = None

    @property
    def final(self) -> bool:
        """Whether all training images are used and nothing is selected on val."""
        return self.splits.val is None

    def new_model(self) -> Classifier:
        """The model before its first step, on the CPU; equal for equal seeds."""
        train = self.splits.train
        model = build(
            ModelSpec(
                self.recipe.model,
                image_shape=train.image_shape,
                num_classes=train.num_classes,
                mean=self.statistics.mean,
                std=self.statistics.std,
                options=self.recipe.model_options,
            ),
            seed=self.seed,
            pretrained=self.weights == "pretrained",
        )
        if isinstance(self.weights, Path):
            load_pretrained(model, self.weights)
        return model

    def batches(self, workers: Workers = ALONE) -> Batches:
        """The training batches, on the job's device, or this worker's share of them.

        Raises:
            InvalidSetting: there are fewer than two images for each worker.
        """
        made = Batches(
            self.splits.train,
            batch_size=self.recipe.batch_size,
            augment=self.recipe.augment,
            seed=self.seed,
            device=self.placement.device,
            sampling=self.recipe.sampling,
            share=(workers.rank, workers.count),
        )
        smallest = made.batch_size
        if self.recipe.prune is not None:
            easy, kept = self.recipe.prune.easy_and_kept(smallest)
            smallest += kept - easy
        if workers.count > 1 and smallest < 2 * workers.count:
            raise InvalidSetting(
                f"A batch of {smallest} images cannot be shared by {workers.count} workers: each needs two for "
                "its batch norms. Start fewer, or take larger batches: --set batch_size=…"
            )
        return made

    def pruning(self, steps: int) -> Pruning | None:
        """The memory of which images are easy, over a training of `steps` steps; None where all are trained on."""
        prune, count = self.recipe.prune, len(self.splits.train)
        if prune is None:
            return None
        return Pruning(prune, count=count, steps=steps, seed=self.seed, device=self.placement.device)

    def class_weights(self) -> torch.Tensor | None:
        """(K,) float32 on the job's device, or None where the recipe weighs all images alike."""
        if self.recipe.class_weights == "none":
            return None
        weights = balanced_weights(self.splits.train.counts)
        return torch.tensor(weights, dtype=torch.float32, device=self.placement.device)

    def describe(self) -> dict[str, Any]:
        """The entries of `run.json` that identify this job, JSON-able."""
        train, val = self.splits.train, self.splits.val
        return {
            "data": {
                "name": train.name,
                "source": self.source,
                **({"loading": self.loading} if self.loading else {}),
                "image_shape": list(train.image_shape),
                "class_names": list(train.class_names),
                "train": {"count": len(train), "per_class": train.counts.tolist(), "fingerprint": train.fingerprint},
                "val": val and {"count": len(val), "per_class": val.counts.tolist(), "fingerprint": val.fingerprint},
            },
            "statistics": {
                "mean": list(self.statistics.mean),
                "std": list(self.statistics.std),
                "measured_on": self.statistics.source,
            },
            **({"start": self.taken.describe() if self.taken else {"file": "pretrained"}} if self.weights else {}),
            "seed": self.seed,
            "final": self.final,
            "device": str(self.placement.device),
            "precision": self.placement.precision,
            "precision_reason": self.placement.reason,
            # Sums are taken in pieces, one per thread: another number of threads gives other last bits.
            "threads": torch.get_num_threads(),
        }


def prepare(
    recipe: Recipe,
    dataset: Dataset,
    *,
    seed: int,
    final: bool = False,
    device: str = "auto",
    precision: str = "auto",
    weights: Path | Literal["pretrained"] | None = None,
) -> TrainingSetup:
    """Split, measure the training images, choose device and precision.

    Args:
        final: train on train + val with a fixed schedule and no selection, for a last number.
        weights: to begin with instead of random ones.

    Raises:
        BadSplit: a class is too small to be split.
        InvalidSetting: seed, device, precision, model or image size do not fit.
    """
    if not 0 <= seed < 2**32:
        raise InvalidSetting(f"--seed {seed} is not possible: a whole number from 0 to {2**32 - 1}.")
    keep_freed_memory()  # before the first large tensor of this process
    splits = split_final(dataset) if final else split(dataset)
    statistics = measure(splits.train)
    job = TrainingSetup(
        recipe, splits, statistics, seed, Placement.nowhere(), dataset.source, dataset.loading, dataset.files, weights
    )  # fmt: skip
    model = job.new_model()
    _require_effect(recipe, model, splits.train.image_shape)
    placement = place(model, splits.train.image_shape, device=device, precision=precision)
    taken = load_pretrained(model, weights) if isinstance(weights, Path) else None
    return replace(job, placement=placement, taken=taken)


def _require_effect(recipe: Recipe, model: Classifier, image_shape: tuple[int, int, int]) -> None:
    """Refuse freezes that freeze nothing and stages on images the model cannot take, before hours are spent."""
    names = [name for name, _ in model.named_parameters()]
    for freeze in recipe.freezes:
        if not any(name.startswith(freeze.prefix) for name in names):
            raise unknown_name("parameter in freezes.prefix", freeze.prefix, names, list_with="snellen recipes sprint")
    height, width, channels = image_shape
    for stage in recipe.resolutions:
        scale = min(1.0, stage.side / min(height, width))
        try:
            with torch.inference_mode():
                model.eval()(torch.zeros(1, channels, round(height * scale), round(width * scale)))
        except RuntimeError:
            raise InvalidSetting(
                f"resolutions.side={stage.side} is not possible: {recipe.model} for images of {height}x{width} px "
                "cannot take smaller ones of that size."
            ) from None
    model.train()


def resume_setup(info: dict[str, Any], recipe: Recipe, dataset: Dataset) -> TrainingSetup:
    """The job of an interrupted run, to go on with, on as many threads as it began with.

    Raises:
        DataError: the data are not those the run began with.
    """
    job = prepare(
        recipe, dataset, seed=info["seed"], final=info["final"], device=info["device"], precision=info["precision"]
    )
    began_with = info["data"]["train"]["fingerprint"]
    if job.splits.train.fingerprint != began_with:
        raise DataError(
            f"The run was trained on {info['data']['name']} with fingerprint {began_with[:12]}…, but {dataset.source} "
            f"holds {job.splits.train.fingerprint[:12]}…. Resume with the same data, or train a new run."
        )
    torch.set_num_threads(info.get("threads", torch.get_num_threads()))  # or the last bits would differ
    return job
