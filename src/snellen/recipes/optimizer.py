"""How a recipe's steps are made: the optimizer with its rates, and their course over the training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from snellen import parts
from snellen.errors import InvalidSetting, require_types


def require(condition: bool, field: str, value: object, rule: str) -> None:
    """Raise InvalidSetting, with the field and its value, unless the condition holds."""
    if not condition:
        raise InvalidSetting(f"{field}={value!r} is not possible: {rule}.")


def require_part(kind: parts.Kind, field: str, value: str, ours: tuple[str, ...] = ()) -> None:
    """Raise InvalidSetting unless the value is one of our names, registered, or FILE.py:NAME and the like (`parts`)."""
    named, known = parts.read(value), dict.fromkeys((*ours, *parts.known(kind)))
    listed = "".join(f"{name}, " for name in known)
    rule = f"one of {listed}or FILE.py:{named.name} of a file of your own; or --code FILE.py, if it registers that name"
    require(bool(named.where) or named.name in known, field, value, rule)


@dataclass(frozen=True, kw_only=True)
class SGD:
    """Stochastic gradient descent on the mean loss of a batch, one group for all parameters.

    Attributes:
        lr: peak learning rate for the recipe's batch size.
        momentum: fraction of the last update that is kept; 0 is off.
        nesterov: look ahead along the momentum.
        weight_decay: L2 coefficient on every parameter, coupled with the gradient as in torch.optim.SGD.
    """

    kind: ClassVar[str] = "sgd"
    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require_types(self, "optimizer.")
        require(self.lr > 0, "optimizer.lr", self.lr, "a positive number")
        require(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "a fraction in [0, 1)")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(not self.nesterov or self.momentum > 0, "optimizer.nesterov", True, "it needs optimizer.momentum > 0")


@dataclass(frozen=True, kw_only=True)
class Muon:
    """Muon for convolution filters, Nesterov SGD for biases and head, both on the *summed* loss of a batch.

    Attributes:
        filter_lr: step length for filters, whose matrices are held at norm sqrt(output channels).
        filter_momentum: Nesterov momentum of the filters.
        bias_lr: learning rate of the norm and whitening biases, for the summed loss.
        head_lr: learning rate of the last layer, for the summed loss.
        momentum: Nesterov momentum of biases and head.
        weight_decay: fraction of a weight removed per step at learning rate 1 (decoupled from the gradient's size).

    Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    """

    kind: ClassVar[str] = "muon"
    filter_lr: float = 0.24
    filter_momentum: float = 0.6
    bias_lr: float = 0.053
    head_lr: float = 0.67
    momentum: float = 0.85
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require_types(self, "optimizer.")
        for name in ("filter_lr", "bias_lr", "head_lr"):
            require(getattr(self, name) > 0, f"optimizer.{name}", getattr(self, name), "a positive number")
        for name in ("filter_momentum", "momentum"):
            require(0 < getattr(self, name) < 1, f"optimizer.{name}", getattr(self, name), "a fraction in (0, 1)")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam with decoupled weight decay, on the mean loss of a batch; biases and norms do not decay.

    Attributes:
        lr: peak learning rate.
        beta1: how much of the mean gradient is kept per step.
        beta2: how much of the mean squared gradient is kept per step.
        weight_decay: fraction of a weight removed per step at learning rate 1.

    Source: I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019.
    """

    kind: ClassVar[str] = "adamw"
    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        require_types(self, "optimizer.")
        require(self.lr > 0, "optimizer.lr", self.lr, "a positive number")
        for name in ("beta1", "beta2"):
            require(0 <= getattr(self, name) < 1, f"optimizer.{name}", getattr(self, name), "a fraction in [0, 1)")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")


@dataclass(frozen=True, kw_only=True)
class TorchOptimizer:
    """Any optimizer of torch.optim, or one of your own of that kind, on the mean loss of a batch.

    Attributes:
        name: its class, with what else it is made with, such as "RMSprop(alpha=0.9)"; or a reference, as `parts` says.
        lr: peak learning rate.
        weight_decay: as the class understands it, on every parameter.
    """

    kind: ClassVar[str] = "torch"
    name: str = "Adam"
    lr: float = 1e-3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require_types(self, "optimizer.")
        given = parts.read(self.name).arguments
        fixed = " ".join(f"optimizer.{field}={given[field]}" for field in ("lr", "weight_decay") if field in given)
        require(not fixed, "optimizer.name", self.name, f"for that there are fields: {fixed}")
        require(self.lr > 0, "optimizer.lr", self.lr, "a positive number")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")


SHAPES = ("constant", "cosine", "linear")


@dataclass(frozen=True, kw_only=True)
class Average:
    """Pull the weights towards their own running mean near the end (lookahead).

    Every `every_steps` steps after the fraction `after`, mean += `weight` * (weights - mean), weights = mean.
    Source: Zhang et al., "Lookahead optimizer", 2019.
    """

    after: float
    every_steps: int = 4
    weight: float = 0.3

    def __post_init__(self) -> None:
        require_types(self, "average.")
        require(0 <= self.after < 1, "average.after", self.after, "a fraction in [0, 1)")
        require(self.every_steps >= 1, "average.every_steps", self.every_steps, "1 or more")
        require(0 < self.weight <= 1, "average.weight", self.weight, "a fraction in (0, 1]")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The learning rate over training, as a fraction of its peak.

    Attributes:
        shape: "constant", "cosine" (to the floor) or "linear" (to the floor); or a reference, as `parts` says, to a
            function of the fraction done between warm-up and tail, which gives the fraction of the peak.
        warmup_fraction: rise linearly from 0 over this fraction of all steps.
        tail_fraction: stay at the floor for this last fraction of all steps.
        floor: lowest fraction of the peak.
        per: change the rate every "step", or once an "epoch" as PyTorch's schedulers are commonly used.
    """

    shape: str = "constant"
    warmup_fraction: float = 0.0
    tail_fraction: float = 0.0
    floor: float = 0.0
    per: Literal["step", "epoch"] = "step"

    def __post_init__(self) -> None:
        require_types(self, "schedule.")
        parts.read(self.shape)
        for name in ("warmup_fraction", "tail_fraction", "floor"):
            require(0 <= getattr(self, name) < 1, f"schedule.{name}", getattr(self, name), "a fraction in [0, 1)")
        total = self.warmup_fraction + self.tail_fraction
        require(total < 1, "schedule.tail_fraction", self.tail_fraction, "warm-up and tail together stay below 1")
        unused = self.shape == "constant" and (self.tail_fraction or self.floor)
        require(not unused, "schedule.floor", self.floor, "a constant rate has no floor and no tail")
