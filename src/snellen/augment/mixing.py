"""Mixup and CutMix: each image of a batch meets its neighbour, and so do their targets.

Sources: H. Zhang et al., "mixup: beyond empirical risk minimization", 2018; S. Yun et al., "CutMix", 2019. The
neighbour is the image before it in the batch, whose order is random already. Both are one formula, a weighted mean
per pixel: mixup weighs all pixels alike, CutMix with 0 inside a rectangle and 1 outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from snellen.augment.random_streams import Array, Kind, fractions

_GRID = 4097  # points of the table that inverts the Beta distribution; its error is below 1e-5


@dataclass(frozen=True)
class Mixes(Generic[Array]):
    """How each image meets its neighbour, as NumPy arrays or as tensors on a device.

    Attributes:
        own: (N,) float32 in [0, 1]: weight of the image itself; for CutMix the area outside the rectangle, before the
            picture's edge cuts it.
        cut: (N,) bool, CutMix instead of mixup.
        down: (N,) float32 in [0, 1]: row of the rectangle's middle, as a fraction of the height.
        right: (N,) float32: its column, as a fraction of the width.
    """

    own: Array
    cut: Array
    down: Array
    right: Array


def draw_mixes(mixup: float, cutmix: float, *, seed: int, epoch: int, count: int) -> Mixes[NDArray[Any]]:
    """The mixes of an epoch. Where both are on, a coin per image decides.

    Args:
        mixup: the a of Beta(a, a), 0 for off.
        cutmix: the a of Beta(a, a), 0 for off.
        seed: of the run.
        epoch: from 0.
        count: number of images.
    """
    drawn = fractions(seed, epoch, Kind.MIX, count, columns=4)
    cut = drawn[:, 0] < (0.5 if mixup and cutmix else float(cutmix > 0))
    own = np.where(cut, beta_quantile(cutmix or 1.0, drawn[:, 1]), beta_quantile(mixup or 1.0, drawn[:, 1]))
    return Mixes(own.astype(np.float32), cut, drawn[:, 2].astype(np.float32), drawn[:, 3].astype(np.float32))


def mix(batch: Tensor, mixes: Mixes[Tensor]) -> tuple[Tensor, Tensor]:
    """Each image mixed with the one before it in the batch, the first with the last.

    Args:
        batch: (B, C, H, W) float32.
        mixes: B of them.

    Returns:
        (B, C, H, W) float32, and (B,) float32: how much of each is the image itself.
    """
    height, width = batch.shape[2:]
    reach = torch.sqrt(1 - mixes.own)
    sides = []
    for middle, size in ((mixes.down, height), (mixes.right, width)):
        half = torch.floor(size * reach / 2)  # (B,)
        centre = torch.floor(middle * size)
        at = torch.arange(size, device=batch.device)[None]  # (1, size)
        sides.append((at >= (centre - half)[:, None]) & (at < (centre + half)[:, None]))  # (B, size)
    outside = ~(sides[0][:, None, :, None] & sides[1][:, None, None, :])  # (B, 1, H, W)
    share = torch.where(mixes.cut, outside.float().mean(dim=(1, 2, 3)), mixes.own)
    weight = torch.where(mixes.cut[:, None, None, None], outside.float(), mixes.own[:, None, None, None])
    return batch * weight + batch.roll(1, 0) * (1 - weight), share


def mixed_targets(labels: Tensor, share: Tensor, num_classes: int) -> Tensor:
    """(B, K) float32 targets of images that `mix` made of images with these labels (B,) int64."""
    own = functional.one_hot(labels, num_classes) * share[:, None]
    return own + functional.one_hot(labels.roll(1, 0), num_classes) * (1 - share[:, None])


def beta_quantile(a: float, fraction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of Beta(a, a) below which these fractions of it lie, by a table.

    Up to the middle, x = t**(1/a) / 2 makes the density's integral smooth at 0 for every a; beyond it Beta(a, a) is
    its own mirror image.
    """
    t = np.linspace(0, 1, _GRID)
    x = t ** (1 / a) / 2
    rate = (1 - x) ** (a - 1)  # of the distribution's growth with t, up to a constant
    grown = np.concatenate([[0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)])
    lower = np.minimum(fraction, 1 - fraction)
    at = np.interp(lower, grown / (2 * grown[-1]), t) ** (1 / a) / 2
    return np.where(fraction <= 0.5, at, 1 - at)
