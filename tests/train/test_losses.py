"""The loss of each image: PyTorch's cross-entropy, or one of somebody's own, each weighed by its class."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from snellen.errors import InvalidSetting
from snellen.train.losses import Loss, batch_losses, cross_entropy

LOGITS = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
LABELS, MIXED = torch.tensor([2, 0, 1, 1, 2]), torch.softmax(LOGITS.flip(0), dim=1)
WEIGHTS = torch.tensor([0.5, 1.0, 3.0])


def squared(logits: Tensor, targets: Tensor) -> Tensor:
    """The squared distance of probabilities and target."""
    wanted = functional.one_hot(targets, 3) if targets.ndim == 1 else targets
    return (logits.softmax(dim=1) - wanted).square().sum(dim=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("targets", [LABELS, MIXED])
def test_the_cross_entropy_is_weighed_and_smoothed_as_pytorch_does(
    targets: Tensor, weights: Tensor | None, smoothing: float
) -> None:
    found = batch_losses(LOGITS.bfloat16(), targets, class_weights=weights, label_smoothing=smoothing)
    wanted = targets if targets.ndim == 2 else functional.one_hot(targets, 3).float()
    wanted = (1 - smoothing) * wanted + smoothing / 3
    weighed = wanted if weights is None else wanted * weights
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, -(weighed * LOGITS.bfloat16().float().log_softmax(dim=1)).sum(dim=1))
    torch.testing.assert_close(
        cross_entropy(LOGITS, targets), functional.cross_entropy(LOGITS, targets, reduction="none")
    )


@pytest.mark.parametrize(("targets", "of_each"), [(LABELS, WEIGHTS[LABELS]), (MIXED, MIXED @ WEIGHTS)])
def test_a_loss_of_ones_own_is_weighed_by_the_class_or_by_the_share_of_each(targets: Tensor, of_each: Tensor) -> None:
    plain = squared(LOGITS, targets)
    for weights, wanted in ((None, plain), (WEIGHTS, plain * of_each)):
        found = batch_losses(LOGITS, targets, class_weights=weights, label_smoothing=0.0, loss=squared)
        torch.testing.assert_close(found, wanted)
    half: Loss = lambda logits, targets: squared(logits, targets).bfloat16()  # noqa: E731
    assert batch_losses(LOGITS, targets, class_weights=None, label_smoothing=0.0, loss=half).dtype == torch.float32


@pytest.mark.parametrize(
    ("gives", "got"),
    [
        (torch.zeros(5, 1), r"\(5, 1\)"), (torch.zeros(3), r"\(3,\)"), (torch.zeros(()), r"\(\)"),
        (torch.zeros(5, dtype=torch.int64), r"\(5,\)"), ([0.0] * 5, "list"),
    ],
)  # fmt: skip
def test_a_loss_that_gives_no_number_for_each_image_is_refused(gives: Any, got: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"gives {got} for 5 images; it takes one number for each"):
        batch_losses(LOGITS, LABELS, class_weights=None, label_smoothing=0.0, loss=lambda logits, targets: gives)
