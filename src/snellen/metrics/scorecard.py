"""The scorecard: everything one split says about one model, plain and with test-time augmentation side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

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
from snellen.show import notebook

if TYPE_CHECKING:
    from rich.console import RenderableType


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

    json_also: ClassVar[tuple[str, ...]] = ("n",)

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

    def __str__(self) -> str:
        plain = f"{self.split} accuracy {self.plain.accuracy.text(2)}"
        if self.with_tta is None or self.tta_gain is None:
            return plain
        gain = f"{100 * self.tta_gain.value:+.2f} points, {100 * self.tta_gain.low:+.2f} to "
        return f"{plain}; with {self.tta} {self.with_tta.accuracy.text(2)} ({gain}{100 * self.tta_gain.high:+.2f})"

    def _repr_html_(self) -> str:
        """For notebooks: accuracy, then every class, worst recall first, then what is mixed up most."""
        rows = [
            (
                row.name,
                notebook.bar(row.recall.value if row.recall else 0.0),
                _short(row.recall),
                _short(row.precision),
                str(row.support),
            )
            for row in sorted(self.classes, key=lambda row: row.recall.value if row.recall else 2.0)
        ]
        table = notebook.table(("class", "", "recall", "precision", "images"), rows, left=2)
        mixed = [f"mixed up: {pair}" for pair in self.worst_pairs[:3] if pair.count]
        return notebook.block(notebook.headline(str(self)), table, *map(notebook.line, mixed))


def _short(rate: Rate | None) -> str:
    """A rate without its n, which has a column of its own."""
    return "–" if rate is None else str(rate).rpartition(",")[0] + ")"


def score(predictions: Predictions) -> Score:
    """The figures of the plain logits.

    Raises:
        UsageError: no image, or images without label.
    """
    return Score(
        accuracy=accuracy(predictions),
        top5=top_k_accuracy(predictions, 5) if len(predictions.class_names) > 5 else None,
        balanced_accuracy=balanced_accuracy(predictions),
        macro_f1=macro_f1(predictions),
        nll=hard_cross_entropy(predictions),
        brier=brier_score(predictions),
    )


def scorecard(predictions: Predictions) -> Scorecard:
    """Grade a predictions file.

    Raises:
        UsageError: no image, or images without label.
    """
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


def class_table(card: Scorecard) -> RenderableType:
    """Recall with its interval, precision, F1 and support of every class for the terminal, worst recall first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("class", max_width=24, no_wrap=True, overflow="ellipsis")
    for column in ("recall", "precision", "F1", "images"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in sorted(card.classes, key=lambda row: row.recall.value if row.recall else 2.0):
        precision = f"{100 * row.precision.value:.1f} %" if row.precision else "–"
        f1 = f"{row.f1:.3f}" if row.f1 is not None else "–"
        table.add_row(Text(row.name), _short(row.recall), precision, f1, str(row.support))
    return table
