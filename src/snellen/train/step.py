"""One update: forward, loss, backward, optimizers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from snellen.recipes.recipe import Muon, Recipe
from snellen.train.optimizers import set_lr
from snellen.train.precision import Placement


def update(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    optimizers: list[torch.optim.Optimizer],
    lr: float,
    recipe: Recipe,
    placement: Placement,
    class_weights: torch.Tensor | None = None,
    sample_weights: torch.Tensor | None = None,
    batch_size: int | None = None,
    workers: int = 1,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Make one step; nothing here waits for the device.

    Args:
        model: in train mode.
        images: (B, C, H, W) float32 in [0, 1].
        labels: (B,) int64, or (B, K) float32 targets of mixed images.
        lr: fraction of every group's peak rate.
        class_weights: (K,) float32 on the device, the say of each class in the loss; None weighs all alike.
        sample_weights: (B,) float32 on the device, the weight of each image in the loss; None weighs all alike.
        batch_size: images of the whole batch, where these are one worker's share of it, or some were left out.
        workers: how many share it; their gradients are averaged, and the loss is made so that the mean is that of the
            whole batch.

    Returns:
        The summed loss, a scalar, and each image's own before it is weighed, (B,) float32, both on the device.
    """
    with placement.kernels():
        with placement.autocast():
            logits = model(images)
        # The loss is taken in fp32: bf16 has three digits, too few for log-probabilities.
        losses = functional.cross_entropy(
            logits.float(), labels, weight=class_weights, label_smoothing=recipe.label_smoothing, reduction="none"
        )
        summed = (losses if sample_weights is None else losses * sample_weights).sum()
        whole = 1 if isinstance(recipe.optimizer, Muon) else batch_size or len(labels)
        (workers * summed / whole).backward()  # type: ignore[no-untyped-call]
    set_lr(optimizers, lr)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return summed.detach(), losses.detach()
