"""Convolutions over small maps as matrix products, on CPUs with AMX.

AMX multiplies tiles that are 32 bf16 values deep. For the gradient of the weight oneDNN (3.12) lays the width of the
map along that depth, so that of a map 5 pixels wide it uses 5 of 32; the other two directions lose less. Unfolded, as
in Chellapilla et al. 2006, the depth is all positions of all images, and every tile is full. What was measured stands
in results/LOG.md. Letters: B, H, W, C as everywhere, K filters of h x w, H' and W' of the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from snellen.models.device import has_instructions

FEWEST_CHANNELS = 128
"""On both sides. Thinner maps are as fast in oneDNN, or faster."""
WIDEST, WIDEST_FOR_WEIGHT = 5, 8
"""W' in pixels: forward and for the gradient of the images; for that of the weight."""
_UNFOLDED_BYTES = 64 << 20
"""At a time: an unfolded batch can be nine times the batch."""
_CONVOLUTION, _BACKWARD = torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default


def small_map_products() -> AbstractContextManager[object]:
    """The context for a training step in bf16 on the CPU; it does nothing where there is no AMX."""
    if not has_instructions("amx_bf16"):
        return nullcontext()
    return SmallMapProducts()  # type: ignore[no-untyped-call]


class SmallMapProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Convolves small maps of bf16 by products and leaves all else to PyTorch; models know nothing of it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See PyTorch's `TorchDispatchMode`: each operation comes by here, below autograd and autocast."""
        if func is _CONVOLUTION and _is_plain(*args[1:2], *args[5:9]):
            images, weight, bias, stride, padding, *_ = args
            if _positions(images, weight.shape[2:], stride, padding)[1] <= WIDEST:
                output = convolve(images, weight, stride, padding)
                return output if bias is None else output.add_(bias.view(-1, 1, 1))
        if func is _BACKWARD and _is_plain(*args[2:3], *args[6:10]) and args[0].shape[3] <= WIDEST_FOR_WEIGHT:
            return _gradients(*args)
        return func(*args, **(kwargs or {}))


def convolve(images: Tensor, weight: Tensor, stride: Sequence[int], padding: Sequence[int]) -> Tensor:
    """The convolution of (B, C, H, W) with (K, C, h, w): (B, K, H', W') in channels_last memory, in their format."""
    filters, _, *kernel = weight.shape
    product = weight.permute(2, 3, 1, 0).reshape(-1, filters)
    rows = torch.cat([windows @ product for windows in _unfolded(images, kernel, stride, padding)])
    return rows.view(len(images), *_positions(images, kernel, stride, padding), filters).permute(0, 3, 1, 2)


def weight_gradient(
    gradient: Tensor, images: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> Tensor:
    """The gradient of the weight: (K, C, h, w) in channels_last memory, in their format, summed in float32.

    Args:
        gradient: (B, K, H', W') of the output.
        images: (B, C, H, W).
        kernel: h and w.
        stride: vertical and horizontal.
        padding: zeros above and below, left and right.
    """
    filters, channels = gradient.shape[1], images.shape[1]
    rows = gradient.permute(0, 2, 3, 1).reshape(-1, filters)
    total, start = torch.zeros(filters, channels * kernel[0] * kernel[1]), 0
    for windows in _unfolded(images, kernel, stride, padding):
        total += rows[start : start + len(windows)].t() @ windows
        start += len(windows)
    return total.view(filters, *kernel, channels).permute(0, 3, 1, 2).to(gradient.dtype)


def _gradients(
    gradient: Tensor, images: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, *rest: Any
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Of images, weight and bias, as far as they are asked for in the last argument."""
    *others, (for_images, for_weight, for_bias) = rest
    kernel = weight.shape[2:]
    by_product = for_images and stride == [1, 1] and gradient.shape[3] <= WIDEST
    of_images, _, of_bias = _BACKWARD(
        gradient, images, weight, bias, stride, padding, *others, [for_images and not by_product, False, for_bias]
    )
    if by_product:  # the convolution backwards: what a pixel was seen by
        around = [size - 1 - pad for size, pad in zip(kernel, padding, strict=True)]
        of_images = convolve(gradient, weight.flip(2, 3).transpose(0, 1), stride, around)
    return of_images, weight_gradient(gradient, images, kernel, stride, padding) if for_weight else None, of_bias


def _unfolded(images: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> Iterator[Tensor]:
    """(b * H' * W', h * w * C) for some b images after the other: what the kernel sees at each position."""
    height, width = _positions(images, kernel, stride, padding)
    channels = images.shape[1]
    per_image = height * width * kernel[0] * kernel[1] * channels * images.element_size()
    for some in torch.split(images, max(1, _UNFOLDED_BYTES // per_image)):
        padded = functional.pad(some.permute(0, 2, 3, 1), (0, 0, padding[1], padding[1], padding[0], padding[0]))
        image, row, pixel, channel = padded.stride()
        windows = padded.as_strided(
            (len(some), height, width, *kernel, channels),
            (image, row * stride[0], pixel * stride[1], row, pixel, channel),
        )
        yield windows.reshape(len(some) * height * width, -1)


def _positions(images: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> tuple[int, int]:
    """H' and W'."""
    height, width = (
        (length + 2 * pad - size) // step + 1
        for length, size, step, pad in zip(images.shape[2:], kernel, stride, padding, strict=True)
    )
    return height, width


def _is_plain(weight: Tensor, dilation: list[int], transposed: bool, _: Any, groups: int) -> bool:
    """Of the kind that is written here: bf16, two dimensions, wide enough to pay, nothing special."""
    return (
        weight.dtype == torch.bfloat16
        and weight.dim() == 4
        and min(weight.shape[:2]) >= FEWEST_CHANNELS
        and dilation == [1, 1]
        and not transposed
        and groups == 1
    )
