"""Test-time augmentation: fixed views of an image whose logits are averaged. Nothing here is random.

The views are declared before the look: `flip` is 2, `shift` is 6 (as in airbench: whole and shifted by one pixel
both ways along the diagonal, each with its mirror image, the unshifted pair counting half), `ten_crop` is 10 (the
centre and four corner windows of the image padded by four pixels, each with its mirror image).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

from snellen.recipes.recipe import TTA

_PAD = {"shift": 1, "ten_crop": 4}


def views(images: torch.Tensor, tta: TTA) -> Iterator[tuple[float, torch.Tensor]]:
    """The views of a batch, with weights that sum to 1; the first one is the plain images.

    Args:
        images: (B, C, H, W) float32.
        tta: which set of views.

    Yields:
        Weight and images of the same shape.
    """
    if tta == "none":
        yield 1.0, images
        return
    windows = list(_windows(images, tta))
    for weight, window in windows:
        yield weight / 2, window
        yield weight / 2, window.flip(-1)


def _windows(images: torch.Tensor, tta: TTA) -> Iterator[tuple[float, torch.Tensor]]:
    if tta == "flip":
        yield 1.0, images
        return
    height, width = images.shape[-2:]
    pad = _PAD[tta]
    padded = functional.pad(images, (pad,) * 4, mode="reflect")
    far = 2 * pad
    if tta == "shift":
        yield 0.5, images
        corners, weight = [(0, 0), (far, far)], 0.25
    else:
        yield 0.2, images
        corners, weight = [(0, 0), (0, far), (far, 0), (far, far)], 0.2
    for top, left in corners:
        yield weight, padded[..., top : top + height, left : left + width]
