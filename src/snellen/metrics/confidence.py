"""How sure the answers are, and where that misleads: calibration, temperature, confidence groups and label issues."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from snellen.metrics.calibration import Calibration, calibration, reliability_png
from snellen.metrics.confidence_groups import ConfidenceGroup, confidence_groups
from snellen.metrics.label_issues import LabelIssues, label_issues
from snellen.metrics.risk_coverage import RiskCoverage, risk_coverage
from snellen.metrics.temperature import TemperatureFit, fit_temperature, rescaled
from snellen.predict.predictions import Predictions
from snellen.runs.atomic import write_json
from snellen.serialize import to_json


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


def write_confidence(found: Confidence, folder: Path) -> None:
    """Write `confidence_SPLIT.json` and the reliability picture into a run folder.

    Raises:
        StorageError: a file could not be written.
    """
    predictions = found.predictions
    write_json(folder / f"confidence_{predictions.split}.json", to_json(found))
    after = None if found.temperature is None else rescaled(predictions, found.temperature.temperature)
    picture = "reliability.png" if predictions.split == "val" else f"reliability_{predictions.split}.png"
    reliability_png(folder / picture, predictions, after=after, title=f"{folder.name}, {predictions.split}")
