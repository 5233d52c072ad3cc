"""What channels look for: the first layer's filters as small pictures, and the patches that excite a channel most.

A deep unit can in principle see the whole picture, but most of what moves it lies in the middle of its field. So the
patch is as large as the square that holds most of the gradient (Luo et al. 2016 call it the effective receptive
field), measured on the model itself instead of computed from its strides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from snellen.augment.batched import to_float
from snellen.data.labeled_images import LabeledImages
from snellen.inspect.features import Peaks, images_per_pass, recorded
from snellen.inspect.layers import Layer
from snellen.models.normalized import Classifier
from snellen.predict.predict import evaluating

_MASS = 0.9  # share of the gradient that the patch holds
_PROBES, _PASSES = 64, 6  # pictures at most, and passes: large pictures cost much, and say more each
_FILTERS, _CHANNELS, _PATCHES = 64, 8, 9  # shown at most, per layer, per layer and per channel


@dataclass(frozen=True)
class Channel:
    """One channel and the pictures that excite it most.

    Attributes:
        number: which channel of its layer.
        rows: (M,) int64 rows of the images, the strongest answer first, each picture once.
        corners: (M, 2) int64, top and left of each patch in pixels; the patch lies inside the picture.
        side: of the square patches, pixels.
    """

    number: int
    rows: NDArray[np.int64]
    corners: NDArray[np.int64]
    side: int


def first_filters(model: Classifier, image_shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The filters of the first layer, each stretched by itself so that 0 is mid-grey and its largest weight white.

    Of a layer that sees the whole picture at once (an MLP) the 64 strongest units are shown, of a convolution
    the first 64 in channel order.

    Args:
        model: any of the catalog.
        image_shape: (H, W, C) in pixels, of the images it takes.

    Returns:
        (F, h, w, C) uint8, in the channel order of images.
    """
    first = next(module for module in model.net.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    weights = first.weight.detach().float().cpu()
    if isinstance(first, nn.Linear):
        height, width, channels = image_shape
        strongest = weights.norm(dim=1).argsort(descending=True, stable=True)[:_FILTERS]
        weights = weights[strongest].reshape(-1, channels, height, width)
    weights = weights[:_FILTERS]
    largest = weights.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    pictures = ((weights / largest + 1) * 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(pictures.permute(0, 2, 3, 1).numpy())


def patch_side(model: Classifier, images: LabeledImages, layer: Layer) -> int:
    """Side in pixels of the square around a unit that holds nine tenths of the gradient of its answer.

    Measured on the middle unit of the layer's maps, all channels together, over a few of the images; 3 at least.
    """
    device = next(model.parameters()).device
    mass, at_once = np.zeros(images.image_shape[:2]), images_per_pass(images.image_shape, gradients=True)
    with evaluating(model, gradients=True), recorded(model, (layer,)) as seen:
        for batch in torch.split(torch.from_numpy(images.images[: min(_PROBES, _PASSES * at_once)]), at_once):
            pictures = to_float(batch.to(device)).requires_grad_(True)
            model(pictures)
            maps = seen[layer.key]
            row, column = maps.shape[-2] // 2, maps.shape[-1] // 2
            (gradient,) = torch.autograd.grad(maps[:, :, row, column].sum(), pictures)
            mass += gradient.abs().sum(dim=(0, 1)).cpu().numpy()
    centre = _centre((row, column), (maps.shape[-2], maps.shape[-1]), mass.shape)
    return _side_holding(mass, centre)


def selective_channels(peaks: Peaks, *, image_shape: tuple[int, int, int], side: int) -> list[Channel]:
    """The up to 8 channels that single out few pictures most clearly, with up to 9 of those pictures.

    A channel is worth showing when its best answers stand far above its usual ones; a channel that always answers, or
    never, shows nothing.

    Args:
        peaks: of N images in one layer.
        image_shape: (H, W, C) of the images, pixels.
        side: of the patches, pixels.
    """
    count = min(_PATCHES, len(peaks.value))
    order = np.argsort(-peaks.value, axis=0, kind="stable")[:count]  # (M, C)
    best = np.take_along_axis(peaks.value, order, axis=0)
    deviation = peaks.value.std(axis=0)
    clearness = np.divide(best.mean(axis=0) - peaks.value.mean(axis=0), deviation, where=deviation > 0,
                          out=np.full(len(deviation), -np.inf))  # fmt: skip
    clearness[best[-1] <= 0] = -np.inf  # answers to fewer pictures than would be shown
    chosen = [int(c) for c in np.argsort(-clearness, kind="stable")[:_CHANNELS] if np.isfinite(clearness[c])]
    height, width = image_shape[:2]
    found = []
    for number in chosen:
        rows = order[:, number]
        at = np.stack(np.divmod(peaks.position[rows, number], peaks.map_shape[1]), axis=1)
        corners = np.array([_corner(tuple(p), peaks.map_shape, (height, width), side) for p in at.tolist()])
        found.append(Channel(number, rows.astype(np.int64), corners.astype(np.int64), side))
    return found


def cut(images: NDArray[np.uint8], channel: Channel) -> NDArray[np.uint8]:
    """(M, side, side, C) uint8: the channel's patches out of the (N, H, W, C) images it was found in."""
    side = channel.side
    return np.stack(
        [
            images[row, top : top + side, left : left + side]
            for row, (top, left) in zip(channel.rows, channel.corners, strict=True)
        ]
    )


def _centre(unit: tuple[int, int], maps: tuple[int, int], picture: tuple[int, ...]) -> tuple[float, float]:
    """The unit's place in the picture, in pixels."""
    return (unit[0] + 0.5) * picture[0] / maps[0] - 0.5, (unit[1] + 0.5) * picture[1] / maps[1] - 0.5


def _corner(unit: tuple[int, ...], maps: tuple[int, int], picture: tuple[int, int], side: int) -> tuple[int, int]:
    row, column = _centre((unit[0], unit[1]), maps, picture)
    top, left = round(row - (side - 1) / 2), round(column - (side - 1) / 2)
    return min(max(top, 0), picture[0] - side), min(max(left, 0), picture[1] - side)


def _side_holding(mass: NDArray[np.float64], centre: tuple[float, float]) -> int:
    rows, columns = np.indices(mass.shape)
    distance = np.maximum(abs(rows - centre[0]), abs(columns - centre[1]))
    smaller = int(min(mass.shape))
    for side in range(3, smaller):
        if 0 < _MASS * mass.sum() <= mass[distance <= (side - 1) / 2].sum():  # 0: the unit was silent, nothing is known
            return side
    return smaller
