"""The first layer of every model: pixels in [0, 1] become values with mean 0 and standard deviation 1.

Mean and deviation travel with the weights, so that training, evaluation, the ONNX file and the viewer cannot use
different ones, and nobody who holds a model can forget to normalise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from snellen.errors import DataError


class Normalized(nn.Module):
    """Subtract each channel's mean and divide by its standard deviation, both fixed.

    Attributes:
        mean: buffer (C,) float32, in units of [0, 1].
        std: buffer (C,) float32, in units of [0, 1].

    Raises:
        DataError: the two have different lengths, or a channel's standard deviation is not positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        means, deviations = [float(value) for value in mean], [float(value) for value in std]
        if len(means) != len(deviations):
            raise DataError(f"{len(means)} channel means but {len(deviations)} standard deviations were given")
        for channel, value in enumerate(deviations):
            if not value > 0:
                raise DataError(f"Channel {channel} has standard deviation {value}: all its pixels are alike. Drop it.")
        self.register_buffer("mean", torch.tensor(means, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(deviations, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float32 in [0, 1] -> the same shape, normalised."""
        return (images - self.mean[:, None, None]) / self.std[:, None, None]


class Classifier(nn.Module):
    """A network with its normalisation in front: images in [0, 1] in, logits out.

    Attributes:
        normalize: the fixed first layer.
        net: the network; its keys in a state dict have the prefix `net.` and are otherwise its own.
    """

    def __init__(self, normalize: Normalized, net: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float32 in [0, 1] -> logits (N, K)."""
        logits: Tensor = self.net(self.normalize(images))
        return logits
