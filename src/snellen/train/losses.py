"""The loss of each image: the cross-entropy, or a recipe's own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from snellen.errors import InvalidSetting
from snellen.parts import one_sentence, register


@register("loss", "cross_entropy")
def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of each image in nats, (B,)."""
    return functional.cross_entropy(logits, targets, reduction="none")


Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Logits (B, K) float32, and targets (B,) int64 or (B, K) float32 -> each image's loss (B,)."""


def batch_losses(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    class_weights: torch.Tensor | None,
    label_smoothing: float,
    loss: Loss = cross_entropy,
) -> torch.Tensor:
    """The loss that every training takes, of each image, (B,) float32: the cross-entropy in nats, or a recipe's own.

    Args:
        logits: (B, K), of any precision.
        targets: (B,) int64 labels, or (B, K) float32 where images are mixed.
        class_weights: (K,) float32, or None for equal ones.
        label_smoothing: s: the target is 1 - s + s / K on the label and s / K elsewhere; 0 for a loss of one's own.
        loss: of each image, before classes are weighed.
    """
    logits = logits.float()  # bf16 has three digits, too few for log-probabilities
    if loss is cross_entropy:
        return functional.cross_entropy(
            logits, targets, weight=class_weights, label_smoothing=label_smoothing, reduction="none"
        )
    return _own_losses(loss, logits, targets, class_weights)


def _own_losses(
    loss: Loss, logits: torch.Tensor, targets: torch.Tensor, class_weights: torch.Tensor | None
) -> torch.Tensor:
    with one_sentence(
        f"The recipe's loss, called with logits {tuple(logits.shape)} and targets {tuple(targets.shape)}, fails"
    ):
        losses = loss(logits, targets)
    if not isinstance(losses, torch.Tensor) or losses.shape != logits.shape[:1] or not losses.is_floating_point():
        got = tuple(losses.shape) if isinstance(losses, torch.Tensor) else type(losses).__name__
        raise InvalidSetting(f"The recipe's loss gives {got} for {len(logits)} images; it takes one number for each.")
    if class_weights is None:
        return losses.float()
    return losses.float() * (class_weights[targets] if targets.ndim == 1 else targets @ class_weights)
