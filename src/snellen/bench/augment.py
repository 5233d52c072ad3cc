"""`augment`: how fast batches are made, and what share of a training step that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from snellen.bench.catalog import Settings
from snellen.bench.protocol import Comparison, Measurement, compare, conditions_here, percentile, time_repeatedly
from snellen.bench.step import Stage, TrainingStep, asked_for, noise_images, stages
from snellen.data.labeled_images import LabeledImages
from snellen.models.device import choose_device
from snellen.recipes.recipe import Recipe
from snellen.train.batches import Batches
from snellen.train.precision import DeviceAndPrecision, choose_compute

RECIPES = ("sprint", "small_cnn", "resnet18")
_IMAGES, _QUICK_IMAGES = 50_000, 2_000
_SHARE = ("batch µs/image", "step µs/image", "share of step %")


def measure(settings: Settings, recipes: Sequence[Recipe] = ()) -> Iterator[Measurement]:
    """Per recipe: batches of a whole epoch, and their share of a step at each stage; `recipes` as they are."""
    device = choose_device(settings.device)
    images = noise_images(_QUICK_IMAGES if settings.quick else _IMAGES)
    for recipe in recipes or asked_for(settings, RECIPES):
        yield measure_epoch(recipe, images, device=device, settings=settings)
        compute = chosen_compute(recipe, images, device)
        found = []
        for stage in stages(recipe, images.image_shape[0]):
            line, comparison = _measure_share(recipe, images, compute, stage, settings)
            found.append((stage, comparison))
            yield line
        if len(found) > 1:
            yield _whole_training(recipe, found)


def measure_epoch(recipe: Recipe, images: LabeledImages, *, device: torch.device, settings: Settings) -> Measurement:
    """Images per second of all batches of an epoch: draws, order, gather, crop, mirror, jitter; nothing else."""
    batches = Batches(images, recipe, seed=0, device=device)
    timing = time_repeatedly(
        lambda: sum(1 for _ in batches.epoch(0)),
        warmup=1,
        repeats=settings.repeats,
        synchronize=DeviceAndPrecision(device).synchronize,
        conditions=conditions_here(device=device, precision="fp32", batch=batches.batch_size),
    )
    count = batches.steps_per_epoch * batches.batch_size
    figures = {"images/s": count / timing.median, "µs/image": 1e6 * timing.median / count}
    case = f"{recipe.name}, {count:,} images in batches of {batches.batch_size}"
    return Measurement("augment", case, figures, timing.conditions, timing)


def chosen_compute(recipe: Recipe, images: LabeledImages, device: torch.device) -> DeviceAndPrecision:
    """What a training would choose: the faster the step, the larger the share."""
    stage = stages(recipe, images.image_shape[0])[-1]
    step = TrainingStep(recipe, images, DeviceAndPrecision(), stage)
    return choose_compute(step.training.model, images.image_shape, device=str(device), precision="auto")


def _measure_share(
    recipe: Recipe, images: LabeledImages, compute: DeviceAndPrecision, stage: Stage, settings: Settings
) -> tuple[Measurement, Comparison]:
    step = TrainingStep(recipe, images, compute, stage)
    batch = step.batch()
    conditions = conditions_here(device=compute.device, precision=compute.precision, batch=step.batch_size)
    comparison = compare(
        step.batch, lambda: step.training.step(batch), warmup=2, repeats=settings.repeats,
        synchronize=compute.synchronize, conditions=(conditions, conditions),
    )  # fmt: skip
    # Pair by pair: what making a batch takes of making it and learning from it.
    shares = [100 / (1 + ratio) for ratio in comparison.ratios]
    per_image = 1e6 / step.batch_size
    make, learn = per_image * comparison.a.median, per_image * comparison.b.median
    figures = dict(zip(_SHARE, (make, make + learn, percentile(shares, 50)), strict=True))
    line = Measurement(
        "augment", f"{recipe.name} {compute.precision}, step at {stage.side} px", figures, comparison.a.conditions,
        comparison=comparison,
    )  # fmt: skip
    return line, comparison


def _whole_training(recipe: Recipe, found: list[tuple[Stage, Comparison]]) -> Measurement:
    per_image = 1e6 / (found[0][1].a.conditions.batch or 1)
    make = per_image * sum(stage.share * comparison.a.median for stage, comparison in found)
    learn = per_image * sum(stage.share * comparison.b.median for stage, comparison in found)
    figures = dict(zip(_SHARE, (make, make + learn, 100 * make / (make + learn)), strict=True))
    conditions = found[-1][1].a.conditions
    return Measurement("augment", f"{recipe.name}, mean over the training", figures, conditions)
