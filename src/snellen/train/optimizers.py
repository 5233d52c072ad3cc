"""Optimizers from a recipe: which parameters learn, when and at which rate, and the means of their weights.

Lookahead trains on from its mean; the moving average (EMA) is only graded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from snellen.errors import InvalidSetting
from snellen.models.normalized import Classifier
from snellen.recipes.recipe import SGD, Average, Recipe
from snellen.recipes.recipe import Muon as MuonSettings
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


def trainable_names(model: Classifier) -> frozenset[str]:
    """The parameters that the network itself means to train, asked before anything is frozen."""
    return frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)


def apply_freezing(model: Classifier, recipe: Recipe, trainable: frozenset[str], *, done: float) -> bool:
    """Mark what learns from here on.

    Args:
        model: of the training.
        recipe: whose freezes and fine-tuning apply.
        trainable: from `trainable_names`; what is not among them never learns.
        done: fraction of all steps made.

    Returns:
        Whether that is other than before.
    """
    if not recipe.freezes and recipe.finetune is None:
        return False
    stopped = tuple(freeze.prefix for freeze in recipe.freezes if done >= freeze.after)
    head_only = recipe.finetune is not None and done < recipe.finetune.head_only
    head = parts(model)[-1][0] + "." if head_only else ""
    changed = False
    for name, parameter in model.named_parameters():
        learns = name in trainable and name.startswith(head) and not name.startswith(stopped or ("\0",))
        changed |= learns != parameter.requires_grad
        parameter.requires_grad_(learns)
    return changed


def parts(model: Classifier) -> list[tuple[str, nn.Module]]:
    """The network's top-level parts that have parameters, first to last, with their paths; the last one is the head."""
    children = model.net.named_children()
    return [(f"net.{name}", part) for name, part in children if any(True for _ in part.parameters())]


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
