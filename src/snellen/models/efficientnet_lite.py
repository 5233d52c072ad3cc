"""EfficientNet-Lite 0, 1 and 2: small networks for photographs, with weights that know a thousand kinds of things.

Source: M. Tan and Q. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019, in the Lite
form of Google's tpu repository: ReLU6, no squeeze-and-excitation, stem and head not scaled. The weights were trained
in TensorFlow, whose "same" padding puts more pixels on the right and below at stride 2.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

# repeats, channels, expansion, kernel, stride
_STAGES = (
    (1, 16, 1, 3, 1), (2, 24, 6, 3, 2), (2, 40, 6, 5, 2), (3, 80, 6, 3, 2), (3, 112, 6, 5, 1), (4, 192, 6, 5, 2),
    (1, 320, 6, 3, 1),
)  # fmt: skip
_STEM, _HEAD = 32, 1280
_SCALES = {0: (1.0, 1.0, 0.2), 1: (1.0, 1.1, 0.2), 2: (1.1, 1.2, 0.3)}
"""Of each size: factor of the channels, factor of the repeats, dropout before the linear layer."""


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: ceil(side / stride) positions, the odd pixel right and below."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:
            return functional.conv2d(x, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        high, wide = (max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
        padded = functional.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return functional.conv2d(padded, self.weight, self.bias, stride, 0, 1, self.groups)


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and, where asked for, ReLU6."""

    def __init__(
        self, channels: int, out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        conv = SameConv2d(channels, out, kernel, stride, groups=groups, bias=False)
        norm = nn.BatchNorm2d(out, eps=1e-3, momentum=0.01)
        super().__init__(*(conv, norm, nn.ReLU6(inplace=True)) if act else (conv, norm))


class Block(nn.Module):
    """An inverted residual: widen by 1x1, look around channel by channel, narrow by 1x1; added to what came in."""

    def __init__(self, channels: int, out: int, *, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.expand = ConvNorm(channels, wide) if expansion > 1 else nn.Identity()
        self.depthwise = ConvNorm(wide, wide, kernel, stride=stride, groups=wide)
        self.project = ConvNorm(wide, out, act=False)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H / stride, W / stride)."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class EfficientNetLite(nn.Module):
    """Stem, inverted residuals in seven stages, a 1x1 convolution, the mean over positions, one linear layer.

    4,652,008 parameters in Lite0 for 1,000 classes, 5,416,680 in Lite1 and 6,092,072 in Lite2.

    Args:
        size: 0, 1 or 2.
        image_shape: (H, W, C) in pixels; the network takes other sizes as well.
        num_classes: K.

    Attributes:
        stem: (B, 3, H, W) -> (B, 32, H/2, W/2).
        blocks: 16 inverted residuals in Lite0; a cut between two of them divides what is frozen from what learns.
        head: -> (B, 1280, H/32, W/32).
        classifier: (B, 1280) -> (B, K).
    """

    def __init__(self, size: int, image_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__()
        width, depth, dropout = _SCALES[size]
        self.stem = ConvNorm(image_shape[2], _STEM, 3, stride=2)
        blocks: list[nn.Module] = []
        before = _STEM
        for number, (repeats, out, expansion, kernel, stride) in enumerate(_STAGES):
            ends = number in (0, len(_STAGES) - 1)  # the Lite form leaves the first and last stage as deep as they are
            out = _rounded(out * width)
            for repeat in range(repeats if ends else math.ceil(repeats * depth)):
                step = stride if repeat == 0 else 1
                blocks.append(Block(before, out, expansion=expansion, kernel=kernel, stride=step))
                before = out
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvNorm(before, _HEAD)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(_HEAD, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) normalised float32 -> logits (B, K)."""
        maps = self.head(self.blocks(self.stem(x)))
        logits: Tensor = self.classifier(self.dropout(maps.mean(dim=(2, 3))))
        return logits


def _rounded(channels: float) -> int:
    """To a multiple of 8, at most a tenth below what was asked for."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8
