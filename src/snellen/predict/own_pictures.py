"""A trained model's answers to a user's own pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages
from snellen.data.pictures import Fit, PictureForm
from snellen.errors import DataError, InvalidSetting
from snellen.models.device import choose_device
from snellen.models.restore import restore
from snellen.predict.predict import predict
from snellen.runs.run import Run


def predict_pictures(
    run: Run, paths: Sequence[Path], *, fit: Fit | None = None, top: int = 5, tta: bool = False, device: str = "cpu"
) -> list[dict[str, Any]]:
    """The `top` most probable classes of each picture, in the order given.

    Args:
        run: finished.
        paths: picture files.
        fit: how a picture becomes square; None is as in training.
        top: classes per picture.
        tta: average over the recipe's test-time views.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        One JSON-able entry per path: `picture` and `top` (rows of `class` and `probability`, a fraction), or `error`
        with one sentence where a picture cannot be read; the others are not lost to it.

    Raises:
        InvalidSetting: `tta` was asked for and the recipe has none.
    """
    if tta and run.recipe.tta == "none":
        raise InvalidSetting(f"--tta has no effect: the recipe {run.recipe.name} has tta=none.")
    info = run.info["data"]
    form = PictureForm.of_run(info) if fit is None else replace(PictureForm.of_run(info), fit=fit)
    names = tuple(info["class_names"])
    entries: list[dict[str, Any]] = []
    pixels = []
    for path in paths:
        try:
            pixels.append(form.pixels(path))
            entries.append({"picture": str(path)})
        except DataError as error:
            entries.append({"picture": str(path), "error": str(error)})
    if not pixels:
        return entries
    images = unlabeled(pixels, names)
    answers = predict(restore(run, choose_device(device)), images, tta=run.recipe.tta if tta else "none")
    probabilities = iter(answers.with_tta().probabilities)
    for entry in entries:
        if "error" not in entry:
            own = next(probabilities)
            entry["top"] = [
                {"class": names[index], "probability": float(own[index])} for index in most_probable(own, top)
            ]
    return entries


def most_probable(probabilities: NDArray[np.float64], count: int) -> list[int]:
    """The `count` classes with the largest of the (K,) probabilities, the largest first; equals in class order."""
    return [int(index) for index in np.argsort(-probabilities, kind="stable")[:count]]


def unlabeled(pixels: Sequence[NDArray[np.uint8]], class_names: tuple[str, ...]) -> LabeledImages:
    """Pictures (H, W, C) of which nobody knows the class: their labels are all 0 and must not be read."""
    return LabeledImages(
        images=np.stack(pixels),
        labels=np.zeros(len(pixels), dtype=np.int64),
        class_names=class_names,
        ids=np.arange(len(pixels), dtype=np.int64),
        role="new",
        name="own pictures",
    )
