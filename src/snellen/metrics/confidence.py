"""How sure the answers are, and where that misleads: calibration, temperature, drawers and doubted labels together.

Written beside the scorecard as `confidence_SPLIT.json` and `reliability.png`, from the predictions alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snellen.metrics.calibration import Calibration, calibration, reliability_png
from snellen.metrics.confidence_groups import ConfidenceGroup, drawers
from snellen.metrics.label_issues import LabelIssues, label_issues
from snellen.metrics.risk_coverage import RiskCoverage, risk_coverage
from snellen.metrics.temperature import TemperatureFit, fit_temperature, rescaled
from snellen.predict.predictions import Predictions
from snellen.runs.atomic import write_json

_LISTED = 100  # doubts and images per drawer that the file names; the rest follows from the predictions


@dataclass(frozen=True)
class Confidence:
    """What one split says about a model's confidence, plain view.

    Attributes:
        predictions: what was judged.
        before: calibration as trained.
        temperature: fitted on val; None where the run kept no val split.
        after: calibration with that temperature, or None.
        coverage: error rate if the model may stay silent when unsure.
        drawers: sure and right, nervous and right, nervous and wrong, confidently wrong.
        doubts: labels that confident learning doubts.
    """

    predictions: Predictions
    before: Calibration
    temperature: TemperatureFit | None
    after: Calibration | None
    coverage: RiskCoverage
    drawers: tuple[ConfidenceGroup, ...]
    doubts: LabelIssues

    def sentences(self) -> Iterator[tuple[str, str]]:
        """Label and sentence of each line for the terminal."""
        yield "sure", str(self.before)
        if self.temperature is not None and self.after is not None:
            fitted = f"temperature {self.temperature.temperature:.3f}, fitted on {self.temperature.n} val images"
            ece = f"ECE {100 * self.before.ece:.2f} → {100 * self.after.ece:.2f} %"
            yield "", f"{fitted}: {ece}, NLL {self.before.nll:.4f} → {self.after.nll:.4f}"
        yield "drawers", ", ".join(f"{drawer.share.hits:,} {drawer.name}" for drawer in self.drawers)
        count, n = len(self.doubts.index), len(self.predictions)
        if count:
            yield "labels", f"{count:,} of {n:,} are doubted; of such doubts about half hold, so look before you act"

    def doubt_rows(self, limit: int | None = None) -> list[dict[str, Any]]:
        """The first `limit` doubted labels, most suspicious first: the image's id, both classes, both probabilities."""
        names, found = self.predictions.class_names, self.doubts
        probabilities = self.predictions.probabilities
        return [
            {
                "id": int(self.predictions.ids[row]),
                "given": names[given],
                "suggested": names[suggested],
                "probability_given": float(probabilities[row, given]),
                "probability_suggested": float(probabilities[row, suggested]),
            }
            for row, given, suggested in list(zip(found.index, found.given, found.suggested, strict=True))[:limit]
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything, fractions; images by id."""
        ids = self.predictions.ids
        return {
            "split": self.predictions.split,
            "n": len(self.predictions),
            "calibration": self.before.to_json(),
            "temperature": self.temperature and self.temperature.to_json(),
            "calibration_with_temperature": self.after and self.after.to_json(),
            "risk_coverage": self.coverage.to_json(),
            "drawers": [
                {key: value for key, value in drawer.to_json(limit=0).items() if key != "index"}
                | {"ids": ids[drawer.index[:_LISTED]].tolist()}
                for drawer in self.drawers
            ],
            "label_issues": {
                "count": len(self.doubts.index),
                "estimated_noise": self.doubts.estimated_noise,
                "rows": self.doubt_rows(_LISTED),
            },
        }


def confidence(predictions: Predictions, *, val: Predictions | None) -> Confidence:
    """Judge how sure a model is.

    Args:
        predictions: of any split the model was not trained on, with labels.
        val: on which the temperature is fitted; the same predictions where they are val's, None where there is none.

    Raises:
        UsageError: no image, images without label, or `val` is not of val.
    """
    temperature = None if val is None else fit_temperature(val)
    return Confidence(
        predictions=predictions,
        before=calibration(predictions),
        temperature=temperature,
        after=None if temperature is None else calibration(rescaled(predictions, temperature.temperature)),
        coverage=risk_coverage(predictions),
        drawers=drawers(predictions),
        doubts=label_issues(predictions),
    )


def write_confidence(found: Confidence, folder: Path) -> None:
    """Write `confidence_SPLIT.json` and the reliability picture into a run folder.

    Raises:
        StorageError: a file could not be written.
    """
    predictions = found.predictions
    write_json(folder / f"confidence_{predictions.split}.json", found.to_json())
    after = None if found.temperature is None else rescaled(predictions, found.temperature.temperature)
    picture = "reliability.png" if predictions.split == "val" else f"reliability_{predictions.split}.png"
    reliability_png(folder / picture, predictions, after=after, title=f"{folder.name}, {predictions.split}")
