"""How good the predictions are: shares of images, scores per class and losses, none without its n.

Nothing here divides by nothing. A class without images has no recall (None, printed as "–"), a class that is
never predicted has no precision, and both are left out of means instead of counting as 0 or 1.

Predictions without an image, or with one that has no label, are a UsageError in every function that needs labels, here
and in the files that build on this one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from snellen.errors import UsageError
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions


@dataclass(frozen=True)
class ClassScore:
    """What became of one class.

    Attributes:
        name: the class.
        support: images that carry this label.
        predicted: images that were given this class.
        recall: share of the class's images that were found; None if it has none.
        precision: share of the images given this class that belong to it; None if there are none.
        f1: harmonic mean of both, a fraction; None if the class neither occurs nor is predicted.
    """

    name: str
    support: int
    predicted: int
    recall: Rate | None
    precision: Rate | None
    f1: float | None


def require_labels(predictions: Predictions) -> None:
    """Refuse what cannot be graded.

    Raises:
        UsageError: there is no image, or an image whose label is not known (-1).
    """
    if len(predictions) == 0:
        raise UsageError("Grading needs at least one image; these predictions have none.")
    unknown = int((predictions.labels < 0).sum())
    if unknown:
        raise UsageError(
            f"{unknown} of {len(predictions)} images have no label, so they cannot be graded. "
            "Put them into folders named after their classes, or use `snellen predict`, which needs no labels."
        )


def accuracy(predictions: Predictions) -> Rate:
    """Share of images whose label is the class with the largest plain logit, as the best of `predictions.best_of`."""
    require_labels(predictions)
    return Rate(int(predictions.correct.sum()), len(predictions), predictions.best_of)


def top_k_accuracy(predictions: Predictions, k: int = 5) -> Rate:
    """Share of images whose label is among the k largest logits; equal logits rank in class order, as in argmax."""
    require_labels(predictions)
    classes = len(predictions.class_names)
    logits, labels = predictions.logits, predictions.labels
    own = np.take_along_axis(logits, labels[:, None], axis=1)  # (N, 1)
    earlier = np.arange(classes)[None, :] < labels[:, None]  # (N, K)
    rank = (logits > own).sum(axis=1) + ((logits == own) & earlier).sum(axis=1)
    return Rate(int((rank < k).sum()), len(predictions))


def class_scores(predictions: Predictions) -> tuple[ClassScore, ...]:
    """Recall, precision and F1 of each class, in class order."""
    require_labels(predictions)
    classes = len(predictions.class_names)
    support = np.bincount(predictions.labels, minlength=classes)
    predicted = np.bincount(predictions.predicted, minlength=classes)
    hits = np.bincount(predictions.labels[predictions.correct], minlength=classes)
    counts = zip(predictions.class_names, support.tolist(), predicted.tolist(), hits.tolist(), strict=True)
    return tuple(
        ClassScore(
            name=name,
            support=support,
            predicted=predicted,
            recall=Rate(hits, support) if support else None,
            precision=Rate(hits, predicted) if predicted else None,
            f1=2 * hits / (support + predicted) if support + predicted else None,
        )
        for name, support, predicted, hits in counts
    )


def balanced_accuracy(predictions: Predictions) -> float:
    """Mean recall over the classes that occur, a fraction; equals accuracy where all classes are equally frequent."""
    return fmean(row.recall.value for row in class_scores(predictions) if row.recall)


def macro_f1(predictions: Predictions) -> float:
    """Mean F1 over the classes that occur or are predicted, a fraction."""
    return fmean(row.f1 for row in class_scores(predictions) if row.f1 is not None)


def majority_baseline(predictions: Predictions) -> tuple[str, Rate]:
    """The most frequent class and the accuracy of always saying it: what a model without eyes would get."""
    require_labels(predictions)
    counts = np.bincount(predictions.labels)
    return predictions.class_names[int(counts.argmax())], Rate(int(counts.max()), len(predictions))


def never_predicted(predictions: Predictions) -> tuple[str, ...]:
    """Classes that occur among the labels and are never given as an answer."""
    return tuple(row.name for row in class_scores(predictions) if row.support and not row.predicted)


def log_probabilities(predictions: Predictions) -> NDArray[np.float64]:
    """(N, K) float64, log-softmax of the plain logits; finite also where the probability rounds to 0."""
    logits = predictions.logits.astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def image_losses(predictions: Predictions) -> NDArray[np.float64]:
    """(N,) float64, each image's -log p(label) in nats."""
    require_labels(predictions)
    return np.asarray(-np.take_along_axis(log_probabilities(predictions), predictions.labels[:, None], axis=1)[:, 0])


def hard_cross_entropy(predictions: Predictions) -> float:
    """Mean -log p(label) in nats: the negative log-likelihood, 0 at best, ln K for a blind guess.

    Comparable between trainings with and without label smoothing, which their own losses are not.
    """
    return float(image_losses(predictions).mean())


def smoothing_floor(smoothing: float, classes: int) -> float:
    """The value below which the smoothed loss cannot go, in nats: the entropy of its targets (0.5003 for 0.1, 10)."""
    rest = smoothing / classes
    own = 1 - smoothing + rest
    return -own * math.log(own) - ((classes - 1) * rest * math.log(rest) if rest else 0.0)


def brier_score(predictions: Predictions) -> float:
    """Mean squared distance between the probabilities and the one-hot label, in [0, 2]; 0 is sure and right.

    Source: Brier 1950, the form summed over classes.
    """
    require_labels(predictions)
    one_hot = np.eye(len(predictions.class_names))[predictions.labels]
    return float(((predictions.probabilities - one_hot) ** 2).sum(axis=1).mean())
