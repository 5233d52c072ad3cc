"""What a rung does to confidence: calibration over its seeds, as trained and with a temperature fitted on val."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from snellen.metrics.calibration import confidences, expected_calibration_error, null_ece
from snellen.metrics.classification import hard_cross_entropy
from snellen.metrics.intervals import SeedSummary, mean_over_seeds
from snellen.metrics.temperature import fit_temperature
from snellen.predict.predictions import Predictions


@dataclass(frozen=True)
class Sureness:
    """Calibration of one rung on val, over seeds.

    Attributes:
        ece: expected calibration error as trained, fractions.
        null: what perfect calibration would show with these confidences, a fraction, mean over seeds.
        temperature: that makes val most likely; above 1 where the model is too sure, below where it is not sure enough.
        ece_after: with that temperature, on the same val images.
        nll: mean -log p(label) as trained, nats.
    """

    ece: SeedSummary
    null: float
    temperature: SeedSummary
    ece_after: SeedSummary
    nll: SeedSummary


def sureness(predictions: Sequence[Predictions]) -> Sureness | None:
    """Calibration over the runs of a rung; None where no run has answers.

    Raises:
        UsageError: predictions that are not of val.
    """
    if not predictions:
        return None
    fits = [fit_temperature(one) for one in predictions]
    return Sureness(
        ece=mean_over_seeds([expected_calibration_error(one) for one in predictions]),
        null=fmean(null_ece(confidences(one), draws=200).mean for one in predictions),
        temperature=mean_over_seeds([fit.temperature for fit in fits]),
        ece_after=mean_over_seeds([fit.ece_after for fit in fits]),
        nll=mean_over_seeds([hard_cross_entropy(one) for one in predictions]),
    )
