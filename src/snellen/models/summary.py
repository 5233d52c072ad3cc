"""What a model computes, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LayerRow:
    """One layer with parameters, in the order in which an image meets it.

    Attributes:
        kind: its class; "Conv2d" for every kind of it.
        output_shape: without the batch axis: (C, H, W) or (D,).
        macs: multiply-adds for one image. Convolutions and linear layers are counted; the rest is below 1 %.
    """

    kind: str
    output_shape: tuple[int, ...]
    macs: int


def describe_layers(model: nn.Module, image_shape: tuple[int, int, int]) -> list[LayerRow]:
    """One row per layer that has parameters, found by sending one black image (H, W, C) through the model.

    The model is evaluated without gradients and left in the mode in which it was. A layer used twice has two rows.
    """
    rows: list[LayerRow] = []

    def note(module: nn.Module, _: Any, output: Tensor) -> None:
        shape = tuple(output.shape[1:])
        kind = "Conv2d" if isinstance(module, nn.Conv2d) else type(module).__name__
        rows.append(LayerRow(kind, shape, _macs(module, shape)))

    modes = {module: module.training for module in model.modules()}
    layers = [module for module in modes if any(True for _ in module.parameters(recurse=False))]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    height, width, channels = image_shape
    try:
        model.eval()  # batch normalisation would learn from the black image
        with torch.no_grad():
            model(torch.zeros(1, channels, height, width, device=next(model.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training
    return rows


def multiply_adds(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Multiply-adds for one image forward; a training step costs about three times as many per image."""
    return sum(row.macs for row in describe_layers(model, image_shape))


def _macs(module: nn.Module, output_shape: tuple[int, ...]) -> int:
    if isinstance(module, nn.Conv2d):
        per_value = module.in_channels // module.groups * prod(module.kernel_size)
        return prod(output_shape) * per_value
    if isinstance(module, nn.Linear):
        return prod(output_shape) * module.in_features
    return 0
