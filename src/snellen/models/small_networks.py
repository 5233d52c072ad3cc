"""The small networks of the ladder from pixels to pictures.

mlp         what can be learnt from pixels without knowing which ones are neighbours
plain_cnn   neighbours matter, but nothing is normalised inside: what convolution alone brings
small_cnn   four layers with batch normalisation: small enough for a laptop, good enough to show what a recipe is worth
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional


class MLP(nn.Module):
    """Flatten, 512 units with ReLU, one linear layer to K logits; 1,578,506 parameters for CIFAR-10.

    Args:
        image_shape: (H, W, C) in pixels; the network takes this size and no other.
        num_classes: K.
        widths: one number, the units of the hidden layer.
    """

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, *, widths: tuple[int, ...] = (512,)):
        super().__init__()
        self.hidden = nn.Linear(prod(image_shape), widths[0])
        self.head = nn.Linear(widths[0], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K)."""
        out: Tensor = self.head(functional.relu(self.hidden(images.flatten(1))))
        return out


class PlainCNN(nn.Module):
    """Three times convolution 3x3, ReLU, max-pool 2x2; then one linear layer on what is left of the picture.

    No batch normalisation; 113,738 parameters for CIFAR-10.

    Args:
        image_shape: (H, W, C) in pixels; the network takes this size and no other.
        num_classes: K.
        widths: channels of the three convolutions.
    """

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int, *, widths: tuple[int, ...] = (32, 64, 128)):
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


class SmallCNN(nn.Module):
    """Exactly four convolutions 3x3, each with batch normalisation and ReLU, a 2x2 max-pool after every second.

    Then the global average and one linear layer; 261,834 parameters for 10 classes and RGB.

    Args:
        image_shape: (H, W, C) in pixels; the network takes other sizes as well.
        num_classes: K.
        widths: channels of the four convolutions; (16, 16, 32, 32) has 17,082 parameters and 15 times less to compute.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], num_classes: int, *, widths: tuple[int, ...] = (64, 64, 128, 128)
    ) -> None:
        super().__init__()
        # No bias before a batch normalisation: it would be subtracted again.
        self.conv1 = nn.Conv2d(image_shape[2], widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.conv2 = nn.Conv2d(widths[0], widths[1], 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(widths[1])
        self.conv3 = nn.Conv2d(widths[1], widths[2], 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(widths[2])
        self.conv4 = nn.Conv2d(widths[2], widths[3], 3, padding=1, bias=False)
        self.bn4 = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K)."""
        out = functional.relu(self.bn1(self.conv1(images)))
        out = functional.max_pool2d(functional.relu(self.bn2(self.conv2(out))), 2)  # (N, 64, H/2, W/2)
        out = functional.relu(self.bn3(self.conv3(out)))
        out = functional.max_pool2d(functional.relu(self.bn4(self.conv4(out))), 2)  # (N, 128, H/4, W/4)
        logits: Tensor = self.fc(torch.flatten(functional.adaptive_avg_pool2d(out, 1), 1))
        return logits
