"""The first layer's filters as small pictures: what the network looks for before it has seen anything else."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from snellen.models.normalized import Classifier


def first_filters(model: Classifier, image_shape: tuple[int, int, int], *, limit: int = 64) -> NDArray[np.uint8]:
    """The filters of the first layer, each stretched by itself so that 0 is mid-grey and its largest weight white.

    Of a layer that sees the whole picture at once (an MLP) the `limit` strongest units are shown, of a convolution
    the first ones in channel order.

    Args:
        model: any of the catalog.
        image_shape: (H, W, C) in pixels, of the images it takes.
        limit: how many at most.

    Returns:
        (F, h, w, C) uint8, in the channel order of images.
    """
    first = next(module for module in model.net.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    weights = first.weight.detach().float().cpu()
    if isinstance(first, nn.Linear):
        height, width, channels = image_shape
        strongest = weights.norm(dim=1).argsort(descending=True, stable=True)[:limit]
        weights = weights[strongest].reshape(-1, channels, height, width)
    weights = weights[:limit]
    largest = weights.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    pictures = ((weights / largest + 1) * 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(pictures.permute(0, 2, 3, 1).numpy())
