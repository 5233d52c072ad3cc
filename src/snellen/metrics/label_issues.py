"""Which labels are probably wrong: confident learning.

A label is doubted where the model is as sure of another class as it usually is of that class. How many of the doubts
hold depends on the data and the model, so this is a list to look at, never a list to delete. The model must not have
been trained on the images it doubts, for it would have learned their labels by heart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.errors import UsageError
from snellen.metrics.classification import require_labels
from snellen.predict.predictions import Predictions

_LISTED = 100


@dataclass(frozen=True)
class LabelIssue:
    """One suspected label error: an image labelled `given`, which the model takes for `suggested`; fractions."""

    id: int
    name: str
    given: str
    suggested: str
    probability_given: float
    probability_suggested: float


@dataclass(frozen=True)
class LabelIssues:
    """Suspected label errors, the most suspicious first.

    Attributes:
        index: (M,) int64 rows of the predictions, by their `log_odds`.
        issues: the M of them in words.
    """

    json_only: ClassVar[tuple[str, ...]] = ("count", "first_issues")

    index: NDArray[np.int64]
    issues: tuple[LabelIssue, ...]

    @property
    def count(self) -> int:
        """M."""
        return len(self.issues)

    @property
    def first_issues(self) -> tuple[LabelIssue, ...]:
        """Those that are written down; the rest follows from the predictions."""
        return self.issues[:_LISTED]


def label_issues(predictions: Predictions) -> LabelIssues:
    """Rank the labels that confident learning doubts.

    An image is confidently class j if its probability reaches the mean probability of j over images labelled j;
    among several such classes the most probable counts. It is doubted if that class is not its label and the model
    would not answer its label either (the second condition is cleanlab's).

    Raises:
        UsageError: no image, images without label, or training images.

    Source: Northcutt, Jiang and Chuang 2021, "Confident learning", section 3; cleanlab's `confident_learning` filter.
    """
    require_labels(predictions)
    if predictions.split == "train":
        raise UsageError(
            "Label issues need predictions of images that the model was not trained on; these are of its training "
            "images, which it knows by heart. Use predictions_val.npz."
        )
    probabilities, labels = predictions.probabilities, predictions.labels
    confident = _confident_class(probabilities, _thresholds(predictions))
    rows = np.flatnonzero((confident >= 0) & (confident != labels) & (predictions.predicted != labels))
    rows = rows[np.argsort(log_odds(predictions)[rows], kind="stable")].astype(np.int64)
    return LabelIssues(rows, tuple(_issue(predictions, int(row), int(confident[row])) for row in rows))


def _issue(predictions: Predictions, row: int, suggested: int) -> LabelIssue:
    given, names = int(predictions.labels[row]), predictions.class_names
    own, other = (float(predictions.probabilities[row, label]) for label in (given, suggested))
    return LabelIssue(int(predictions.ids[row]), predictions.names[row], names[given], names[suggested], own, other)


def self_confidence(predictions: Predictions) -> NDArray[np.float64]:
    """(N,) float64: the probability of each image's given label; low is suspicious."""
    return np.asarray(np.take_along_axis(predictions.probabilities, predictions.labels[:, None], axis=1)[:, 0])


def log_odds(predictions: Predictions) -> NDArray[np.float64]:
    """(N,) float64 in nats: log of the given label's probability over the largest of the others; low is suspicious.

    Of planted wrong labels it ranked more at the top than the difference of the two probabilities, which is -1 for all
    that the model is sure of, and than the label's probability alone (results/LOG.md).
    """
    others = predictions.logits.astype(np.float64)
    own = np.take_along_axis(others, predictions.labels[:, None], axis=1)[:, 0]
    np.put_along_axis(others, predictions.labels[:, None], -np.inf, axis=1)
    return np.asarray(own - others.max(axis=1))


def _thresholds(predictions: Predictions) -> NDArray[np.float64]:
    """(K,) float64: mean probability of each class over the images labelled so; NaN where there are none."""
    labels, classes = predictions.labels, len(predictions.class_names)
    counts = np.bincount(labels, minlength=classes)
    sums = np.bincount(labels, weights=self_confidence(predictions), minlength=classes)
    return np.asarray(np.divide(sums, counts, out=np.full(classes, np.nan), where=counts > 0))


def _confident_class(probabilities: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) int64: the most probable class among those that reach their threshold; -1 where none does."""
    # The mean of equal probabilities can round to just above them; 1e-6 is cleanlab's allowance.
    reaches = probabilities >= thresholds - 1e-6  # NaN reaches nothing
    best = np.where(reaches, probabilities, -np.inf).argmax(axis=1)
    return np.where(reaches.any(axis=1), best, -1).astype(np.int64)
