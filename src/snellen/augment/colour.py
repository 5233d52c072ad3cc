"""Grey values and blends of whole batches, written so that the reference can be held against them."""

from __future__ import annotations

from torch import Tensor

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114  # as `reference.LUMA`


def grey(batch: Tensor) -> Tensor:
    """(B, 1, H, W) float32. Written out: a matrix product would follow the precision set for the network."""
    if batch.shape[1] == 1:
        return batch
    return batch[:, 0:1] * _RED + batch[:, 1:2] * _GREEN + batch[:, 2:3] * _BLUE


def blend_(batch: Tensor, anchor: Tensor | None, factor: Tensor) -> Tensor:
    """`reference.blend` per image, in place: factor (B,), anchor broadcast against the batch or None for black."""
    weight = factor.view(-1, 1, 1, 1)
    batch = batch.mul_(weight)
    if anchor is not None:
        batch = batch.add_(anchor * (1 - weight))
    return batch.clamp_(0, 1)
