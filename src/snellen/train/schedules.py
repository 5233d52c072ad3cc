"""The learning rate at each step: its shape over a training, and how the optimizers are told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from snellen.recipes.recipe import Schedule


def lr_fraction(schedule: Schedule, *, step: int, steps: int, steps_per_epoch: int) -> float:
    """The learning rate at `step` of `steps`, as a fraction of the peak, in [0, 1].

    The shape reaches zero where the tail begins, and the rate is never below the floor. With `per="epoch"` it stays
    constant inside an epoch, as PyTorch's `CosineAnnealingLR` stepped once per epoch.
    """
    if schedule.per == "epoch":
        step, steps = step // steps_per_epoch, math.ceil(steps / steps_per_epoch)
    warmup = schedule.warmup_fraction * steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = min(1.0, (step - warmup) / max(1.0, (1 - schedule.tail_fraction) * steps - warmup))
    if schedule.shape == "cosine":
        return max(schedule.floor, 0.5 * (1 + math.cos(math.pi * done)))
    if schedule.shape == "linear":
        return max(schedule.floor, 1 - done)
    return 1.0


def set_lr(optimizers: Sequence[Any], fraction: float) -> None:
    """Set every group of every torch optimizer to this fraction of its peak rate, which `build_optimizers` noted."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * fraction
