"""Muon: momentum whose update is made (approximately) orthogonal, for convolution filters.

Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), in
the form used for CIFAR-10 speed runs: each filter bank is seen as a matrix (out, in*kh*kw), its
Nesterov momentum is pushed towards the nearest semi-orthogonal matrix by three steps of a
quintic Newton-Schulz iteration, and the weight is held on a sphere by renormalisation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

# Quintic coefficients: steep at zero, so that three steps are enough; singular values end
# roughly within 0.5..1.5 instead of exactly at 1, which does not hurt training.
_QUINTIC = (3.4576, -4.7391, 2.0843)


def orthogonalise(matrices: Tensor, steps: int = 3, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Approximate the nearest semi-orthogonal matrix of each (rows, columns) matrix in a stack."""
    a, b, c = _QUINTIC
    x: Tensor = matrices.to(dtype)
    tall = x.shape[1] > x.shape[2]
    if tall:  # the iteration works on the smaller Gram matrix
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)  # largest singular value at most 1
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    result: Tensor = x.transpose(1, 2) if tall else x
    return result


class Muon(torch.optim.Optimizer):
    """Muon for 4-D convolution filters.

    Args:
        params: 4-D filters (or groups of them).
        lr: step length; every filter matrix has norm ``sqrt(out_channels)``.
        momentum: Nesterov momentum.
        weight_decay: decoupled; the weight is scaled by ``1 - lr * weight_decay``.
        renorm_every: steps between renormalisations of the weights (1 = each step).
        steps: Newton-Schulz steps.

    The whole state is the momentum buffer and a step count per parameter, so
    ``state_dict``/``load_state_dict`` resume bit-exactly.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = 0.2255,
        momentum: float = 0.655,
        weight_decay: float = 0.0,
        renorm_every: int = 1,
        steps: int = 3,
    ) -> None:
        if lr < 0.0 or not 0.0 <= momentum < 1.0 or weight_decay < 0.0 or renorm_every < 1 or steps < 1:
            raise ValueError(
                f"Muon: bad setting: lr={lr}, momentum={momentum}, weight_decay={weight_decay}, "
                f"renorm_every={renorm_every}, steps={steps}"
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "renorm_every": renorm_every,
            "steps": steps,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            if any(p.dim() != 4 for p in group["params"]):
                raise ValueError("Muon takes 4-D convolution filters only")

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every filter that has a gradient; a frozen one is left as it is."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        lr: float = group["lr"]
        momentum: float = group["momentum"]
        by_shape: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for p in group["params"]:
            if p.grad is None:  # a frozen filter: left as it is
                continue
            state = self.state[p]
            if not state:
                state["step"] = 0
                state["momentum_buffer"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            buffer: Tensor = state["momentum_buffer"]
            buffer.mul_(momentum).add_(p.grad)
            direction = p.grad.add(buffer, alpha=momentum)
            if state["step"] % group["renorm_every"] == 0:
                p.mul_(len(p) ** 0.5 / (p.norm() + 1e-7))
            state["step"] += 1
            by_shape.setdefault((len(p), p[0].numel()), []).append((p, direction))
        for shape, pairs in by_shape.items():  # filters of one shape share the matrix products
            stack = torch.stack([direction.reshape(shape) for _, direction in pairs])
            for (p, _), update in zip(pairs, orthogonalise(stack, group["steps"]), strict=True):
                p.add_(update.reshape(p.shape).to(p.dtype), alpha=-lr)
                if group["weight_decay"]:
                    p.mul_(1.0 - lr * group["weight_decay"])
