"""Do classes that stand close in feature space get mixed up? Measured, with the chance that it is luck.

Also whether classes that are spread out are the ones that are missed. Both are rank correlations, and both may
well come out as "no".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CELLS, _MOST_DRAWS, _FEWEST_DRAWS = 10**8, 2000, 200
"""Work of all shuffles together, in cells of a (K, K) table, and how many are made at most, and all the same."""


@dataclass(frozen=True)
class FeatureGeometry:
    """Where the classes lie in a model's feature space, and whether that tells its errors.

    Attributes:
        cosine: (K, K) float64 in [-1, 1], similarity of class centroids seen from their common mean; NaN where a
            class has no image.
        spread: (K,) float64, root mean square distance of a class's images from its centroid, in feature units.
        nearness_and_errors: Spearman correlation, over pairs of classes, of centroid similarity and share of mix-ups;
            None where one of them is constant.
        p_value: chance of so strong a correlation if class names were shuffled (two-sided); None likewise.
        spread_and_errors: Spearman correlation, over classes, of spread and share of missed images; None likewise.
    """

    cosine: NDArray[np.float64]
    spread: NDArray[np.float64]
    nearness_and_errors: float | None
    p_value: float | None
    spread_and_errors: float | None


def feature_geometry(
    features: NDArray[np.floating[Any]], labels: NDArray[np.int64], matrix: NDArray[np.int64]
) -> FeatureGeometry:
    """Compare centroid similarity with the confusion matrix of the same images.

    Pairs that share a class are not independent, so the p-value comes from shuffling whole classes, the same shuffles
    each time; with more than 220 classes, where each takes long, from fewer.

    Args:
        features: (N, D) floats, the input of the last linear layer.
        labels: (N,) int64 in [0, K).
        matrix: (K, K) int64 from `confusion.confusion_matrix`.

    Source: the permutation test is Mantel's, 1967.
    """
    classes, support = len(matrix), matrix.sum(axis=1)
    centroids, spread = _centroids(features, labels, classes)
    cosine = _cosines(centroids)
    pairs = support[:, None] + support[None, :]
    confusion = np.divide(matrix + matrix.T, pairs, out=np.full((classes, classes), np.nan), where=pairs > 0)
    missed = np.divide(support - np.diag(matrix), support, out=np.full(classes, np.nan), where=support > 0)
    draws = min(_MOST_DRAWS, max(_FEWEST_DRAWS, _CELLS // classes**2))
    nearness, p_value = _mantel(cosine, confusion, draws)
    return FeatureGeometry(cosine, spread, nearness, p_value, spearman(spread, missed))


def _mantel(a: NDArray[np.float64], b: NDArray[np.float64], draws: int) -> tuple[float | None, float | None]:
    """Rank correlation over pairs of classes of two (K, K) float64 tables, and the chance of it under shuffled classes.

    Classes without image, NaN in `a`, are left out first. Then every shuffle only puts the same values into other
    places: both tables are ranked once, and a shuffle costs one sum of products.
    """
    known = ~np.isnan(a.diagonal())
    a, b = a[np.ix_(known, known)], b[np.ix_(known, known)]
    upper = np.triu_indices(len(a), k=1)
    correlation = spearman(a[upper], b[upper])
    if correlation is None:
        return None, None
    first, second = _centred_ranks(a), _centred_ranks(b)
    scale = np.sqrt(np.vdot(first, first) * np.vdot(second, second))  # each pair stands twice, as it does in the sums
    rng = np.random.default_rng(0)
    orders = (rng.permutation(len(a)) for _ in range(draws))
    values = (np.vdot(first[order][:, order], second) / scale for order in orders)
    extreme = sum(1 for value in values if abs(value) >= abs(correlation) - 1e-9)
    return correlation, (extreme + 1) / (draws + 1)  # the unshuffled order is one of the orders


def _centred_ranks(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, K) float64: the rank of each pair among all pairs minus their mean, in both halves; 0 on the diagonal."""
    upper = np.triu_indices(len(table), k=1)
    ranks = _ranks(table[upper])
    centred = np.zeros_like(table)
    centred[upper] = ranks - ranks.mean()
    return centred + centred.T


def spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Rank correlation in [-1, 1], ties sharing their mean rank; pairs with NaN are left out.

    Returns:
        The correlation, or None for fewer than 3 pairs or where one side is constant.

    Source: Spearman 1904.
    """
    known = ~(np.isnan(x) | np.isnan(y))
    if known.sum() < 3:
        return None
    a, b = _ranks(x[known]), _ranks(y[known])
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else None


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[group])


def unit_rows(points: NDArray[Any]) -> NDArray[Any]:
    """(N, D) floats, each row divided by its length; a row of zeros stays one."""
    length = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(np.divide(points, length, out=np.zeros_like(points), where=length > 0))


def _centroids(
    features: NDArray[np.floating[Any]], labels: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, D) means and (K,) root mean square distances from them; NaN for classes without image."""
    centroids = np.full((classes, features.shape[1]), np.nan)
    spread = np.full(classes, np.nan)
    for label in np.unique(labels):
        own = features[labels == label].astype(np.float64)
        centroids[label] = own.mean(axis=0)
        spread[label] = np.sqrt(((own - centroids[label]) ** 2).sum(axis=1).mean())
    return centroids, spread


def _cosines(centroids: NDArray[np.float64]) -> NDArray[np.float64]:
    # Features after a ReLU are all positive: seen from 0 every pair looks alike, seen from their mean they differ.
    centred = centroids - np.nanmean(centroids, axis=0)
    unit = unit_rows(centred)
    unit[np.isnan(centroids[:, 0])] = np.nan
    return np.asarray(np.clip(unit @ unit.T, -1, 1))
