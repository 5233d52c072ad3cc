"""A training on disk: everything of it that changes, as tensors and JSON, no pickle.

A checkpoint is one safetensors file, numbers in its header, replaced in one rename. Order and augmentation of every
epoch follow from the seed, so no random state has to be kept: a resumed run equals an uninterrupted one to the bit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from snellen.errors import InvalidSetting, RunError
from snellen.runs.atomic import write_bytes
from snellen.train.interrupt import signals_deferred
from snellen.train.optimizers import Muon
from snellen.train.training import Training

_NUMBERS = ("steps_done", "images_seen", "best_accuracy", "best_epoch", "seconds", "epoch_seconds")


def save_checkpoint(training: Training, path: Path) -> None:
    """Write everything of `training` that changes to `path`, in one rename; tensors and plain numbers only."""
    tensors = {f"model.{name}": value for name, value in training.model.state_dict().items()}
    tensors["loss_sum"] = training.loss_sum
    if training.lookahead:
        tensors |= {f"lookahead.{name}": value for name, value in training.lookahead.mean.items()}
    if training.ema is not None:
        tensors |= {f"ema.{name}": value for name, value in training.ema.state_dict().items()}
    if training.pruning is not None:
        tensors["pruning.losses"] = training.pruning.losses
    numbers: dict[str, Any] = {name: getattr(training, name) for name in _NUMBERS}
    for key, value in (*_optimizer_items(training.optimizers), *_group_items(training.optimizers)):
        if isinstance(value, torch.Tensor):
            tensors[key] = value
        elif isinstance(value, bool | int | float | str):
            numbers[key] = value
        elif value is not None:
            kind = type(value).__name__
            raise InvalidSetting(f"{key} is a {kind}; a checkpoint holds tensors and plain numbers only.")
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_bytes(path, save(contiguous, metadata={"state": json.dumps(numbers)}))


def load_checkpoint(training: Training, path: Path) -> None:
    """Take over what `save_checkpoint` wrote.

    Raises:
        RunError: the file is broken or belongs to another model.
    """
    try:
        with signals_deferred(), safe_open(path, framework="pt") as file:
            numbers = json.loads((file.metadata() or {})["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        _take(training, numbers, tensors)
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise RunError(f"{path} does not fit this run ({error}). Train again under a new --name.") from error


def _take(training: Training, numbers: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    for name in _NUMBERS:
        setattr(training, name, type(getattr(training, name))(numbers[name]))
    training.loss_sum.copy_(tensors["loss_sum"])
    training.model.load_state_dict(_without_prefix(tensors, "model."))
    if training.lookahead:
        device = training.loss_sum.device
        mean = _without_prefix(tensors, "lookahead.")
        _require_shapes(mean, training.model.state_dict())
        training.lookahead.mean = {name: value.to(device) for name, value in mean.items()}
    if training.ema is not None:
        training.ema.load_state_dict(_without_prefix(tensors, "ema."))
    if training.pruning is not None:
        training.pruning.losses.copy_(tensors["pruning.losses"])
    stored = {**{k: v for k, v in numbers.items() if k.startswith("optimizer.")}, **tensors}
    for number, optimizer in enumerate(training.optimizers):
        prefix = f"optimizer.{number}."
        for key, value in _without_prefix({**numbers, **tensors}, f"group.{number}.").items():
            place, _, name = key.partition(".")
            optimizer.param_groups[int(place)][name] = value
        whole = optimizer.state_dict()
        whole["state"] = {}
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for key, value in _without_prefix(stored, prefix).items():
            index, _, name = key.partition(".")
            whole["state"].setdefault(int(index), {})[name] = _laid_out_as(parameters[int(index)], value)
        _require_buffers(whole["state"], parameters, type(optimizer))
        optimizer.load_state_dict(whole)


def _group_items(optimizers: list[torch.optim.Optimizer]) -> list[tuple[str, Any]]:
    """What an optimizer that is none of ours may have changed in its groups of parameters: numbers of any kind."""
    return [
        (f"group.{number}.{place}.{name}", value)
        for number, optimizer in enumerate(optimizers)
        if type(optimizer) not in _REMEMBERED
        for place, group in enumerate(optimizer.param_groups)
        for name, value in group.items()
        if name not in ("lr", "peak_lr") and isinstance(value, int | float | torch.Tensor)
    ]


def _optimizer_items(optimizers: list[torch.optim.Optimizer]) -> list[tuple[str, Any]]:
    return [
        (f"optimizer.{number}.{index}.{name}", value)
        for number, optimizer in enumerate(optimizers)
        for index, entries in optimizer.state_dict()["state"].items()
        for name, value in entries.items()
    ]


def _require_shapes(mean: dict[str, torch.Tensor], model: dict[str, torch.Tensor]) -> None:
    """Raise ValueError unless a mean is that of all of the model's floating-point tensors, or was not begun yet."""
    wanted = {name: value.shape for name, value in model.items() if value.is_floating_point()}
    if mean and {name: value.shape for name, value in mean.items()} != wanted:
        raise ValueError("its mean of the weights is that of another model")


_REMEMBERED: dict[type[torch.optim.Optimizer], frozenset[str]] = {
    torch.optim.SGD: frozenset({"momentum_buffer"}),
    torch.optim.AdamW: frozenset({"step", "exp_avg", "exp_avg_sq"}),
    Muon: frozenset({"step", "momentum_buffer"}),
}
"""What each of our optimizers keeps of a parameter that it has changed."""


def _require_buffers(
    state: dict[int, dict[str, Any]], parameters: list[torch.nn.Parameter], kind: type[torch.optim.Optimizer]
) -> None:
    """Raise ValueError where the next step of an optimizer would fail on what it remembers."""
    for index, entries in state.items():
        if kind not in _REMEMBERED:  # of which nothing is known but that it has this parameter
            parameters[index]
            continue
        fits = index >= 0 and entries.keys() == _REMEMBERED[kind]
        if not fits or not all(_belongs(name, value, parameters[index], kind) for name, value in entries.items()):
            raise ValueError(f"what the optimizer remembers of parameter {index} does not fit")


def _belongs(name: str, value: Any, parameter: torch.Tensor, kind: type[torch.optim.Optimizer]) -> bool:
    if name == "step" and kind is Muon:
        return type(value) is int
    if name == "step":  # PyTorch's own optimizers count in a tensor
        return isinstance(value, torch.Tensor) and value.ndim == 0 and bool(value >= 0)
    return isinstance(value, torch.Tensor) and (value.shape, value.dtype) == (parameter.shape, parameter.dtype)


def _laid_out_as(parameter: torch.Tensor, value: Any) -> Any:
    """`value` in the parameter's memory order: fused optimizers go through both byte by byte, whatever the strides."""
    if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _without_prefix(items: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in items.items() if key.startswith(prefix)}
