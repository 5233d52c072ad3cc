"""How many values of a network are trained: what its description states."""

from __future__ import annotations

from torch import nn


def parameter_count(model: nn.Module) -> int:
    """Buffers such as mean, std and running statistics are not among them."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
