"""Grading a run on val, as often as wanted, and writing down what a split showed beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.run_images import images_of
from snellen.errors import RunError
from snellen.metrics.confidence import confidence
from snellen.metrics.confusion import confusion_json, confusion_matrix
from snellen.metrics.scorecard import scorecard
from snellen.models.device import choose_device
from snellen.models.normalized import Classifier
from snellen.models.weights import restore
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.recipes.recipe import TTA
from snellen.runs.atomic import write_json
from snellen.runs.run import Run
from snellen.serialize import to_json


def evaluate_on_val(
    run: Run, *, data: Path | Dataset | None = None, device: str = "auto", tta: TTA | None = None
) -> Predictions:
    """The run's predictions on its val images: the stored ones, or new ones where other views are asked for.

    Args:
        run: finished, with a val split.
        data: where the data are, or they themselves; where given, they are held against the run in any case.
        device: "auto", "cpu", "cuda" or "mps".
        tta: the views; None takes those of the recipe.

    Raises:
        RunError: the run is not finished, or kept no val split.
        DataError: the data are not the run's own.
    """
    run.require_finished()
    choose_device(device)  # one that is not here is refused also where the stored answers are enough
    if run.info["final"]:
        raise RunError(f"{run.folder} was trained with --final on train + val; no val images are left to judge it by.")
    stored = stored_predictions(run, "val") if tta in (None, run.recipe.tta) else None
    if stored is not None and data is None:
        return stored
    val = images_of(run, data).val
    assert val is not None, "only a final training keeps none"
    if stored is not None:
        return stored
    return predict_run(run, val, device=device, tta=tta or run.recipe.tta)


def predict_run(run: Run, images: LabeledImages, *, device: str, tta: TTA) -> Predictions:
    """The run's predictions for these images, in the precision and with the views it was graded with."""
    answered = predict(
        restore(run, choose_device(device)),
        images,
        tta=tta,
        tta_fraction=run.recipe.tta_fraction if tta == run.recipe.tta else 1.0,
        bf16=run.info["precision"] == "bf16",
    )
    return replace(answered, best_of=max(1, len(run.val_looks)) if images.role == "val" else 1)


def grade(run: Run, model: Classifier, val: LabeledImages, *, bf16: bool) -> dict[str, Any]:
    """Predict val and write predictions, scorecard, confusion matrix and confidence into the run's folder.

    Returns:
        The headline, JSON-able: plain accuracy and the one with test-time augmentation, each with n and interval, and
        of how many epochs it is the best.
    """
    recipe = run.recipe
    predictions = predict(model, val, tta=recipe.tta, tta_fraction=recipe.tta_fraction, bf16=bf16)
    predictions = replace(predictions, best_of=max(1, len(run.val_looks)))
    write_grades(predictions, run.folder)
    card = scorecard(predictions)
    headline: dict[str, Any] = {"accuracy": to_json(card.plain.accuracy), "best_of": card.best_of}
    if card.with_tta is not None:
        headline["tta"] = {"name": card.tta, "accuracy": to_json(card.with_tta.accuracy)}
    return headline


def write_grades(predictions: Predictions, folder: Path) -> None:
    """Write predictions, scorecard, confusion matrix and confidence of a split into `folder`."""
    split = predictions.split
    predictions.save(folder / f"predictions_{split}.npz")
    write_json(folder / f"scorecard_{split}.json", to_json(scorecard(predictions)))
    matrix = confusion_json(confusion_matrix(predictions), predictions.class_names)
    write_json(folder / f"confusion_{split}.json", matrix)
    # On val alone a temperature is fitted; a final training has none.
    val = predictions if split == "val" else stored_predictions(Run(folder), "val")
    found = confidence(predictions, val=val)
    write_json(folder / f"confidence_{split}.json", to_json(found))
