"""A trained model's answers to a user's own pictures: the one way of the command line, of Python and of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from snellen.data.image_folder import pictures_in
from snellen.data.labeled_images import LabeledImages
from snellen.data.pictures import Fit, Picture, PictureForm
from snellen.errors import DataError, InvalidSetting
from snellen.models.device import answers_in_bf16, choose_device
from snellen.models.weights import restore
from snellen.paths import user_path
from snellen.predict.familiarity import Familiarity, features_heard, first_heard, stored_familiarity
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import TTA
from snellen.runs.run import Run

Pictures = Picture | LabeledImages | Iterable[Picture]
"""One picture or several; the path of a folder stands for all pictures in it and its subfolders."""


@dataclass(frozen=True, eq=False)
class OwnPicture:
    """One picture as the network takes it, or why it cannot be read.

    Attributes:
        name: its path, or its number where it has none.
        pixels: (H, W, C) uint8, or None.
        problem: one sentence where there are no pixels.
        folder: in which it was found; None where the user named the picture itself.
    """

    name: str
    pixels: NDArray[np.uint8] | None
    problem: str = ""
    folder: Path | None = None


def read_pictures(pictures: Pictures, form: PictureForm) -> list[OwnPicture]:
    """Every picture in the given order; one that cannot be read does not cost the others.

    Raises:
        DataError: there is no picture at all, or a folder holds none.
    """
    found = []
    for name, picture, folder in _each(pictures):
        try:
            found.append(OwnPicture(name, form.pixels(picture), folder=folder))
        except DataError as error:
            found.append(OwnPicture(name, None, str(error), folder))
    if not found:
        raise DataError("There is no picture to answer.")
    return found


def answer(
    model: nn.Module,
    pixels: Sequence[NDArray[np.uint8]],
    class_names: tuple[str, ...],
    tta: TTA = "none",
    familiarity: Familiarity | None = None,
    *,
    bf16: bool = False,
) -> tuple[Predictions, list[dict[str, Any] | None]]:
    """A model's answers to pictures (H, W, C) uint8 of its own form, averaged over views; no label is known (-1).

    Returns:
        The answers, and for each picture what `Familiarity.told` says of it, by the plain view alone; None each where
        there is no `familiarity`.

    Raises:
        RunError: an answer is no number, or the familiarity is of another network.
    """
    images = unlabeled(pixels, class_names)
    with features_heard(model) as heard:
        answers = predict(model, images, tta=tta, bf16=bf16).with_tta()
    answers = replace(answers, labels=np.full(len(pixels), -1, dtype=np.int64))
    if familiarity is None:
        return answers, [None] * len(pixels)
    distances = familiarity.distances(first_heard(heard, len(pixels)))
    return answers, [familiarity.told(float(distance)) for distance in distances]


def asked(
    run: Run, pictures: Pictures, *, fit: Fit | None = None, tta: bool = False, device: str = "cpu"
) -> tuple[list[OwnPicture], Predictions | None, list[dict[str, Any] | None]]:
    """Each picture as it was read, and what a run answers to those that could be.

    Args:
        run: finished.
        pictures: files, or folders of them, or what else `Pictures` are.
        fit: how a picture becomes square; None is as in training.
        tta: average over the recipe's test-time views.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        All pictures; the answers to the readable ones, None where there are none; and what `answer` says beside them.

    Raises:
        RunError: the run is not finished.
        InvalidSetting: `tta` was asked for and the recipe has none.
        DataError: there is no picture, or a folder holds none.
    """
    run.require_finished()
    if tta and run.recipe.tta == "none":
        raise InvalidSetting(f"tta has no effect: the recipe {run.recipe.name} has tta=none.")
    form, names = PictureForm.of_run(run.info["data"]), tuple(run.info["data"]["class_names"])
    read = read_pictures(pictures, form if fit is None else replace(form, fit=fit))
    pixels = [each.pixels for each in read if each.pixels is not None]
    if not pixels:
        return read, None, []
    where = choose_device(device)
    model, views, known = restore(run, where), run.recipe.tta if tta else "none", stored_familiarity(run)
    return read, *answer(model, pixels, names, views, known, bf16=answers_in_bf16(run, where))


def predict_pictures(run: Run, pictures: Pictures, *, top: int = 5, **how: Any) -> list[dict[str, Any]]:
    """The `top` most probable classes of each picture, in the order given; `how` and errors are as of `asked`.

    Returns:
        One JSON-able entry per picture: `picture`, `top` (rows of `class` and `probability`, a fraction) and
        `familiarity` (as `Familiarity.told`, None where the run has none), or `error` with one sentence where it
        cannot be read; the others are not lost to it.
    """
    read, answers, told = asked(run, pictures, **how)
    answered = iter(() if answers is None else zip(answers.probabilities, told, strict=True))
    entries: list[dict[str, Any]] = []
    for each in read:
        if answers is None or each.pixels is None:
            entries.append({"picture": each.name, "error": each.problem})
        else:
            of_class, told_of_it = next(answered)
            names = answers.class_names
            best = [{"class": names[at], "probability": float(of_class[at])} for at in most_probable(of_class, top)]
            entries.append({"picture": each.name, "top": best, "familiarity": told_of_it})
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


def _each(pictures: Any) -> Iterator[tuple[str, Any, Path | None]]:
    """Name, picture and folder of each picture; what is none is left for `PictureForm.pixels` to say."""
    if isinstance(pictures, LabeledImages):
        yield from ((str(number), pixels, None) for number, pixels in zip(pictures.ids, pictures.images, strict=True))
        return
    if isinstance(pictures, str | PathLike) or not _are_several(pictures):
        pictures = [pictures]
    for number, one in enumerate(pictures):
        if not isinstance(one, str | PathLike):
            yield str(number), one, None
            continue
        path = user_path(one)
        if path.is_dir():
            yield from ((str(inside), inside, path) for inside in pictures_in(path))
        else:
            yield str(path), path, None


def _are_several(pictures: Any) -> bool:
    if isinstance(pictures, Image.Image | bytes | bytearray | memoryview) or callable(getattr(pictures, "read", None)):
        return False
    if hasattr(pictures, "__array__"):
        return len(getattr(pictures, "shape", ())) > 3
    return isinstance(pictures, Iterable)
