"""The scorecard: everything one split says about one model, plain and with test-time augmentation side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from snellen.metrics.classification import (
    ClassScore,
    accuracy,
    balanced_accuracy,
    brier_score,
    class_scores,
    hard_cross_entropy,
    macro_f1,
    majority_baseline,
    never_predicted,
    top_k_accuracy,
)
from snellen.metrics.compare import PairedDifference, paired_difference
from snellen.metrics.confusion import ConfusedPair, confusion_matrix, worst_pairs
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions


@dataclass(frozen=True)
class Score:
    """The figures of one way of looking at the images (plain, or averaged over views).

    Attributes:
        accuracy: top-1.
        top5: label among the five best; None with 5 classes or fewer, where it says nothing.
        balanced_accuracy: mean recall, a fraction.
        macro_f1: mean F1, a fraction.
        nll: mean -log p(label), nats.
        brier: in [0, 2].
    """

    accuracy: Rate
    top5: Rate | None
    balanced_accuracy: float
    macro_f1: float
    nll: float
    brier: float


@dataclass(frozen=True)
class Scorecard:
    """One split's grades.

    Attributes:
        data: name of the data set.
        split: "val", "test" or "train".
        plain: one view of each image.
        tta: name of the test-time augmentation, "none" where there is none.
        with_tta: averaged over its views, or None.
        tta_gain: averaged minus plain accuracy, image by image, or None.
        majority_class: the most frequent class.
        majority: accuracy of always answering it.
        never_predicted: classes that occur but are never answered.
        classes: recall, precision and F1 per class, in class order, plain.
        worst_pairs: the ten pairs of classes most often mixed up, plain.
    """

    json_also: ClassVar[tuple[str, ...]] = ("n", "best_of")

    data: str
    split: str
    plain: Score
    tta: str
    with_tta: Score | None
    tta_gain: PairedDifference | None
    majority_class: str
    majority: Rate
    never_predicted: tuple[str, ...]
    classes: tuple[ClassScore, ...]
    worst_pairs: tuple[ConfusedPair, ...]

    @property
    def n(self) -> int:
        """Images graded."""
        return self.plain.accuracy.n

    @property
    def best_of(self) -> int:
        """How many epochs were compared on these images, of which this is the best; 1 where none was chosen by them."""
        return self.plain.accuracy.best_of

    def __str__(self) -> str:
        plain = f"{self.split} accuracy {self.plain.accuracy.text(2)}"
        if self.with_tta is None or self.tta_gain is None:
            return plain
        gain = f"{100 * self.tta_gain.value:+.2f} points, {100 * self.tta_gain.low:+.2f} to "
        return f"{plain}; with {self.tta} {self.with_tta.accuracy.text(2)} ({gain}{100 * self.tta_gain.high:+.2f})"


def score(predictions: Predictions) -> Score:
    """The figures of the plain logits."""
    return Score(
        accuracy=accuracy(predictions),
        top5=top_k_accuracy(predictions, 5) if len(predictions.class_names) > 5 else None,
        balanced_accuracy=balanced_accuracy(predictions),
        macro_f1=macro_f1(predictions),
        nll=hard_cross_entropy(predictions),
        brier=brier_score(predictions),
    )


def scorecard(predictions: Predictions) -> Scorecard:
    """Grade a predictions file."""
    averaged = None if predictions.tta_logits is None else predictions.with_tta()
    majority_class, majority = majority_baseline(predictions)
    return Scorecard(
        data=predictions.data,
        split=predictions.split,
        plain=score(predictions),
        tta=predictions.tta,
        with_tta=None if averaged is None else score(averaged),
        tta_gain=None if averaged is None else paired_difference(predictions.correct, averaged.correct),
        majority_class=majority_class,
        majority=majority,
        never_predicted=never_predicted(predictions),
        classes=class_scores(predictions),
        worst_pairs=worst_pairs(confusion_matrix(predictions), predictions.class_names, limit=10),
    )
