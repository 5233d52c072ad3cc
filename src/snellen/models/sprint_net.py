"""SprintNet: a small convolutional classifier built to train fast on a CPU.

The shape follows the CIFAR-10 speed-run line (Page 2018, Tysam 2023, Jordan 2024 "airbench"):
a fixed 2x2 patch-whitening layer, then three blocks of two 3x3 convolutions, a global maximum
and a linear head.  Choices that matter for speed are commented where they are made.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WHITEN_KERNEL = 2
_NORM_EPS = 1e-12
_NORM_MOMENTUM = 0.4434  # weight of the newest batch: short runs need fast running statistics


class SprintNorm(nn.BatchNorm2d):
    """Batch norm with a fixed scale of one: only the bias is trained.

    The scale is redundant before a convolution whose filters are renormalised, and leaving it
    out saves its gradient.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_NORM_EPS, momentum=_NORM_MOMENTUM)
        self.weight.requires_grad_(False)


class ConvBeforePool(nn.Conv2d):
    """A 3x3 convolution that 2x2 pooling follows: it computes only what the pooling reads.

    Pooling skips the last row and column of an odd map.  That is 21 of 11x11 positions, and 9 of 5x5.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W), H and W rounded down to even numbers."""
        height, width = x.shape[2:]
        if height % 2 == 0 and width % 2 == 0:
            return super().forward(x)
        padded = nn.functional.pad(x, (1, 1 - width % 2, 1, 1 - height % 2))
        return nn.functional.conv2d(padded, self.weight, self.bias)


def _conv3x3(kind: type[nn.Conv2d], in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution whose first ``in_channels`` filters start as the identity.

    The partial identity lets signal and gradient pass through the untrained net.
    """
    conv = kind(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
    with torch.no_grad():
        nn.init.dirac_(conv.weight[:in_channels])
    return conv


class SprintBlock(nn.Module):
    """Convolution, 2x2 max pooling, norm, SiLU, convolution, norm, SiLU.

    Pooling comes straight after the wide convolution so that the norm, the activation and the
    second convolution see a quarter of the pixels.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(ConvBeforePool, in_channels, out_channels)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = SprintNorm(out_channels)
        self.conv2 = _conv3x3(nn.Conv2d, out_channels, out_channels)
        self.norm2 = SprintNorm(out_channels)
        # SiLU: as accurate as GELU here, and 1.7 times cheaper on a CPU in bfloat16.
        self.activation = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H // 2, W // 2)."""
        x = self.activation(self.norm1(self.pool(self.conv1(x))))
        out: Tensor = self.activation(self.norm2(self.conv2(x)))
        return out


class ResidualBlock(SprintBlock):
    """A :class:`SprintBlock` with a third convolution, and a path around the second and third."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.conv3 = _conv3x3(nn.Conv2d, out_channels, out_channels)
        self.norm3 = SprintNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H // 2, W // 2)."""
        x = self.activation(self.norm1(self.pool(self.conv1(x))))
        deeper = self.norm3(self.conv3(self.activation(self.norm2(self.conv2(x)))))
        out: Tensor = self.activation(deeper + x)
        return out


class SprintNet(nn.Module):
    """Whitening layer, three :class:`SprintBlock` or :class:`ResidualBlock`, and a linear head.

    Args:
        image_shape: (H, W, C) in pixels; the network takes other sizes as well, sides of at least 16.
        num_classes: K.
        block: kind of the three blocks.
        widths: their channels.

    Call :meth:`init_whitening` once with training
    images before training.  To stop training the whitening bias (or a whole block), set
    ``requires_grad`` to false on it from outside; autograd then skips the work by itself.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_classes: int,
        block: type[SprintBlock] = SprintBlock,
        *,
        widths: tuple[int, ...] = (64, 256, 256),
    ) -> None:
        super().__init__()
        in_channels = image_shape[2]
        patch = in_channels * _WHITEN_KERNEL**2
        self.whiten = nn.Conv2d(in_channels, 2 * patch, _WHITEN_KERNEL, bias=True)
        self.whiten.weight.requires_grad_(False)
        self.whiten_activation = nn.GELU()
        self.block1 = block(2 * patch, widths[0])
        self.block2 = block(widths[0], widths[1])
        self.block3 = block(widths[1], widths[2])
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.head = nn.Linear(widths[2], num_classes, bias=False)
        with torch.no_grad():
            nn.init.zeros_(self.whiten.bias)  # type: ignore[arg-type]
            # Unit-variance head, paired with the 1/width factor in forward().
            self.head.weight.div_(self.head.weight.std())
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def init_whitening(self, images: Tensor, eps: float = 5e-4) -> None:
        """Set the first layer to whiten 2x2 patches of ``images`` (N, C, H, W, normalised float)."""
        patches = nn.functional.unfold(images.float(), _WHITEN_KERNEL).transpose(1, 2)
        flat = patches.reshape(-1, patches.shape[-1])
        covariance = flat.T @ flat / flat.shape[0]
        values, vectors = torch.linalg.eigh(covariance)
        filters = (vectors * torch.rsqrt(values.clamp_min(0.0) + eps)).T
        # Each direction appears with both signs, so that the activation keeps both halves.
        both = torch.cat((filters, -filters)).reshape(self.whiten.weight.shape)
        self.whiten.weight.copy_(both)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) normalised -> logits (N, K)."""
        x = self.whiten_activation(self.whiten(x))
        x = self.block3(self.block2(self.block1(x)))
        x = self.pool(x).flatten(1)
        logits: Tensor = self.head(x) / x.shape[1]
        return logits


class MarathonNet(SprintNet):
    """The wider and deeper `SprintNet` for longer trainings: blocks of three convolutions, as in "airbench96"."""

    def __init__(
        self, image_shape: tuple[int, int, int], num_classes: int, *, widths: tuple[int, ...] = (128, 384, 512)
    ) -> None:
        super().__init__(image_shape, num_classes, ResidualBlock, widths=widths)
