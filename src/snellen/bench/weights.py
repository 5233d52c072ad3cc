"""The identity of a model that has no weights file."""

from __future__ import annotations

import hashlib

from torch import nn


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 over names, shapes and bytes of all weights and buffers, in order.

    It is not the sum of a weights file, which `models.restore.weights_hash` gives: this one needs nothing but PyTorch.
    """
    digest = hashlib.sha256(b"snellen weights without a file\n")
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
