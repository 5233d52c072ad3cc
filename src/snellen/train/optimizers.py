"""Optimizers from a recipe: which parameters go where, at which rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from snellen.errors import InvalidSetting
from snellen.models.normalized import Classifier
from snellen.recipes.recipe import SGD, Recipe
from snellen.recipes.recipe import Muon as MuonSettings
from snellen.train.freezing import parts
from snellen.train.muon import Muon


def build_optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The optimizers of a recipe. Every group keeps its peak rate in `group["peak_lr"]`.

    Raises:
        InvalidSetting: Muon was asked for with a model that has no trainable convolution.
    """
    if isinstance(recipe.optimizer, SGD):
        decay = recipe.finetune.layer_decay if recipe.finetune else 1.0
        optimizers = _sgd(model, recipe.optimizer, decay)
    else:
        optimizers = _muon(model, recipe.optimizer)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def set_lr(optimizers: list[torch.optim.Optimizer], fraction: float) -> None:
    """Set every group to this fraction of its peak rate."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * fraction


def _sgd(model: nn.Module, settings: SGD, layer_decay: float) -> list[torch.optim.Optimizer]:
    everything = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": everything}]
    if layer_decay < 1:
        assert isinstance(model, Classifier)
        groups, left = [], {id(each): each for each in everything}
        for distance, (_, layer) in enumerate(reversed(parts(model))):
            learned = [each for each in layer.parameters() if left.pop(id(each), None) is not None]
            groups.append({"params": learned, "lr": settings.lr * layer_decay**distance})
        groups[-1]["params"] += left.values()  # those of no part, such as position embeddings: as early as the first
    return [
        torch.optim.SGD(
            [group for group in groups if group["params"]],
            lr=settings.lr,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    ]


def _muon(model: nn.Module, settings: MuonSettings) -> list[torch.optim.Optimizer]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    filters = [parameter for parameter in trained if parameter.ndim == 4]
    biases = [parameter for parameter in trained if parameter.ndim == 1]
    heads = [parameter for parameter in trained if parameter.ndim == 2]
    if not filters:
        raise InvalidSetting("optimizer.kind='muon' needs a model with convolutions; use sgd for this one.")
    groups = [
        # The decay is stated per step at rate 1; SGD multiplies it by the rate, so it is divided out here.
        {"params": biases, "lr": settings.bias_lr, "weight_decay": settings.weight_decay / settings.bias_lr},
        {"params": heads, "lr": settings.head_lr, "weight_decay": settings.weight_decay / settings.head_lr},
    ]
    used = [group for group in groups if group["params"]]
    sgd = torch.optim.SGD(used, momentum=settings.momentum, nesterov=True, fused=True)
    muon = Muon(filters, lr=settings.filter_lr, momentum=settings.filter_momentum, weight_decay=settings.weight_decay)
    return [sgd, muon]
