"""The nearest training pictures, in whatever space the features come from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages

_CHUNK = 512  # queries at a time: the similarities of one chunk stay in the processor's cache


def nearest(
    queries: NDArray[np.floating[Any]], base: NDArray[np.floating[Any]], *, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `count` most similar rows of `base` for each query, the most similar first.

    Similarity is the cosine after each feature is centred and scaled by its deviation over `base`, so that no single
    large feature decides.

    Args:
        queries: (Q, D) floats.
        base: (N, D) floats, N at least 1.
        count: at most N are returned.

    Returns:
        Rows of `base` (Q, count) int64 and similarities (Q, count) float32 in [-1, 1].
    """
    mean, deviation = base.mean(axis=0), base.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    known = _unit((base - mean) / scale)
    asked = _unit((queries - mean) / scale)
    count = min(count, len(base))
    rows, similar = [], []
    for start in range(0, len(asked), _CHUNK):
        table = asked[start : start + _CHUNK] @ known.T
        best = np.argsort(-table, axis=1, kind="stable")[:, :count]
        rows.append(best)
        similar.append(np.take_along_axis(table, best, axis=1))
    if not rows:
        return np.zeros((0, count), dtype=np.int64), np.zeros((0, count), dtype=np.float32)
    return np.concatenate(rows).astype(np.int64), np.concatenate(similar).astype(np.float32)


def spread_over_classes(images: LabeledImages, total: int) -> NDArray[np.int64]:
    """Positions of about `total` pictures, as many of each class as of the others, evenly spaced in file order.

    A class with fewer pictures than its share gives all it has.
    """
    share = max(1, total // max(1, images.num_classes))
    chosen = []
    for label in range(images.num_classes):
        own = np.flatnonzero(images.labels == label)
        at = np.linspace(0, len(own) - 1, min(share, len(own))).round().astype(np.int64)
        chosen.append(own[at])
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def _unit(points: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    length = np.linalg.norm(points, axis=1, keepdims=True)
    unit = np.divide(points, length, out=np.zeros_like(points), where=length > 0)
    return np.asarray(unit, dtype=np.float32)
