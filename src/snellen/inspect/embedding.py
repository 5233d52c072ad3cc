"""A high-dimensional cloud of points laid flat, by principal components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Projection:
    """Points in the directions in which they differ most.

    Attributes:
        points: (N, A) float32, one column per axis, the widest first; the mean is at 0.
        share: (A,) float64, part of all variance that each axis holds, fractions.
    """

    points: NDArray[np.float32]
    share: NDArray[np.float64]


def principal_components(features: NDArray[np.floating[Any]], *, axes: int = 2) -> Projection:
    """The first principal components of N points.

    Signs are fixed (the entry of largest size in each direction is positive), so the same features give the same map.

    Args:
        features: (N, D) floats.
        axes: how many, at least 1; missing ones (D or N too small) are 0.

    Source: Pearson 1901; computed from the D x D covariance, since D is far below N here.
    """
    assert axes >= 1, "a map needs an axis"
    count, size = features.shape
    points, share = np.zeros((count, axes), dtype=np.float32), np.zeros(axes)
    if count < 2 or size == 0:
        return Projection(points, share)
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred.T @ centred / count)
    order = np.argsort(-variances)[:axes]
    chosen = directions[:, order]
    largest = np.abs(chosen).argmax(axis=0)
    chosen = chosen * np.where(chosen[largest, np.arange(chosen.shape[1])] < 0, -1.0, 1.0)
    kept = len(order)
    points[:, :kept] = centred @ chosen
    total = variances.clip(0).sum()
    if total > 0:
        share[:kept] = variances[order].clip(0) / total
    return Projection(points, share)
