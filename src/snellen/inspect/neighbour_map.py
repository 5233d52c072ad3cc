"""A flat map that keeps neighbours together, by t-SNE or UMAP; both come from libraries of their own.

Such a map shows who stands beside whom. How far apart two clusters lie and how large they are means nothing in it
(Wattenberg et al. 2016), which is why the principal components are always shown as well.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snellen.errors import UsageError
from snellen.inspect.embedding import principal_components

Method = Literal["tsne", "umap"]

METHODS: dict[Method, str] = {"tsne": "t-SNE", "umap": "UMAP"}
"""How each is spelled for people."""

_MODULES: dict[Method, str] = {"tsne": "sklearn.manifold", "umap": "umap"}
_AXES = 50  # principal components kept before: less noise and a tenth of the time (van der Maaten and Hinton 2008)
_NEIGHBOURS = 15
_PERPLEXITY = 30.0
_FEWEST = 4  # points from which both libraries work


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


def neighbour_map(features: NDArray[np.floating[Any]], method: Method) -> NDArray[np.float32]:
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
    with warnings.catch_warnings():
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
