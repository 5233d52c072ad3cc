"""What one training needs, gathered before the first step: nothing is decided later."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from snellen import parts
from snellen.data.dataset import Dataset
from snellen.data.pixel_statistics import PixelStatistics, measure
from snellen.data.splits import Splits, split, split_final
from snellen.errors import InvalidSetting, RunError, unknown_name
from snellen.models.catalog import ModelSpec, build, is_own, pixel_range
from snellen.models.device import keep_freed_memory
from snellen.models.normalized import Classifier
from snellen.models.pretrained import PUBLISHED
from snellen.models.pretrained import describe as published_source
from snellen.models.split import before
from snellen.models.weights import LoadReport, load_pretrained
from snellen.paths import user_path
from snellen.recipes.recipe import Recipe, TorchOptimizer
from snellen.train.batches import Batches
from snellen.train.losses import batch_losses
from snellen.train.optimizers import build_optimizers, hold_fixed
from snellen.train.precision import DeviceAndPrecision, choose_compute
from snellen.train.schedules import shape_of


@dataclass(frozen=True)
class TrainingSetup:
    """A recipe with the data, seed and device it is applied to.

    Attributes:
        recipe: every choice.
        splits: train and val; val is None when `final`.
        statistics: mean and std of the training images only, or those that pretrained weights came with.
        seed: of initialisation, order and augmentation.
        compute: device and precision, with the reason.
        read_as: where the data came from, how own pictures were read and their labels corrected, as `Dataset.read_as`.
        weights: the .safetensors file to begin with, "pretrained" for the library's own, or None for random ones.
        load_report: what that file gave.
    """

    recipe: Recipe
    splits: Splits
    statistics: PixelStatistics
    seed: int
    compute: DeviceAndPrecision
    read_as: dict[str, Any]
    weights: Path | Literal["pretrained"] | None = None
    load_report: LoadReport | None = None

    @property
    def final(self) -> bool:
        """Whether all training images are used and nothing is selected on val."""
        return self.splits.val is None

    def new_model(self) -> Classifier:
        """The model on the CPU as it is built and loaded, before any image was seen; equal for equal seeds."""
        recipe, train, measured = self.recipe, self.splits.train, self.statistics
        spec = ModelSpec(
            recipe.model, train.image_shape, train.num_classes, measured.mean, measured.std, recipe.model_options
        )
        model = build(spec, seed=self.seed, pretrained=self.weights == "pretrained")
        if isinstance(self.weights, Path):
            load_pretrained(model, self.weights, train.class_names)
        return model

    def describe(self) -> dict[str, Any]:
        """The entries of `run.json` that identify this training, JSON-able."""
        train, val, measured = self.splits.train, self.splits.val, self.statistics
        start = self.load_report.describe() if self.load_report else {"file": "pretrained"}
        if self.weights == "pretrained" and self.recipe.model in PUBLISHED:
            start |= published_source(self.recipe.model)
        return {
            "data": {
                **self.read_as,
                "image_shape": list(train.image_shape),
                "class_names": list(train.class_names),
                "train": {"count": len(train), "per_class": train.counts.tolist(), "fingerprint": train.fingerprint},
                "val": val and {"count": len(val), "per_class": val.counts.tolist(), "fingerprint": val.fingerprint},
                "test": None if self.splits.test is None else self.splits.test.describe(),
            },
            "statistics": {"mean": list(measured.mean), "std": list(measured.std), "measured_on": measured.source},
            **({"start": start} if self.weights else {}),
            **({"parts": own} if (own := parts.sources(self.recipe.parts)) else {}),
            "seed": self.seed,
            "final": self.final,
            "device": str(self.compute.device),
            "precision": self.compute.precision,
            "precision_reason": self.compute.reason,
            # Sums are taken in pieces, one per thread: another number of threads gives other last bits.
            "threads": torch.get_num_threads(),
        }


def prepare(
    recipe: Recipe, dataset: Dataset, *, seed: int, final: bool = False, device: str = "auto", precision: str = "auto"
) -> TrainingSetup:
    """Split, measure the training images, choose device and precision.

    Args:
        final: train on train + val with a fixed schedule and no selection, for a last number.

    Raises:
        BadSplit: a class is too small to be split.
        InvalidSetting: seed, device, precision, model or image size do not fit.
    """
    if not 0 <= seed < 2**32:
        raise InvalidSetting(f"--seed {seed} is not possible: a whole number from 0 to {2**32 - 1}.")
    parts.sources(recipe.parts)  # whatever is not to be found is known now
    if final and recipe.patience:
        raise InvalidSetting(
            f"patience={recipe.patience} has no effect where nothing is kept as val to see whether it grows better: "
            "--set patience=0"
        )
    keep_freed_memory()  # before the first large tensor of this process
    splits = split_final(dataset) if final else split(dataset)
    statistics = measure(splits.train)
    compute = DeviceAndPrecision()  # until the model is there that it is chosen for
    setup = TrainingSetup(recipe, splits, statistics, seed, compute, dataset.read_as)
    if recipe.weights == "pretrained":
        setup = begin_with(setup, "pretrained")
    model, image_shape = setup.new_model(), splits.train.image_shape
    if recipe.finetune is not None:
        hold_fixed(model, recipe.finetune)
    if is_own(recipe.model):
        _require_answers(recipe, model, splits.train.num_classes, image_shape)
    _require_effect(recipe, model, image_shape)
    shape_of(recipe.schedule)
    build_optimizers(model, recipe)
    setup = replace(setup, compute=choose_compute(model, image_shape, device=device, precision=precision))
    own = is_own(recipe.model) or recipe.augment.before or recipe.augment.after or recipe.loss != "cross_entropy"
    if own or isinstance(recipe.optimizer, TorchOptimizer):
        _require_step(setup, model)
    return setup


def require_start(recipe: Recipe, weights: str | Path | None = None) -> None:
    """Refuse a recipe that begins with weights of somebody's own where none are named, instead of beginning at random.

    Raises:
        InvalidSetting: it is one.
    """
    if recipe.weights == "file" and weights is None:
        raise InvalidSetting(
            f"{recipe.name} begins with weights of your own, and none are named: snellen train --weights "
            "FILE.safetensors. With those that come with Snellen: --recipe transfer"
        )


def begin_with(setup: TrainingSetup, weights: str | Path) -> TrainingSetup:
    """The same training, begun with a .safetensors file, or what is published for its model, instead of random weights.

    Raises:
        InvalidSetting: the file cannot be read or is of another network.
    """
    if weights == "pretrained":
        if setup.splits.train.image_shape[2] != 3:
            raise InvalidSetting(
                f"The pretrained {setup.recipe.model} knows pictures in colour; these have one channel. Begin at "
                "random, as the recipe for own pictures does: --recipe folder"
            )
        mean, std = pixel_range(setup.recipe.model)
        return replace(setup, weights="pretrained", statistics=PixelStatistics(mean, std, source="published"))
    path = user_path(weights)
    train = setup.splits.train
    random = replace(setup, weights=None, statistics=measure(train))
    return replace(random, weights=path, load_report=load_pretrained(random.new_model(), path, train.class_names))


def _require_answers(recipe: Recipe, model: Classifier, num_classes: int, image_shape: tuple[int, int, int]) -> None:
    """Refuse a network of somebody's own that does not answer as one does."""
    height, width, channels = image_shape
    given = f"pictures of shape (N, {channels}, {height}, {width})"
    with parts.one_sentence(f"model={recipe.model} cannot answer {given}"), torch.inference_mode():
        answer = model.eval()(torch.zeros(2, channels, height, width))
    got = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
    if got != (2, num_classes):
        raise InvalidSetting(
            f"model={recipe.model} answers two pictures with {got}; it takes logits (N, {num_classes}), one "
            "for each class."
        )
    model.train()


def _require_step(setup: TrainingSetup, model: Classifier) -> None:
    """Refuse parts of somebody's own that cannot make one step, of two pictures; `model` has made it afterwards."""
    recipe, train, device = setup.recipe, setup.splits.train, setup.compute.device
    model.to(device).train()
    optimizers, made_by = build_optimizers(model, recipe), f"optimizer.name={getattr(recipe.optimizer, 'name', '')}"
    two = train.take(train.evenly(2), train.role)
    batch = next(Batches(two, recipe, seed=setup.seed, device=device).epoch(0))
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # a caller's own draws go on
        with parts.one_sentence(f"model={recipe.model} cannot learn from a batch of {len(batch.images)} pictures"):
            logits = model(batch.images)
        losses = batch_losses(
            logits, batch.targets, class_weights=None, label_smoothing=0.0, loss=parts.find("loss", recipe.loss)
        )
        for name, values in ((f"model={recipe.model} answers", logits), (f"loss={recipe.loss} gives", losses)):
            if not values.isfinite().all():
                raise InvalidSetting(f"{name} two pictures with what is no finite number, before the first step.")
        with parts.one_sentence(f"loss={recipe.loss} gives model={recipe.model} no gradient"):
            losses.sum().backward()  # type: ignore[no-untyped-call]
        with parts.one_sentence(f"{made_by} cannot make a step"):
            for optimizer in optimizers:
                optimizer.step()
    if not all(parameter.isfinite().all() for parameter in model.parameters()):
        raise InvalidSetting(f"{made_by} makes weights in its first step that are no finite numbers.")


def _require_effect(recipe: Recipe, model: Classifier, image_shape: tuple[int, int, int]) -> None:
    """Refuse freezes that freeze nothing and stages on images the model cannot take, before hours are spent."""
    names = [name for name, _ in model.named_parameters()]
    for freeze in recipe.freezes:
        if not any(name.startswith(freeze.prefix) for name in names):
            raise unknown_name("parameter in freezes.prefix", freeze.prefix, names, list_with="snellen recipes sprint")
    height, width, channels = image_shape
    if recipe.finetune is not None and (part := recipe.finetune.frozen):
        seen = before(model, part, bf16=False).activations(torch.zeros(1, channels, height, width))
        if seen.ndim != 4:
            raise InvalidSetting(
                f"finetune.frozen={part!r} is not possible: what it makes of a picture is no map of positions. Name an "
                "earlier part."
            )
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
    """The training of an interrupted run, to go on with on its own data."""
    if sentence := parts.changed(info.get("parts"), recipe.parts):
        raise RunError(f"{sentence} Go on with the file as it was, or train again under a new --name.")
    return prepare(
        recipe, dataset, seed=info["seed"], final=info["final"], device=info["device"], precision=info["precision"]
    )
