"""Everything that changes while training, and its form on disk: tensors and JSON, no pickle.

A checkpoint is one safetensors file, numbers in its header, replaced in one rename. Order and augmentation of every
epoch follow from the seed, so no random state has to be kept: a resumed run equals an uninterrupted one to the bit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch.optim.swa_utils import AveragedModel

from snellen.errors import RunError
from snellen.models.normalized import Classifier
from snellen.runs.atomic import write_bytes
from snellen.train.average import Lookahead
from snellen.train.ddp import Workers
from snellen.train.interrupt import signals_deferred
from snellen.train.pruning import Pruning


@dataclass
class TrainingState:
    """Model, optimizers, and how far training has come.

    Attributes:
        ema: the weights' moving average, or None.
        pruning: the memory of how hard each image was, or None.
        trainable: names of the parameters that may learn at all.
        step: updates made.
        loss_sum: sum over the images of this epoch of the training loss, on the device.
        images_seen: images of this epoch.
        best_accuracy: highest val accuracy so far (fraction), -1 before the first look.
        best_epoch: the epoch it was reached in.
        seconds: time spent in training and evaluation, over all sessions.
    """

    model: Classifier
    optimizers: list[torch.optim.Optimizer]
    lookahead: Lookahead | None
    loss_sum: torch.Tensor
    ema: AveragedModel | None = None
    pruning: Pruning | None = None
    trainable: frozenset[str] = frozenset()
    step: int = 0
    images_seen: int = 0
    best_accuracy: float = -1.0
    best_epoch: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    _numbers: tuple[str, ...] = field(
        default=("step", "images_seen", "best_accuracy", "best_epoch", "seconds", "epoch_seconds"), repr=False
    )

    @property
    def graded(self) -> Classifier:
        """The model whose answers count: the moving average where there is one."""
        if self.ema is None:
            return self.model
        averaged: Classifier = self.ema.module  # type: ignore[assignment]
        return averaged

    def after_step(self, images: torch.Tensor, losses: torch.Tensor, workers: Workers) -> None:
        """Note that an update was made, and let the means follow it.

        Args:
            images: (M,) int64, positions of the batch's images among the training images.
            losses: (B,) float32, of this worker's share of them.
            workers: that share the training.
        """
        self.step += 1
        if self.pruning is not None:
            self.pruning.note(images, workers.whole(losses, len(images)))
        if self.lookahead:
            self.lookahead.after_step(self.step)
        if self.ema is not None:
            self.ema.update_parameters(self.model)

    def save(self, path: Path) -> None:
        """Write everything to `path` in one rename."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors["loss_sum"] = self.loss_sum
        if self.lookahead:
            tensors |= {f"lookahead.{name}": value for name, value in self.lookahead.mean.items()}
        if self.ema is not None:
            tensors |= {f"ema.{name}": value for name, value in self.ema.state_dict().items()}
        if self.pruning is not None:
            tensors["pruning.losses"] = self.pruning.losses
        numbers: dict[str, Any] = {name: getattr(self, name) for name in self._numbers}
        for key, value in _optimizer_items(self.optimizers):
            if isinstance(value, torch.Tensor):
                tensors[key] = value
            elif value is not None:
                numbers[key] = value
        contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        write_bytes(path, save(contiguous, metadata={"state": json.dumps(numbers)}))

    def load(self, path: Path) -> None:
        """Take over what `save` wrote.

        Raises:
            RunError: the file is broken or belongs to another model.
        """
        try:
            with signals_deferred(), safe_open(path, framework="pt") as file:
                numbers = json.loads((file.metadata() or {})["state"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            self._take(numbers, tensors)
        except (SafetensorError, OSError, LookupError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            raise RunError(f"{path} does not fit this run ({error}). Train again under a new --name.") from error

    def _take(self, numbers: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        for name in self._numbers:
            setattr(self, name, type(getattr(self, name))(numbers[name]))
        self.loss_sum.copy_(tensors["loss_sum"])
        self.model.load_state_dict(_without_prefix(tensors, "model."))
        if self.lookahead:
            device = self.loss_sum.device
            mean = _without_prefix(tensors, "lookahead.")
            _require_shapes(mean, self.model.state_dict())
            self.lookahead.mean = {name: value.to(device) for name, value in mean.items()}
        if self.ema is not None:
            self.ema.load_state_dict(_without_prefix(tensors, "ema."))
        if self.pruning is not None:
            self.pruning.losses.copy_(tensors["pruning.losses"])
        stored = {**{k: v for k, v in numbers.items() if k.startswith("optimizer.")}, **tensors}
        for number, optimizer in enumerate(self.optimizers):
            prefix = f"optimizer.{number}."
            whole = optimizer.state_dict()
            whole["state"] = {}
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            for key, value in _without_prefix(stored, prefix).items():
                index, _, name = key.partition(".")
                whole["state"].setdefault(int(index), {})[name] = _laid_out_as(parameters[int(index)], value)
            _require_buffers(whole["state"], parameters)
            optimizer.load_state_dict(whole)


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


def _require_buffers(state: dict[int, dict[str, Any]], parameters: list[torch.nn.Parameter]) -> None:
    """Raise ValueError where the next step of an optimizer would fail on what it remembers."""
    for index, entries in state.items():
        buffer, parameter = entries.get("momentum_buffer"), parameters[index]
        fits = isinstance(buffer, torch.Tensor) and (buffer.shape, buffer.dtype) == (parameter.shape, parameter.dtype)
        if index < 0 or not fits or type(entries.get("step", 0)) is not int:
            raise ValueError(f"what the optimizer remembers of parameter {index} does not fit")


def _laid_out_as(parameter: torch.Tensor, value: Any) -> Any:
    """`value` in the parameter's memory order: fused optimizers go through both byte by byte, whatever the strides."""
    if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _without_prefix(items: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {key.removeprefix(prefix): value for key, value in items.items() if key.startswith(prefix)}
