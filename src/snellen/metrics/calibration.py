"""Does "90 % sure" come true nine times out of ten? And how much of the answer is only noise.

The expected calibration error (ECE) of a perfectly calibrated model is not 0 on a finite split: about 0.8 % at
5,000 images. So ECE never leaves this file without the value that perfect calibration would show at the same n.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.errors import InvalidSetting
from snellen.metrics.classification import brier_score, hard_cross_entropy, require_labels
from snellen.metrics.intervals import Rate, bootstrap_interval
from snellen.predict.predictions import Predictions
from snellen.show import figures


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose confidence lies in (low, high].

    Attributes:
        low: lower edge, a fraction, not included.
        high: upper edge, a fraction, included.
        confidence: mean confidence of the bin's images; None if there are none.
        accuracy: how many of them are right; None if there are none.
    """

    json_also: ClassVar[tuple[str, ...]] = ("count",)

    low: float
    high: float
    confidence: float | None
    accuracy: Rate | None

    @property
    def count(self) -> int:
        """Images in the bin."""
        return self.accuracy.n if self.accuracy else 0


@dataclass(frozen=True)
class NullECE:
    """What ECE would be if every confidence were true: its mean and its 95th percentile, fractions."""

    mean: float
    percentile_95: float
    n: int


@dataclass(frozen=True)
class Calibration:
    """How far confidences can be trusted, on one split, plain view.

    Attributes:
        ece: expected calibration error, 15 equal-width bins, a fraction.
        low: lower end of its 95 % interval; 0 where perfect calibration is not excluded.
        high: its upper end.
        null: what perfect calibration would show with these confidences.
        adaptive_ece: the same error with 15 bins of equally many images.
        mean_confidence: a fraction; above accuracy means overconfident.
        accuracy: with its interval.
        nll: mean -log p(label), nats.
        brier: in [0, 2].
        bins: the 15 bins.
    """

    json_also: ClassVar[tuple[str, ...]] = ("distinguishable",)

    ece: float
    low: float
    high: float
    null: NullECE
    adaptive_ece: float
    mean_confidence: float
    accuracy: Rate
    nll: float
    brier: float
    bins: tuple[ReliabilityBin, ...]

    @property
    def distinguishable(self) -> bool:
        """Whether perfect calibration would show so large an error in fewer than 5 of 100 splits of this size."""
        return self.ece > self.null.percentile_95

    def __str__(self) -> str:
        interval = f"{100 * self.ece:.2f} % ({100 * self.low:.2f}-{100 * self.high:.2f}, n={self.accuracy.n})"
        null = f"{100 * self.null.mean:.2f} %, up to {100 * self.null.percentile_95:.2f} %"
        lean = "over" if self.mean_confidence > self.accuracy.value else "under"
        verdict = f"{lean}confident" if self.distinguishable else "not told apart from it"
        return f"ECE {interval}; perfect calibration would show {null}: {verdict}"


def confidences(predictions: Predictions) -> NDArray[np.float64]:
    """(N,) float64: the probability of the class that was predicted."""
    return np.asarray(predictions.probabilities.max(axis=1))


def expected_calibration_error(predictions: Predictions, *, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy, a fraction in [0, 1]; 0 is calibrated.

    Args:
        predictions: logits (N, K) and labels (N,), one row per image.
        bins: equal-width bins (a, b] over (0, 1].

    Biased upward on few images: print it with `null_ece`. Source: Guo et al. 2017, section 2.

    Raises:
        UsageError: no image, or images without label.
        InvalidSetting: `bins` is below 1.
    """
    require_labels(predictions)
    confidence = confidences(predictions)
    return _binned_gap(confidence, predictions.correct, _equal_width(confidence, bins), bins)


def adaptive_calibration_error(predictions: Predictions, *, bins: int = 15) -> float:
    """As `expected_calibration_error`, with bins of equally many images (up to one) instead of equal width.

    Most confidences of a good model lie in the last equal-width bin; here they are spread over all bins.
    Source: Nixon et al. 2019 (the top-label form).

    Raises:
        UsageError: no image, or images without label.
        InvalidSetting: `bins` is below 1.
    """
    require_labels(predictions)
    confidence, n = confidences(predictions), len(predictions)
    bin_of = np.empty(n, dtype=np.int64)
    bin_of[np.argsort(confidence, kind="stable")] = np.arange(n) * _checked_bins(bins) // n
    return _binned_gap(confidence, predictions.correct, bin_of, bins)


def reliability_bins(predictions: Predictions, *, bins: int = 15) -> tuple[ReliabilityBin, ...]:
    """Confidence and accuracy of each equal-width bin, from the lowest confidence up.

    Raises:
        UsageError: no image, or images without label.
        InvalidSetting: `bins` is below 1.
    """
    require_labels(predictions)
    confidence = confidences(predictions)
    bin_of = _equal_width(confidence, bins)
    counts = np.bincount(bin_of, minlength=bins)
    sums = np.bincount(bin_of, weights=confidence, minlength=bins)
    hits = np.bincount(bin_of, weights=predictions.correct, minlength=bins)
    return tuple(
        ReliabilityBin(
            low=b / bins,
            high=(b + 1) / bins,
            confidence=float(sums[b] / counts[b]) if counts[b] else None,
            accuracy=Rate(int(hits[b]), int(counts[b])) if counts[b] else None,
        )
        for b in range(bins)
    )


def null_ece(confidence: NDArray[np.float64], *, draws: int = 1000, seed: int = 0, bins: int = 15) -> NullECE:
    """The ECE that these confidences would show if each were exactly true, by drawing the right and wrong answers.

    Args:
        confidence: (N,) float64, fractions.
        draws: imagined splits.
        seed: fixed, so that the same predictions print the same value.
        bins: equal-width bins, as in `expected_calibration_error`.

    Source: the consistency resampling of Broecker and Smith 2007, applied to ECE.
    """
    bin_of, n = _equal_width(confidence, bins), len(confidence)
    rng = np.random.default_rng(seed)
    values = [_binned_gap(confidence, rng.random(n) < confidence, bin_of, bins) for _ in range(draws)]
    return NullECE(mean=float(np.mean(values)), percentile_95=float(np.quantile(values, 0.95)), n=n)


def calibration(predictions: Predictions, *, draws: int = 1000, seed: int = 0) -> Calibration:
    """Everything about one split's calibration.

    The interval is the basic bootstrap, which takes out the upward bias that resampling adds; its lower end is 0
    where perfect calibration cannot be excluded, because there the bootstrap alone would be too sure. In simulation
    (1,000 and 5,000 images, from calibrated to twice too sure) it held the true value in 90 to 97 of 100 splits.

    Raises:
        UsageError: no image, or images without label.
    """
    require_labels(predictions)
    confidence, n, bins = confidences(predictions), len(predictions), 15
    bin_of, gaps = _equal_width(confidence, bins), predictions.correct - confidence

    def ece_of(index: NDArray[np.int64]) -> float:
        return float(np.abs(np.bincount(bin_of[index], weights=gaps[index], minlength=bins)).sum() / n)

    ece = expected_calibration_error(predictions, bins=bins)
    null = null_ece(confidence, draws=draws, seed=seed, bins=bins)
    low, high = bootstrap_interval(ece_of, n, draws=draws, seed=seed, method="basic")
    return Calibration(
        ece=ece,
        low=max(0.0, low) if ece > null.percentile_95 else 0.0,
        high=max(high, ece),
        null=null,
        adaptive_ece=adaptive_calibration_error(predictions, bins=bins),
        mean_confidence=float(confidence.mean()),
        accuracy=Rate(int(predictions.correct.sum()), n),
        nll=hard_cross_entropy(predictions),
        brier=brier_score(predictions),
        bins=reliability_bins(predictions, bins=bins),
    )


def _equal_width(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """(N,) int64: which of the bins (a, b] each confidence is in; 1.0 is in the last."""
    edges = np.linspace(0, 1, _checked_bins(bins) + 1)
    # A softmax in float64 can round to a hair above 1; clip keeps it in the last bin.
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)


def _binned_gap(
    confidence: NDArray[np.float64], correct: NDArray[np.bool_], bin_of: NDArray[np.int64], bins: int
) -> float:
    gaps = np.bincount(bin_of, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def _checked_bins(bins: int) -> int:
    if bins < 1:
        raise InvalidSetting(f"bins={bins} is not possible: at least 1.")
    return bins


def reliability_png(path: Path, predictions: Predictions, *, after: Predictions | None = None, title: str = "") -> None:
    """Accuracy against confidence, with Wilson intervals, above the number of images behind each point.

    Args:
        path: the PNG to write.
        predictions: what to judge.
        after: the same images with rescaled logits (see `temperature.rescaled`), drawn as a second line.
        title: what was graded, such as "resnet18, val".

    Raises:
        UsageError: no image, or images without label.
        StorageError: the file could not be written.
    """
    report = calibration(predictions)
    figure = figures.new_figure(5.6, 6.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot([0, 1], [0, 1], color=figures.FAINT, linewidth=1, linestyle=(0, (4, 3)))
    turned: dict[str, Any] = {"rotation": 45, "rotation_mode": "anchor", "transform_rotates_text": True}
    upper.text(0.04, 0.06, "as sure as right", color=figures.FAINT, fontsize=8.5, **turned)
    _reliability_line(upper, report.bins, figures.WRONG, f"as trained: ECE {100 * report.ece:.1f} %")
    if after is not None:
        label = f"with temperature: ECE {100 * expected_calibration_error(after):.1f} %"
        _reliability_line(upper, reliability_bins(after), figures.RIGHT, label)
        upper.legend(frameon=False, loc="lower right", fontsize=9, labelcolor=figures.INK)
    ece = f"ECE {100 * report.ece:.1f} % ({100 * report.low:.1f}-{100 * report.high:.1f}, n={report.accuracy.n})"
    null = f"perfect calibration would show {100 * report.null.mean:.1f} %"
    figures.title(upper, title, f"{ece}; {null}")
    upper.set_ylabel("right", color=figures.FAINT, fontsize=9)
    upper.set_ylim(0, 1.04)
    shares = [100 * row.count / len(predictions) for row in report.bins]
    centres = [(row.low + row.high) / 2 for row in report.bins]
    lower.bar(centres, shares, width=0.9 / len(shares), color=figures.HAIRLINE)
    lower.set_ylabel("% of images", color=figures.FAINT, fontsize=9)
    lower.set_xlabel("confidence of the answer", color=figures.FAINT, fontsize=9)
    lower.set_xlim(0, 1.02)
    for axes in (upper, lower):
        figures.calm(axes)
        axes.grid(color=figures.HAIRLINE, linewidth=0.6)
    figures.save_png(figure, path)


def _reliability_line(axes: Any, bins: tuple[ReliabilityBin, ...], colour: str, label: str) -> None:
    points = [(row.confidence, row.accuracy) for row in bins if row.confidence is not None and row.accuracy]
    x = [confidence for confidence, _ in points]
    y = [accuracy.value for _, accuracy in points]
    ends = [accuracy.interval() for _, accuracy in points]
    # Area follows the number of images: a bin of three should not shout as loud as one of three thousand.
    total = sum(row.count for row in bins)
    sizes = [12 + 150 * accuracy.n / total for _, accuracy in points]
    axes.vlines(x, [low for low, _ in ends], [high for _, high in ends], color=colour, linewidth=3, alpha=0.2)
    axes.plot(x, y, color=colour, linewidth=1, alpha=0.7)
    axes.scatter(x, y, s=sizes, color=colour, linewidths=0, zorder=3, label=label)
