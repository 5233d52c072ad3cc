"""ResNet-18 (He et al. 2016) with a stem for small images.

The names in its state dict are torchvision's, so that weights can go both ways. What differs is the stem. The one
made for 224 px (7x7, stride 2, then a max-pool) throws three quarters of the positions away twice before the first
block; a picture of 32 px ends as a single position. Ours is 3x3 at stride 1 without a pool: 32 px end as 4x4, for
15 times the arithmetic (555 million multiply-adds against 37 million).
"""

from __future__ import annotations

from math import ceil
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from snellen.errors import InvalidSetting

Stem = Literal["small", "stock"]

_STOCK_STEM_SIDE = 64  # pixels; the stock stem leaves 2x2 positions here, 1x1 at 32
_FEWEST_STRIDED = 8  # channels that a strided 1x1 convolution may read on any CPU


class Projection(nn.Conv2d):
    """A 1x1 convolution of every `stride`-th pixel.

    Of fewer than eight channels the pixels are taken out first. Else oneDNN (3.12, issue 6035) writes past its memory
    for the gradient of the weight on CPUs with AVX2 and no AVX-512: it is wrong, or the process ends, or hangs.
    """

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__(channels_in, channels, kernel_size=1, stride=stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels_in, H, W) -> (N, channels, H / stride, W / stride), rounded up."""
        if self.in_channels >= _FEWEST_STRIDED:
            return super().forward(images)
        down, across = self.stride
        return functional.conv2d(images[..., ::down, ::across], self.weight, self.bias)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, and the input added to their result.

    With `residual` off nothing is added: the plain network that He et al. compare with.
    """

    def __init__(self, channels_in: int, channels: int, stride: int, *, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Sequential | None = None
        if residual and (stride != 1 or channels_in != channels):
            self.downsample = nn.Sequential(Projection(channels_in, channels, stride), nn.BatchNorm2d(channels))

    def forward(self, images: Tensor) -> Tensor:
        """(N, channels_in, H, W) -> (N, channels, H / stride, W / stride)."""
        out: Tensor = functional.relu(self.bn1(self.conv1(images)))
        out = self.bn2(self.conv2(out))
        if self.residual:
            out = out + (images if self.downsample is None else self.downsample(images))
        return functional.relu(out)


class ResNet18(nn.Module):
    """Stem, four stages of two blocks, global average, one linear layer. The stem is as wide as the first stage.

    11,173,962 parameters for 10 classes with the small stem, 11,181,642 with the stock one.

    Args:
        image_shape: (H, W, C) in pixels; the network takes other sizes as well.
        num_classes: K.
        widths: channels of the four stages.
        stem: "small" (3x3, stride 1) or "stock" (7x7, stride 2, and a max-pool; for 64 px and more).
        residual: False leaves the additions out, and with them the 1x1 projections.

    Raises:
        InvalidSetting: no such stem, or the stock stem for images under 64 px.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_classes: int,
        *,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        stem: Stem = "small",
        residual: bool = True,
    ) -> None:
        super().__init__()
        height, width, channels = image_shape
        if stem not in ("small", "stock"):
            raise InvalidSetting(f"stem={stem!r} is not possible for resnet18: small or stock.")
        if stem == "stock" and min(height, width) < _STOCK_STEM_SIDE:
            raise InvalidSetting(
                f"stem='stock' is not possible for images of {height}x{width} px: it halves the picture twice before "
                f"the first block, and the last map would be {ceil(height / 32)}x{ceil(width / 32)}. "
                f"Use stem='small', or images of at least {_STOCK_STEM_SIDE} px."
            )
        self.stem = stem
        if stem == "stock":
            self.conv1 = nn.Conv2d(channels, widths[0], 7, stride=2, padding=3, bias=False)
        else:
            self.conv1 = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1 = _stage(widths[0], widths[0], stride=1, residual=residual)
        self.layer2 = _stage(widths[0], widths[1], stride=2, residual=residual)
        self.layer3 = _stage(widths[1], widths[2], stride=2, residual=residual)
        self.layer4 = _stage(widths[2], widths[3], stride=2, residual=residual)
        self.fc = nn.Linear(widths[3], num_classes)
        for module in self.modules():  # as torchvision; batch normalisation starts at 1 and 0 by itself
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K). Positions of the four stages at 32 px: 32, 16, 8, 4."""
        out = functional.relu(self.bn1(self.conv1(images)))
        if self.stem == "stock":
            out = functional.max_pool2d(out, 3, stride=2, padding=1)
        out = self.layer4(self.layer3(self.layer2(self.layer1(out))))
        logits: Tensor = self.fc(torch.flatten(functional.adaptive_avg_pool2d(out, 1), 1))
        return logits


def _stage(channels_in: int, channels: int, *, stride: int, residual: bool) -> nn.Sequential:
    """Two blocks; the first one changes size and channels."""
    return nn.Sequential(
        BasicBlock(channels_in, channels, stride, residual=residual),
        BasicBlock(channels, channels, 1, residual=residual),
    )
