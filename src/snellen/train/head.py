"""The last layer fitted to a network that does not change: logistic regression, whose best answer is the only one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_MOST_ITERATIONS = 100
_LEAST_SPREAD = 1e-3  # a feature that hardly varies is not blown up


def fit_head(head: nn.Linear, features: Tensor, labels: Tensor, penalty: float, class_weights: Tensor | None) -> None:
    """Set weight and bias of `head` to those of the penalised logistic regression of labels on features.

    Args:
        head: D features to K classes; changed in place.
        features: (N, D) float32 on the CPU.
        labels: (N,) int64.
        penalty: L2, on the weights of features that are scaled to a variance of 1, against the summed loss.
        class_weights: (K,) float32, the weight of each class in the loss; None weighs all alike.
    """
    mean, spread = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=_LEAST_SPREAD)
    scaled = (features - mean) / spread
    weight = torch.zeros(head.out_features, head.in_features, requires_grad=True)
    bias = torch.zeros(head.out_features, requires_grad=True)
    balance = None if class_weights is None else class_weights.cpu()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_MOST_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        summed = functional.cross_entropy(functional.linear(scaled, weight, bias), labels, balance, reduction="sum")
        penalised = (summed + penalty / 2 * weight.square().sum()) / len(labels)
        penalised.backward()  # type: ignore[no-untyped-call]
        return penalised

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        head.weight.copy_(weight / spread)
        head.bias.copy_(bias - (weight / spread) @ mean)
