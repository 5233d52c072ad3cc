"""The learning rate at each step, how the optimizers are told of it, and when a training ends before its last step."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from snellen.errors import InvalidSetting
from snellen.parts import find, register
from snellen.recipes.recipe import Recipe, Schedule

Shape = Callable[[float], float]
"""Fraction done between warm-up and tail, in [0, 1] -> fraction of the peak rate, in [0, 1]."""


register("schedule", "constant")(lambda done: 1.0)
register("schedule", "cosine")(lambda done: 0.5 * (1 + math.cos(math.pi * done)))
register("schedule", "linear")(lambda done: 1 - done)


def shape_of(schedule: Schedule) -> Shape:
    """The schedule's shape, found once: a file that is edited later changes nothing.

    Raises:
        InvalidSetting: it is not to be found, or gives no fraction.
    """
    shape: Shape = find("schedule", schedule.shape)
    for done in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = shape(done)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise InvalidSetting(
                f"schedule.shape={schedule.shape} gives {value!r} at {done}; it takes a fraction of the peak in [0, 1]."
            )
    return shape


def lr_fraction(
    schedule: Schedule, *, step: int, steps: int, steps_per_epoch: int, shape: Shape | None = None
) -> float:
    """The learning rate at `step` of `steps`, as a fraction of the peak, in [0, 1].

    The shape (that of `shape_of`, or found now) comes to its end where the tail begins, and the rate is never below the
    floor. With `per="epoch"` it stays constant inside an epoch, as PyTorch's `CosineAnnealingLR` stepped once an epoch.
    """
    if schedule.per == "epoch":
        step, steps = step // steps_per_epoch, math.ceil(steps / steps_per_epoch)
    warmup = schedule.warmup_fraction * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = min(1.0, (step - warmup) / max(1.0, (1 - schedule.tail_fraction) * steps - warmup))
    return max(schedule.floor, (shape or shape_of(schedule))(done))


def out_of_patience(recipe: Recipe, epoch: int, best_epoch: int, images: int) -> bool:
    """Whether val was looked at after `epoch`, and is no better than `patience` epochs ago; never where that is 0.

    Args:
        epoch: that has just been closed, 1-based.
        best_epoch: of the highest val accuracy so far, the first of equals; 0 where nobody looks.
        images: training images, which decide how often val is looked at.
    """
    looked = best_epoch > 0 and epoch % recipe.look_every_on(images) == 0
    return looked and 0 < recipe.patience <= epoch - best_epoch


def set_lr(optimizers: Sequence[Any], fraction: float) -> None:
    """Set every group of every torch optimizer to this fraction of its peak rate, which `build_optimizers` noted."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * fraction
