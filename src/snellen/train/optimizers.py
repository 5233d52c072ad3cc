"""Optimizers from a recipe: which parameters learn, when and at which rate, and the means of their weights.

Lookahead trains on from its mean; the moving average (EMA) is only graded. Muon is momentum whose update is made
(approximately) orthogonal, for convolution filters; source: K. Jordan et al., "Muon: an optimizer for hidden layers in
neural networks" (2024), in the form used for CIFAR-10 speed runs: each filter bank is seen as a matrix (out, in*kh*kw),
its Nesterov momentum is pushed towards the nearest semi-orthogonal matrix by three steps of a quintic Newton-Schulz
iteration, and the weight is held on a sphere by renormalisation.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from snellen.errors import InvalidSetting
from snellen.models.normalized import Classifier
from snellen.models.split import behind
from snellen.parts import find, one_sentence, register
from snellen.recipes.recipe import SGD, AdamW, Average, Finetune, Recipe, TorchOptimizer
from snellen.recipes.recipe import Muon as MuonSettings

# Quintic coefficients: steep at zero, so that three steps are enough; singular values end
# roughly within 0.5..1.5 instead of exactly at 1, which does not hurt training.
_QUINTIC = (3.4576, -4.7391, 2.0843)


def build_optimizers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """The optimizers of a recipe. Every group keeps its peak rate in `group["peak_lr"]`.

    Raises:
        InvalidSetting: Muon was asked for with a model that has no trainable convolution; or an optimizer is not to be
            found, or does not take what it is given.
    """
    decay = recipe.finetune.layer_decay if recipe.finetune else 1.0
    if isinstance(recipe.optimizer, SGD):
        optimizers = _sgd(model, recipe.optimizer, decay)
    elif isinstance(recipe.optimizer, AdamW):
        optimizers = _adamw(model, recipe.optimizer, decay)
    elif isinstance(recipe.optimizer, TorchOptimizer):
        optimizers = [_named(model, recipe.optimizer, decay)]
    else:
        optimizers = _muon(model, recipe.optimizer)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def _sgd(model: nn.Module, settings: SGD, layer_decay: float) -> list[torch.optim.Optimizer]:
    sgd = torch.optim.SGD(
        _layers(model, settings.lr, layer_decay), lr=settings.lr, momentum=settings.momentum,
        nesterov=settings.nesterov, weight_decay=settings.weight_decay, fused=True,
    )  # fmt: skip
    return [sgd]


def _adamw(model: nn.Module, settings: AdamW, layer_decay: float) -> list[torch.optim.Optimizer]:
    groups: list[dict[str, Any]] = []
    for layer in _layers(model, settings.lr, layer_decay):
        decayed = [parameter for parameter in layer["params"] if parameter.ndim > 1]
        others = [parameter for parameter in layer["params"] if parameter.ndim <= 1]
        groups += [{**layer, "params": decayed}, {**layer, "params": others, "weight_decay": 0.0}]
    betas = settings.beta1, settings.beta2
    used = [group for group in groups if group["params"]]
    return [torch.optim.AdamW(used, lr=settings.lr, betas=betas, weight_decay=settings.weight_decay, fused=True)]


def _named(model: nn.Module, settings: TorchOptimizer, layer_decay: float) -> torch.optim.Optimizer:
    """Whatever it is: of torch.optim by its bare name, else as `parts` finds it."""
    make = find("optimizer", settings.name)
    options = {"lr": settings.lr} | ({"weight_decay": settings.weight_decay} if settings.weight_decay else {})
    with one_sentence(f"optimizer.name={settings.name} cannot be made with {options} for this network"):
        optimizer = make(_layers(model, settings.lr, layer_decay), **options)
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    if not isinstance(optimizer, torch.optim.Optimizer) or (closure and closure.default is closure.empty):
        raise InvalidSetting(
            f"optimizer.name={settings.name} is not possible: it takes a torch.optim.Optimizer that makes a step of "
            "one gradient, without a closure."
        )
    return optimizer


for _name, _class in vars(torch.optim).items():
    if isinstance(_class, type) and issubclass(_class, torch.optim.Optimizer) and _class is not torch.optim.Optimizer:
        register("optimizer", _name)(_class)


def _layers(model: nn.Module, lr: float, layer_decay: float) -> list[dict[str, Any]]:
    """What learns, in one group; or, where rates decay from the head backwards, in one for each part of the network."""
    everything = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if layer_decay == 1:
        return [{"params": everything}]
    assert isinstance(model, Classifier)
    groups: list[dict[str, Any]] = []
    left = {id(each): each for each in everything}
    for distance, (_, layer) in enumerate(reversed(parts(model))):
        learned = [each for each in layer.parameters() if left.pop(id(each), None) is not None]
        groups.append({"params": learned, "lr": lr * layer_decay**distance})
    groups[-1]["params"] += left.values()  # those of no part, such as position embeddings: as early as the first
    return [group for group in groups if group["params"]]


def _muon(model: nn.Module, settings: MuonSettings) -> list[torch.optim.Optimizer]:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    filters, heads, biases = ([parameter for parameter in trained if parameter.ndim == axes] for axes in (4, 2, 1))
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


def hold_fixed(model: Classifier, finetune: Finetune) -> None:
    """Take from learning, for good, what fine-tuning freezes: the parts up to its cut, kernels of one channel each.

    Raises:
        InvalidSetting: the network cannot be cut there, or nothing would learn.
    """
    if finetune.frozen:
        learned = {id(parameter) for parameter in behind(model, finetune.frozen, training=True).parameters()}
        for parameter in model.parameters():
            parameter.requires_grad_(parameter.requires_grad and id(parameter) in learned)
    for module in model.modules():
        if finetune.fixed_depthwise and isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels:
            module.weight.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise InvalidSetting(
            f"finetune.frozen={finetune.frozen!r} is not possible: nothing is left to learn. Name an earlier part."
        )


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


def orthogonalise(matrices: Tensor, steps: int = 3, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Approximate the nearest semi-orthogonal matrix of each (rows, columns) matrix in a stack."""
    a, b, c = _QUINTIC
    x: Tensor = matrices.to(dtype)
    tall = x.shape[1] > x.shape[2]
    if tall:  # the iteration works on the smaller Gram matrix
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)  # largest singular value at most 1
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    result: Tensor = x.transpose(1, 2) if tall else x
    return result


class Muon(torch.optim.Optimizer):
    """Muon for 4-D convolution filters.

    Args:
        params: 4-D filters (or groups of them).
        lr: step length; every filter matrix has norm ``sqrt(out_channels)``.
        momentum: Nesterov momentum.
        weight_decay: decoupled; the weight is scaled by ``1 - lr * weight_decay``.

    The whole state is the momentum buffer and a step count per parameter, so
    ``state_dict``/``load_state_dict`` resume bit-exactly.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 0.2255,
        momentum: float = 0.655,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0.0 or not 0.0 <= momentum < 1.0 or weight_decay < 0.0:
            raise ValueError(f"Muon: bad setting: lr={lr}, momentum={momentum}, weight_decay={weight_decay}")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        if any(p.dim() != 4 for group in self.param_groups for p in group["params"]):
            raise ValueError("Muon takes 4-D convolution filters only")

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every filter that has a gradient; a frozen one is left as it is."""
        for group in self.param_groups:
            self._step_group(group)

    def _step_group(self, group: dict[str, Any]) -> None:
        lr: float = group["lr"]
        momentum: float = group["momentum"]
        by_shape: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for p in group["params"]:
            if p.grad is None:  # a frozen filter: left as it is
                continue
            state = self.state[p]
            if not state:
                state["step"] = 0
                state["momentum_buffer"] = torch.zeros_like(p)
            buffer: Tensor = state["momentum_buffer"]
            buffer.mul_(momentum).add_(p.grad)
            direction = p.grad.add(buffer, alpha=momentum)
            p.mul_(len(p) ** 0.5 / (p.norm() + 1e-7))
            state["step"] += 1
            by_shape.setdefault((len(p), p[0].numel()), []).append((p, direction))
        for shape, pairs in by_shape.items():  # filters of one shape share the matrix products
            stack = torch.stack([direction.reshape(shape) for _, direction in pairs])
            for (p, _), update in zip(pairs, orthogonalise(stack), strict=True):
                p.add_(update.reshape(p.shape).to(p.dtype), alpha=-lr)
                if group["weight_decay"]:
                    p.mul_(1.0 - lr * group["weight_decay"])
