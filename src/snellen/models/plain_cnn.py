"""The plain convolutional network: neighbours matter now, but nothing is normalised inside.

It is the step between `mlp` and `small_cnn`: what convolution alone brings, before batch normalisation.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class PlainCNN(nn.Module):
    """Three times convolution 3x3, ReLU, max-pool 2x2; then one linear layer on what is left of the picture."""

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        height, width, channels = image_shape
        self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1)
        self.conv2 = nn.Conv2d(widths[0], widths[1], 3, padding=1)
        self.conv3 = nn.Conv2d(widths[1], widths[2], 3, padding=1)
        self.head = nn.Linear(widths[2] * (height // 8) * (width // 8), num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K)."""
        out = functional.max_pool2d(functional.relu(self.conv1(images)), 2)  # (N, 32, H/2, W/2)
        out = functional.max_pool2d(functional.relu(self.conv2(out)), 2)  # (N, 64, H/4, W/4)
        out = functional.max_pool2d(functional.relu(self.conv3(out)), 2)  # (N, 128, H/8, W/8)
        logits: Tensor = self.head(out.flatten(1))
        return logits


def plain_cnn(
    image_shape: tuple[int, int, int], num_classes: int, *, widths: tuple[int, ...] = (32, 64, 128)
) -> PlainCNN:
    """Three convolutions of 32, 64 and 128 channels without batch normalisation; 113,738 parameters for CIFAR-10.

    Args:
        image_shape: (H, W, C) in pixels; the network takes this size and no other.
        num_classes: K.
        widths: channels of the three convolutions.
    """
    return PlainCNN(image_shape, num_classes, widths)
