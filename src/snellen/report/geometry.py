"""Where the classes stand in a model's feature space, beside what it mixes up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.inspect.embedding import principal_components
from snellen.inspect.neighbour_map import METHODS, Method, neighbour_map
from snellen.metrics.confusion import confusion_matrix
from snellen.metrics.feature_geometry import feature_geometry
from snellen.predict.predictions import Predictions
from snellen.report.pack import packed
from snellen.serialize import to_json


def geometry_json(
    features: NDArray[np.float32], predictions: Predictions, rows: NDArray[np.int64], method: Method | None = None
) -> dict[str, Any]:
    """Centroid similarity, spread, both rank correlations, and the maps of the rows shown.

    Args:
        features: (N, D) float32, one row per prediction, from the last layer's input.
        predictions: N answers.
        rows: the rows whose pictures are in the page.
        method: of a second map beside the principal components; None for none.

    Raises:
        UsageError: the library for `method` is not installed.
    """
    assert len(features) == len(predictions), "one row of features per prediction"
    geometry = feature_geometry(features, predictions.labels, confusion_matrix(predictions))
    # The last layer judges by direction, and a picture's strength would stretch every class into a ray.
    centred = features - features.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    directions = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    flat = principal_components(directions, axes=2)
    maps: list[dict[str, Any]] = [
        {"name": "PCA", "points": packed(flat.points[rows], "f4"), "share": float(flat.share.sum())}
    ]
    if method:
        maps.append({"name": METHODS[method], "points": packed(neighbour_map(directions[rows], method), "f4")})
    return {**to_json(geometry), "dimensions": int(features.shape[1]), "maps": maps}
