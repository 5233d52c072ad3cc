"""`--budget 5m`: measure how fast this machine trains the recipe, then fit the schedule into the time."""

from __future__ import annotations

import math
import re
import time
from dataclasses import replace

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting
from snellen.recipes.recipe import Recipe
from snellen.show.progress import Progress
from snellen.train.fit import FitOptions
from snellen.train.setup import TrainingSetup, prepare
from snellen.train.training import Training

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_RESERVE = 0.10  # of the budget: grading at the end, and machines that slow down
_MEASURED_STEPS = 4
_MOST_EPOCHS_FACTOR = 4  # beyond four times the recipe's epochs its rates are no longer tuned


def parse_duration(text: str) -> float:
    """Seconds in "90s", "5m", "1.5h" or "5m30s".

    Raises:
        InvalidSetting: anything else, or nothing at all.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidSetting(f"--budget {text!r} is not a duration. Write 90s, 5m, 1.5h or 5m30s.")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise InvalidSetting(f"--budget {text} leaves no time at all.")
    return seconds


def fit_into(recipe: Recipe, dataset: Dataset, options: FitOptions, *, seconds: float, progress: Progress) -> Recipe:
    """The recipe with as many epochs as fit into `seconds` here, counting one evaluation per epoch.

    A `final` training has more images and no val to look at.

    Raises:
        InvalidSetting: not even a twentieth of an epoch fits.
    """
    started = time.monotonic()
    setup = prepare(recipe, dataset, seed=0, final=options.final, device=options.device, precision=options.precision)
    rate = _images_per_second(setup)
    trained_share = recipe.data_pruning.trained_share(recipe.epochs) if recipe.data_pruning else 1
    train_images = len(setup.splits.train) * trained_share
    # An evaluation is a forward pass, about a third of a training step, over val and as many training images.
    looked_at = 2 * len(setup.splits.val) if setup.splits.val else 0
    per_epoch = (train_images + looked_at / 3 / recipe.evaluate_every) / rate
    left = seconds * (1 - _RESERVE) - (time.monotonic() - started)
    epochs = min(left / per_epoch, recipe.epochs_on(len(setup.splits.train)) * _MOST_EPOCHS_FACTOR)
    if epochs < 0.05:
        raise InvalidSetting(
            f"--budget leaves {max(left, 0):.0f} s for training, and an epoch of {recipe.name} takes {per_epoch:.0f} s "
            "here. Give it more time, or take a smaller recipe."
        )
    # Whole epochs where there are several: a schedule that ends with an epoch is evaluated where it ends.
    epochs = math.floor(epochs) if epochs >= 3 else round(epochs, 2)
    progress.say(f"[dim]{rate:,.0f} images/s here: {epochs:g} epochs fit into {seconds:.0f} s[/dim]")
    return recipe.replace(epochs=float(epochs), min_steps=0, expect=None)


def _images_per_second(setup: TrainingSetup) -> float:
    """Training speed over a few real steps, spread over the training: images grow and layers freeze as they will."""
    whole = replace(setup, recipe=setup.recipe.replace(data_pruning=None))  # what is left out is counted apart
    training = Training(whole, steps=_MEASURED_STEPS + 1)
    times = []
    for batch in training.batches():
        started = time.perf_counter()
        training.step(batch)
        setup.compute.synchronize()
        times.append(time.perf_counter() - started)
    timed = times[1:]  # the first step pays for warming up
    return training.batch_size * len(timed) / sum(timed)
