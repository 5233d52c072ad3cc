"""`memory`: the largest resident memory of a training, weighed from outside as the system counts it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace

from snellen.bench.conditions import conditions_here
from snellen.bench.measurement import Measurement
from snellen.bench.process import run_python
from snellen.bench.settings import Settings
from snellen.bench.substitutes import require_dataset
from snellen.recipes.catalog import find_recipe

_STEPS, _QUICK_STEPS = 12, 3
_TRAIN_IMAGES = 45_000  # of both built-in data sets, after the split


def measure(settings: Settings) -> Iterator[Measurement]:
    """`snellen train` in a process of its own, shortened to a few steps: all image sizes, grading, guards, pictures.

    What a training holds at once does not depend on how often it does it. What the allocator keeps may grow with
    time, so the peak of whole trainings is also noted by `to-accuracy`.
    """
    require_dataset(settings.dataset)
    recipe = find_recipe(settings.recipe or "sprint")
    steps = _QUICK_STEPS if settings.quick else _STEPS
    epochs = steps / max(1, _TRAIN_IMAGES // recipe.batch_size)
    conditions = conditions_here(batch=recipe.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-m", "snellen", "train", settings.dataset, "--recipe", recipe.name, "--set", f"epochs={epochs}"]
        arguments += ["--device", settings.device, "--runs", folder]
        arguments += ["--data", str(settings.data)] if settings.data is not None else []
        finished = run_python(arguments, weigh=True)
    figures = {
        "peak GB": None if finished.peak_bytes is None else finished.peak_bytes / 1e9,
        "seconds": finished.seconds,
    }
    note = "" if finished.peak_bytes is not None else "this system does not say how much memory a process took"
    case = f"{settings.dataset} {recipe.name}, {steps} steps and grading"
    # The weighed process chose its own device and threads; from here it is a process.
    yield Measurement("memory", case, figures, replace(conditions, device="process").after(), note=note)
