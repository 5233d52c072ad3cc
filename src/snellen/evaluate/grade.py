"""Grade a model on one split and write everything down beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snellen.data.labeled_images import LabeledImages
from snellen.metrics.confidence import confidence, write_confidence
from snellen.metrics.confusion import confusion_json, confusion_matrix, confusion_png
from snellen.metrics.scorecard import scorecard
from snellen.models.normalized import Classifier
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import TTA
from snellen.runs.atomic import write_json


def grade(
    model: Classifier, images: LabeledImages, folder: Path, *, tta: TTA, tta_fraction: float, bf16: bool
) -> dict[str, Any]:
    """Predict `images` and write predictions, scorecard and confusion matrix of their role into `folder`.

    Returns:
        The headline, JSON-able: plain accuracy and the one with test-time augmentation, each with n and interval.
    """
    predictions = predict(model, images, tta=tta, tta_fraction=tta_fraction, bf16=bf16)
    write_grades(predictions, folder)
    return headline(predictions)


def write_grades(predictions: Predictions, folder: Path) -> None:
    """Write predictions, scorecard, confusion matrix and confidence of a split, with their pictures, into `folder`."""
    split = predictions.split
    matrix = confusion_matrix(predictions)
    predictions.save(folder / f"predictions_{split}.npz")
    write_json(folder / f"scorecard_{split}.json", scorecard(predictions).to_json())
    write_json(folder / f"confusion_{split}.json", confusion_json(matrix, predictions.class_names))
    picture = "confusion.png" if split == "val" else f"confusion_{split}.png"
    confusion_png(folder / picture, matrix, predictions.class_names, title=f"{folder.name}, {split}")
    write_confidence(confidence(predictions, val=val_answers(folder)), folder)


def val_answers(folder: Path) -> Predictions | None:
    """The run's answers on val, on which alone a temperature is fitted; None after a final training."""
    path = folder / "predictions_val.npz"
    return Predictions.load(path) if path.exists() else None


def headline(predictions: Predictions) -> dict[str, Any]:
    """Accuracy with n and interval, plain and, where there are views, averaged."""
    card = scorecard(predictions)
    lines: dict[str, Any] = {"accuracy": card.plain.accuracy.to_json()}
    if card.with_tta is not None:
        lines["tta"] = {"name": card.tta, "accuracy": card.with_tta.accuracy.to_json()}
    return lines
