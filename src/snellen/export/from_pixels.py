"""The network that is exported: bytes of pictures in, probabilities out, so that nobody downstream can prepare them
wrongly. Scaling and normalisation are inside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from snellen.models.fuse import fuse_batch_norm
from snellen.models.normalized import Classifier


class FromPixels(nn.Module):
    """A classifier that takes what a picture file holds.

    Attributes:
        classifier: the trained one, with batch norms folded into convolutions where that is exact.
    """

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """(N, H, W, C) uint8 -> probabilities (N, K) float32."""
        # `contiguous` before the cast: otherwise the exporter writes strides into the graph, as gathers.
        planes = images.permute(0, 3, 1, 2).contiguous().to(torch.float32) / 255
        return torch.softmax(self.classifier(planes), dim=1)


def from_pixels(model: Classifier) -> FromPixels:
    """The exportable form of a trained classifier, on the CPU in fp32; `model` stays as it was."""
    fused = fuse_batch_norm(model).cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return FromPixels(fused).eval()
