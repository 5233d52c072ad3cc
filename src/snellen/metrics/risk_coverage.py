"""If the model may stay silent when unsure: how often is it wrong on the share that it answers?

Calibration asks whether confidences are true, this asks whether they rank: label smoothing can mend the first and
harm the second (Xia et al. 2024), so both are reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.metrics.calibration import confidences
from snellen.metrics.classification import require_labels
from snellen.predict.predictions import Predictions


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

    Raises:
        UsageError: no image, or images without label.
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
