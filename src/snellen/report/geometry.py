"""Where the classes stand in a model's feature space, beside what it mixes up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.evaluate.confusion import confusion_matrix
from snellen.evaluate.feature_geometry import feature_geometry
from snellen.evaluate.predictions import Predictions
from snellen.inspection.embedding import principal_components
from snellen.report.pack import packed


def geometry_json(features: NDArray[np.float32], predictions: Predictions, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Centroid similarity, spread, both rank correlations, and the map of the rows shown.

    Args:
        features: (N, D) float32, one row per prediction, from the last layer's input.
        predictions: N answers.
        rows: the rows whose pictures are in the page.
    """
    assert len(features) == len(predictions), "one row of features per prediction"
    geometry = feature_geometry(features, predictions.labels, confusion_matrix(predictions))
    # The last layer judges by direction, and a picture's strength would stretch every class into a ray.
    centred = features - features.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    flat = principal_components(np.divide(centred, length, out=np.zeros_like(centred), where=length > 0), axes=2)
    return {
        **geometry.to_json(),
        "dimensions": int(features.shape[1]),
        "map": packed(flat.points[rows], "f4"),
        "map_share": flat.share.tolist(),
    }
