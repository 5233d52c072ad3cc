"""How sure the answers are, and where that misleads.

Four groups: was it right, and was it sure? Sure means that the best answer leads the second best by at least
half of all probability; or, where most leads are smaller than that, as with many classes or smoothed labels, by at
least the median lead: else such a model would never be sure, and none of its mistakes would stand out. The margin is
used instead of the bare confidence because 45 % against 44 % is a toss-up, 45 % against ten others at 6 % is not.

And if the model may stay silent when it is unsure: how often is it wrong on the share that it answers? Calibration asks
whether confidences are true, this asks whether they rank: label smoothing can mend the first and harm the second
(Xia et al. 2024), so both are reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.errors import InvalidSetting, UsageError
from snellen.metrics.calibration import Calibration, TemperatureFit, calibration, confidences, fit_temperature, rescaled
from snellen.metrics.classification import image_losses, require_labels
from snellen.metrics.intervals import Rate
from snellen.metrics.label_issues import LabelIssues, label_issues
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.runs.run import Run

_SURE = 0.5  # lead in probability from which an answer is sure at the latest: the best class then has more than half
_LISTED = 100


@dataclass(frozen=True)
class ConfidenceGroup:
    """One of the four.

    Attributes:
        name: such as "confidently wrong".
        rule: what belongs to it, in words, with the threshold.
        order: how it is sorted, in words.
        index: (M,) int64 rows of the predictions, sorted.
        ids: (M,) int64 ids of the same images.
        names: what to call them.
        share: M of all images.
    """

    json_only: ClassVar[tuple[str, ...]] = ("name", "rule", "order", "share", "first_ids", "first_names")

    name: str
    rule: str
    order: str
    index: NDArray[np.int64]
    ids: NDArray[np.int64]
    names: tuple[str, ...]
    share: Rate

    @property
    def first_ids(self) -> NDArray[np.int64]:
        """The ids that are written down; the rest follows from the predictions."""
        return self.ids[:_LISTED]

    @property
    def first_names(self) -> tuple[str, ...]:
        """Their names."""
        return self.names[:_LISTED]


def margins(predictions: Predictions) -> NDArray[np.float64]:
    """(N,) float64 in [0, 1]: probability of the best class minus that of the second best."""
    top_two = np.partition(predictions.probabilities, -2, axis=1)[:, -2:]
    return np.asarray(top_two[:, 1] - top_two[:, 0])


def confidence_groups(predictions: Predictions) -> tuple[ConfidenceGroup, ...]:
    """Every image in exactly one group: sure and right, nervous and right, nervous and wrong, confidently wrong.

    Confidently wrong is sorted by loss, so that likely label errors come first; nervous ones by how near the
    call was; sure and right by margin, the most typical first. Equal keys keep the order of the rows.
    """
    require_labels(predictions)
    margin, loss, right = margins(predictions), image_losses(predictions), predictions.correct
    least = min(_SURE, float(np.median(margin)))
    sure = margin >= least
    lead = f"{100 * least:.0f} points" if least == _SURE else f"the median of {100 * least:.1f} points"
    leads, close = (f"leads by {how} {lead}" for how in ("at least", "less than"))

    def group(name: str, rule: str, order: str, inside: NDArray[np.bool_], key: NDArray[np.float64]) -> ConfidenceGroup:
        rows = np.flatnonzero(inside)
        index = rows[np.argsort(key[rows], kind="stable")].astype(np.int64)
        own = predictions.take(index)
        return ConfidenceGroup(name, rule, order, index, own.ids, own.names, Rate(len(index), len(predictions)))

    return (
        group("sure and right", f"right, and the answer {leads}", "surest first", sure & right, -margin),
        group("nervous and right", f"right, but the answer {close}", "closest call first", ~sure & right, margin),
        group("nervous and wrong", f"wrong, and the answer {close}", "closest call first", ~sure & ~right, margin),
        group("confidently wrong", f"wrong, though the answer {leads}", "largest loss first", sure & ~right, -loss),
    )


@dataclass(frozen=True)
class RiskCoverage:
    """Error rate among the most confident images, for every number of them.

    Attributes:
        coverage: (N,) float64, share of images answered, 1/N to 1.
        risk: (N,) float64, share of those that are wrong; images of equal confidence are counted as in random order.
        area: mean risk over all coverages, a fraction; lower is better, but it also falls with accuracy.
        excess_area: area minus that of a ranking that puts every wrong image last; 0 is a perfect ranking.
    """

    json_only: ClassVar[tuple[str, ...]] = ("n", "area", "excess_area", "curve")

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]
    area: float
    excess_area: float

    @property
    def n(self) -> int:
        """Images."""
        return len(self.risk)

    @property
    def curve(self) -> dict[str, NDArray[np.float64]]:
        """Coverage and risk at about 101 evenly spaced coverages; enough to draw it."""
        index = np.unique(np.linspace(0, self.n - 1, 101).round().astype(np.int64))
        return {"coverage": self.coverage[index], "risk": self.risk[index]}


def risk_coverage(predictions: Predictions) -> RiskCoverage:
    """Risk for every coverage, the most confident images first, plain view.

    Source: Geifman and El-Yaniv 2017; the excess area is theirs of 2019.
    """
    require_labels(predictions)
    n, wrong = len(predictions), (~predictions.correct).astype(np.float64)
    _, group = np.unique(-confidences(predictions), return_inverse=True)
    # Each image of a tie carries the tie's mean, so that the result does not depend on the order of the rows.
    mean_of_group = np.bincount(group, weights=wrong) / np.bincount(group)
    answered = np.arange(1, n + 1)
    risk = np.cumsum(mean_of_group[np.sort(group)]) / answered
    best = np.cumsum(np.sort(wrong)) / answered
    return RiskCoverage(answered / n, risk, float(risk.mean()), float(risk.mean() - best.mean()))


@dataclass(frozen=True)
class RejectRule:
    """Selective classification: no answer where the most probable class is less probable than a threshold.

    Attributes:
        threshold: a probability; 0 rejects nothing.
        answered: accuracy on the val pictures that are answered, as the best of all thresholds that were tried.
        coverage: share of the val pictures that are answered.
    """

    threshold: float
    answered: Rate
    coverage: Rate

    def __str__(self) -> str:
        return (
            f"An answer below {100 * self.threshold:.2f} % is rejected: on val that answers {self.coverage.hits:,} of "
            f"{self.coverage.n:,} pictures, {100 * self.answered.value:.1f} % of them right. The threshold was chosen "
            f"there; with 95 % certainty it is {100 * self.answered.low:.1f} % or more on pictures like these."
        )


def reject_rule(val: Predictions, accuracy: float) -> RejectRule:
    """The rule that answers the most val pictures of those that are right on this fraction of what they answer.

    Raises:
        InvalidSetting: no fraction between 0 and 1, or none of the thresholds reaches it.
    """
    if not 0 < accuracy < 1:
        raise InvalidSetting(f"An accuracy of {accuracy:g} is not possible: a fraction, such as 0.99.")
    sure, n = confidences(val), len(val)
    order = np.argsort(-sure)
    hits = np.cumsum(val.correct[order])
    ends = np.flatnonzero(np.append(np.diff(sure[order]) != 0, True))  # equally sure ones are answered together
    share = hits[ends] / (ends + 1)
    reached = ends[share >= accuracy]
    if not len(reached):
        raise InvalidSetting(f"No threshold reaches {100 * accuracy:g} % on val, at most {100 * share.max():.1f} %.")
    last = int(reached[-1])
    answered = Rate(int(hits[last]), last + 1, len(ends) * val.best_of)
    return RejectRule(0.0 if last == n - 1 else float(sure[order[last]]), answered, Rate(last + 1, n))


def reject_rule_of(run: Run, accuracy: float, *, tta: bool) -> RejectRule:
    """A run's rule, by its stored answers to val, with test-time views where `tta`.

    Raises:
        UsageError: it has none.
        InvalidSetting: as `reject_rule`.
    """
    val = stored_predictions(run, "val")
    if val is None:
        raise UsageError(f"A target accuracy is reached on val, and {run.folder} has no answers to val images.")
    return reject_rule(val.with_tta() if tta else val, accuracy)


@dataclass(frozen=True)
class Confidence:
    """What one split says about a model's confidence, plain view.

    Attributes:
        predictions: what was judged.
        calibration: as trained.
        temperature: fitted on val; None where the run kept no val split.
        calibration_with_temperature: calibration after that, or None.
        risk_coverage: error rate if the model may stay silent when unsure.
        groups: sure and right, nervous and right, nervous and wrong, confidently wrong.
        label_issues: labels that confident learning doubts.
    """

    json_only: ClassVar[tuple[str, ...]] = (
        "split", "n", "calibration", "temperature", "calibration_with_temperature", "risk_coverage", "groups",
        "label_issues",
    )  # fmt: skip

    predictions: Predictions
    calibration: Calibration
    temperature: TemperatureFit | None
    calibration_with_temperature: Calibration | None
    risk_coverage: RiskCoverage
    groups: tuple[ConfidenceGroup, ...]
    label_issues: LabelIssues

    @property
    def split(self) -> str:
        """What was judged: "val", "test" or "new"."""
        return self.predictions.split

    @property
    def n(self) -> int:
        """Images judged."""
        return len(self.predictions)


def confidence(predictions: Predictions, *, val: Predictions | None) -> Confidence:
    """Judge how sure a model is.

    Args:
        predictions: of any split the model was not trained on, with labels.
        val: on which the temperature is fitted; the same predictions where they are val's, None where there is none.

    Raises:
        UsageError: no image, images without label, or `val` is not of val.
    """
    fit = None if val is None else fit_temperature(val)
    return Confidence(
        predictions=predictions,
        calibration=calibration(predictions),
        temperature=fit,
        calibration_with_temperature=None if fit is None else calibration(rescaled(predictions, fit.temperature)),
        risk_coverage=risk_coverage(predictions),
        groups=confidence_groups(predictions),
        label_issues=label_issues(predictions),
    )
