"""Means of the weights over training: lookahead, which trains on from its mean, and EMA, which only is graded."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from snellen.recipes.recipe import Average


class Lookahead:
    """Running mean of all floating-point parameters and buffers, copied back every few steps.

    Args:
        model: whose tensors are averaged in place.
        settings: when, how often and how strongly.
        steps: of the whole training.
    """

    def __init__(self, model: nn.Module, settings: Average, *, steps: int) -> None:
        self._tensors = {name: value for name, value in model.state_dict().items() if value.is_floating_point()}
        self._settings = settings
        self._start = int(settings.after * steps)
        self.mean: dict[str, torch.Tensor] = {}

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Update after `step` steps have been made."""
        if step < self._start:
            return
        if not self.mean:
            self.mean = {name: value.clone() for name, value in self._tensors.items()}
        elif (step - self._start) % self._settings.every_steps == 0:
            for name, value in self._tensors.items():
                value.copy_(self.mean[name].lerp_(value, self._settings.weight))


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of `model` that `update_parameters` pulls after it: parameters and buffers, batch statistics included.

    Its first update copies the model, so that no untrained weight is ever in the mean.

    Args:
        model: that is trained.
        decay: fraction of itself that the mean keeps per step.
    """
    averaging = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=averaging, use_buffers=True)
