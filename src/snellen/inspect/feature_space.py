"""The feature space: a cloud of features laid flat so that it can be looked at, and the nearest pictures in it.

Principal components keep directions and distances as far as two axes can. t-SNE and UMAP, both from libraries of their
own, keep neighbours together: such a map shows who stands beside whom. How far apart two clusters lie and how large
they are means nothing in it (Wattenberg et al. 2016), which is why the principal components are always shown as well.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages
from snellen.errors import UsageError
from snellen.metrics.feature_geometry import unit_rows
from snellen.models.device import threads

Method = Literal["tsne", "umap"]

METHODS: dict[Method, str] = {"tsne": "t-SNE", "umap": "UMAP"}
"""How each is spelled for people."""

_MODULES: dict[Method, str] = {"tsne": "sklearn.manifold", "umap": "umap"}
_AXES = 50  # principal components kept before: less noise and a tenth of the time (van der Maaten and Hinton 2008)
_NEIGHBOURS = 15
_PERPLEXITY = 30.0
_FEWEST = 4  # points from which both libraries work


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
    variances, directions = np.linalg.eigh(centred.T @ centred)  # times N, all of them
    order = np.argsort(-variances)[:axes]
    chosen = directions[:, order]
    largest = np.abs(chosen).argmax(axis=0)
    chosen = chosen * np.sign(chosen[largest, np.arange(chosen.shape[1])])
    kept = len(order)
    points[:, :kept] = centred @ chosen
    total = variances.clip(0).sum()
    if total > 0:
        share[:kept] = variances[order].clip(0) / total
    return Projection(points, share)


def require_library(method: Method) -> Any:
    """The module that makes the map.

    Raises:
        UsageError: it is not installed; the message holds the command that does.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # umap tells everybody that it has no TensorFlow
            return importlib.import_module(_MODULES[method])
    except ImportError as error:
        raise UsageError(f"--map {method} needs a library that is not here: pip install 'snellen[map]'") from error


def embed(features: NDArray[np.floating[Any]], method: Method) -> NDArray[np.float32]:
    """(N, 2) float32: N points laid flat so that near ones stay near; the same features give the same map.

    Args:
        features: (N, D) floats.
        method: "tsne" (van der Maaten and Hinton 2008) or "umap" (McInnes et al. 2018).

    Raises:
        UsageError: the library is not installed.
    """
    library = require_library(method)
    count = len(features)
    if count < _FEWEST:  # there are no neighbours to keep together
        return principal_components(features).points
    points = principal_components(features, axes=min(_AXES, count, features.shape[1])).points
    with threads(), warnings.catch_warnings():  # numba, on which umap rests, sets PyTorch's
        warnings.simplefilter("ignore")  # umap announces that a seed means one thread, which is what is asked for
        if method == "tsne":
            perplexity = min(_PERPLEXITY, (count - 1) / 3)
            flat = library.TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(points)
        else:
            neighbours = min(_NEIGHBOURS, count - 1)
            # A spectral start fails on a handful of points; from random places they settle as well.
            init = "spectral" if count > 4 * _NEIGHBOURS else "random"
            flat = library.UMAP(n_neighbors=neighbours, init=init, random_state=0, n_jobs=1).fit_transform(points)
    return np.asarray(flat, dtype=np.float32)


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
    known, asked = (unit_rows((each - mean) / scale).astype(np.float32) for each in (base, queries))
    rows = np.empty((len(asked), min(count, len(base))), dtype=np.int64)
    similar = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(asked), _CHUNK):
        part = slice(start, start + _CHUNK)
        table = asked[part] @ known.T
        rows[part] = np.argsort(-table, axis=1, kind="stable")[:, : rows.shape[1]]
        similar[part] = np.take_along_axis(table, rows[part], axis=1)
    return rows, similar


def spread_over_classes(images: LabeledImages, total: int) -> NDArray[np.int64]:
    """Positions of about `total` pictures, as many of each class as of the others, evenly spaced in file order.

    A class with fewer pictures than its share gives all it has.
    """
    share = max(1, total // images.num_classes)
    chosen = []
    for label in range(images.num_classes):
        own = np.flatnonzero(images.labels == label)
        at = np.linspace(0, len(own) - 1, min(share, len(own))).round().astype(np.int64)
        chosen.append(own[at])
    return np.sort(np.concatenate(chosen)).astype(np.int64)
