"""`step`: training speed per model, precision and image size, and what of it is arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from snellen.bench.catalog import Settings
from snellen.bench.measurement import Measurement
from snellen.bench.protocol import conditions_here, time_repeatedly
from snellen.bench.training_step import Stage, TrainingStep, noise_images, stages
from snellen.data.labeled_images import LabeledImages
from snellen.models.device import choose_device
from snellen.recipes.catalog import find_recipe
from snellen.recipes.recipe import Recipe
from snellen.train.precision import DeviceAndPrecision, Precision

RECIPES = ("mlp", "plain", "small_cnn", "resnet18", "sprint")
"""One for each model."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
QUICK_BATCH = 64
_FIGURES = ("images/s", "ms/step", "GFLOP/image", "GFLOP/s")


def measure(settings: Settings) -> Iterator[Measurement]:
    """One line per recipe, precision and stage of image size."""
    names = (settings.recipe,) if settings.recipe else RECIPES
    yield from measure_recipes([sized(find_recipe(name), settings) for name in names], settings)


def measure_recipes(recipes: Sequence[Recipe], settings: Settings) -> Iterator[Measurement]:
    """The same for these recipes, as they are."""
    device = choose_device(settings.device)
    for recipe in recipes:
        images = noise_images(2 * recipe.batch_size)
        for precision in PRECISIONS:
            for stage in stages(recipe, images.image_shape[0]):
                yield measure_step(recipe, images, DeviceAndPrecision(device, precision), stage, settings)


def sized(recipe: Recipe, settings: Settings) -> Recipe:
    """The recipe, with a small batch where the measurement is to be quick."""
    return recipe.replace(batch_size=min(recipe.batch_size, QUICK_BATCH)) if settings.quick else recipe


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
