"""Which classes are taken for which: the matrix and its worst pairs.

Rows are the true class, columns the predicted one. A pair merges both directions, because "cats and dogs are
mixed up" is one fact; the two directions stay visible beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.metrics.classification import require_labels
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions
from snellen.serialize import to_json


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes and how often either is taken for the other.

    Attributes:
        first: the class that comes first in class order.
        second: the other one.
        first_as_second: images of `first` that were called `second`.
        second_as_first: images of `second` that were called `first`.
        share_of_errors: part of all errors that this pair makes up, a fraction.
        rate: errors of this pair among all images of the two classes.
    """

    json_also: ClassVar[tuple[str, ...]] = ("count",)

    first: str
    second: str
    first_as_second: int
    second_as_first: int
    share_of_errors: float
    rate: Rate

    @property
    def count(self) -> int:
        """Errors in both directions."""
        return self.first_as_second + self.second_as_first

    def __str__(self) -> str:
        share, errors = 100 * self.share_of_errors, "1 error" if self.count == 1 else f"{self.count} errors"
        return (
            f"{self.first} ↔ {self.second}: {errors}, {share:.{0 if share > 9.95 else 1}f} % of all "
            f"({self.first_as_second} {self.first} as {self.second}, {self.second_as_first} the other way)"
        )


def confusion_matrix(predictions: Predictions) -> NDArray[np.int64]:
    """(K, K) int64: entry [t, p] counts the images of true class t that were called p."""
    require_labels(predictions)
    classes = len(predictions.class_names)
    cells = np.bincount(predictions.labels * classes + predictions.predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def worst_pairs(
    matrix: NDArray[np.int64], class_names: Sequence[str], *, limit: int | None = None
) -> tuple[ConfusedPair, ...]:
    """The pairs of classes that are mixed up, most errors first; pairs without errors are left out.

    Args:
        matrix: (K, K) int64 from `confusion_matrix`.
        class_names: the K names.
        limit: how many pairs at most; None for all.
    """
    errors = int(matrix.sum() - np.trace(matrix))
    both = matrix + matrix.T
    support = matrix.sum(axis=1)
    rows, columns = np.triu_indices(len(matrix), k=1)
    counts = both[rows, columns]
    # Stable, so that equal counts stay in class order and the list is the same on every machine.
    ranked = [i for i in np.argsort(-counts, kind="stable") if counts[i] > 0][:limit]
    return tuple(
        ConfusedPair(
            first=class_names[a],
            second=class_names[b],
            first_as_second=int(matrix[a, b]),
            second_as_first=int(matrix[b, a]),
            share_of_errors=int(both[a, b]) / errors,
            rate=Rate(int(both[a, b]), int(support[a] + support[b])),
        )
        for a, b in ((int(rows[i]), int(columns[i])) for i in ranked)
    )


def confusion_json(matrix: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, Any]:
    """The matrix as nested lists (rows true, columns predicted) with its pairs, ready for `write_json`."""
    return {
        "class_names": list(class_names),
        "rows": "true",
        "columns": "predicted",
        "matrix": matrix.tolist(),
        "worst_pairs": [to_json(pair) for pair in worst_pairs(matrix, class_names)],
    }
