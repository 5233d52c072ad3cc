"""`--budget 5m`: measure how fast this machine trains the recipe, then fit the schedule into the time.

Where a part of the network is frozen it is as deep as the time allows: head alone, with one version of each picture; or
what is behind the frozen part too, with more epochs and versions.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting
from snellen.recipes.recipe import Finetune, Recipe
from snellen.show.progress import Progress
from snellen.train.fit import FitOptions
from snellen.train.setup import TrainingSetup, prepare
from snellen.train.training import Training

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_RESERVE = 0.10  # of the budget: machines that slow down
_AROUND = 2.0  # seconds: guards that ask the network, and pictures drawn
_MEASURED_STEPS = 4
_MEASURED_IMAGES = 64
_ALL_BUT_NOTHING = 0.999  # of the steps: the head alone learns
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


def fit_into(
    recipe: Recipe, dataset: Dataset, options: FitOptions, *, seconds: float, since: float, progress: Progress
) -> Recipe:
    """The recipe with as many epochs as fit into `seconds` here, counting one evaluation per epoch.

    A `final` training has more images and no val to look at.

    Args:
        since: when the command began, by `time.monotonic`: reading the data counts too.

    Raises:
        InvalidSetting: not even a twentieth of an epoch fits.
    """
    began = time.monotonic()
    setup = prepare(recipe, dataset, seed=0, final=options.final, device=options.device, precision=options.precision)
    prepared = time.monotonic() - began  # and once more for the training itself

    def left() -> float:
        return seconds * (1 - _RESERVE) - _AROUND - prepared - (time.monotonic() - since)

    if recipe.finetune is not None and recipe.finetune.frozen:
        return _fit_depth(setup, recipe.finetune, seconds=seconds, left=left, progress=progress)
    rate = _images_per_second(setup)
    trained_share = recipe.data_pruning.trained_share(recipe.epochs) if recipe.data_pruning else 1
    train_images = len(setup.splits.train) * trained_share
    # An evaluation is a forward pass, about a third of a training step, over val and as many training images.
    looked_at = 2 * len(setup.splits.val) if setup.splits.val else 0
    per_epoch = (train_images + looked_at / 3 / recipe.evaluate_every) / rate
    epochs = min(left() / per_epoch, recipe.epochs_on(len(setup.splits.train)) * _MOST_EPOCHS_FACTOR)
    if epochs < 0.05:
        raise InvalidSetting(
            f"--budget leaves {max(left(), 0):.0f} s for training, and an epoch of {recipe.name} takes "
            f"{per_epoch:.0f} s here. Give it more time, or take a smaller recipe."
        )
    # Whole epochs where there are several: a schedule that ends with an epoch is evaluated where it ends.
    epochs = math.floor(epochs) if epochs >= 3 else round(epochs, 2)
    progress.say(f"{rate:,.0f} images/s here: {epochs:g} epochs fit into {seconds:.0f} s", style="dim")
    return recipe.replace(epochs=float(epochs), min_steps=0, expect=None)


def _fit_depth(
    setup: TrainingSetup, finetune: Finetune, *, seconds: float, left: Callable[[], float], progress: Progress
) -> Recipe:
    recipe, train, val = setup.recipe, len(setup.splits.train), len(setup.splits.val or ())
    cost = _seconds_per_image(setup)
    # Val is looked at after every epoch as it is kept; at the end the whole network sees it, plain and mirrored.
    graded = val * 3 * (cost.frozen + cost.behind / 3)
    version, looks = train * cost.frozen, (min(train, val) + val) * cost.behind / 3
    head = train * cost.behind / 3
    remaining = left() - graded - head
    most = math.ceil(recipe.epochs_on(train) * _MOST_EPOCHS_FACTOR)

    def takes(epochs: int) -> float:
        return min(epochs, finetune.versions) * version + epochs * (train * cost.behind + looks)

    epochs = next((epochs for epochs in range(most, 0, -1) if takes(epochs) <= remaining), 0)
    fitted = recipe.replace(epochs=float(max(1, epochs)), min_steps=0, expect=None)
    if epochs:
        progress.say(f"{1 / cost.behind:,.0f} images/s here: {epochs} epochs fit into {seconds:.0f} s", style="dim")
        return fitted.replace(finetune=replace(finetune, versions=min(epochs, finetune.versions)))
    if version > remaining:
        raise InvalidSetting(
            f"--budget leaves {max(remaining + head, 0):.0f} s for training, and even the last layer of {recipe.name} "
            f"takes {version + head:.0f} s here. Give it more time, or take a smaller --size."
        )
    progress.say(f"{seconds:.0f} s are enough for the last layer alone, which is fitted to the network", style="dim")
    return fitted.replace(finetune=replace(finetune, versions=1, head_only=_ALL_BUT_NOTHING))


class _Seconds(NamedTuple):
    frozen: float  # of one image through the frozen part
    behind: float  # of one image in a training step of the rest


def _seconds_per_image(setup: TrainingSetup) -> _Seconds:
    """Measured on a few training images, through both parts of a network that is frozen in part."""
    few = setup.splits.train.take(np.arange(min(_MEASURED_IMAGES, len(setup.splits.train))), setup.splits.train.role)
    assert setup.recipe.finetune is not None
    plain = setup.recipe.replace(data_pruning=None, finetune=replace(setup.recipe.finetune, head_penalty=0.0))
    training = Training(
        replace(setup, recipe=plain, splits=replace(setup.splits, train=few)), steps=_MEASURED_STEPS + 1
    )
    assert training.kept is not None
    frozen = training.kept.seconds_per_image(few)
    return _Seconds(frozen, min(_step_seconds(training)) / training.batch_size)


def _images_per_second(setup: TrainingSetup) -> float:
    """Training speed over a few real steps, spread over the training: images grow and layers freeze as they will."""
    whole = replace(setup, recipe=setup.recipe.replace(data_pruning=None))  # what is left out is counted apart
    training = Training(whole, steps=_MEASURED_STEPS + 1)
    timed = _step_seconds(training)
    return training.batch_size * len(timed) / sum(timed)


def _step_seconds(training: Training) -> list[float]:
    """Of each step but the first, which pays for warming up."""
    times = []
    for batch in training.batches():
        started = time.perf_counter()
        training.step(batch)
        training.setup.compute.synchronize()
        times.append(time.perf_counter() - started)
    return times[1:]
