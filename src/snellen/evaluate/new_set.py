"""Grading a run on any labelled folder, as what it is: a new set, neither its val nor its sealed test set.

What the run has learned from or was chosen by is known by content, named, and counted apart. Pictures of its sealed
test set are not answered at all: for those there is the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.image_folder import list_pictures
from snellen.data.labeled_images import LabeledImages, hash_pixels
from snellen.data.picture_cache import Progress, stored_pictures
from snellen.data.pictures import PictureForm
from snellen.data.run_images import images_of
from snellen.errors import DataError
from snellen.evaluate.val import predict_run
from snellen.metrics.intervals import Rate
from snellen.metrics.scorecard import scorecard
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.recipes.recipe import TTA
from snellen.runs.run import Run

_NAMED = 5


@dataclass(frozen=True, repr=False)
class NewEvaluation:
    """How a run did on a new set.

    Attributes:
        path: where the set is.
        predictions: answers to the pictures that are new to the run, in the split "new".
        seen: part of the run's own data -> names here of pictures that are also there; those of "test" not answered.
        seen_accuracy: of train and val among them, plain; None where there are none.
        left_out: name and reason of each picture of an unknown class, and of each file that cannot be read.
        unchecked: why it cannot be told which pictures the run has seen; empty where it can.
    """

    json_only: ClassVar[tuple[str, ...]] = ("path", "seen", "seen_accuracy", "left_out", "unchecked")

    path: Path
    predictions: Predictions
    seen: Mapping[str, tuple[str, ...]]
    seen_accuracy: Rate | None
    left_out: tuple[str, ...]
    unchecked: str

    def __repr__(self) -> str:
        return "\n".join([str(scorecard(self.predictions)), *self.sentences()])

    def sentences(self) -> Iterator[str]:
        """What must be said beside the number."""
        yield f"{self.path} is graded as a new set: neither val nor the sealed test set of this run."
        for part, names in self.seen.items():
            why = "not answered: snellen evaluate RUN --split test" if part == "test" else "not counted"
            yield f"{len(names):,} {'is' if len(names) == 1 else 'are'} in the run's {part}, and {why}: {_few(names)}."
        if self.seen_accuracy is not None:
            yield f"Of what it has seen it has {self.seen_accuracy.hits:,} of {self.seen_accuracy.n:,} right."
        if self.unchecked:
            yield self.unchecked
        if self.left_out:
            yield f"{len(self.left_out):,} left out: {_few(self.left_out)}."


def evaluate_on_new(
    run: Run,
    path: Path,
    *,
    data: Path | Dataset | None = None,
    device: str = "auto",
    tta: TTA | None = None,
    decoding: Progress | None = None,
) -> NewEvaluation:
    """Grade a run on labelled pictures of anybody's; nothing is written.

    Args:
        run: finished; `data`, `device`, `tta` as in `evaluate_on_val`: its own pictures are looked for in the new set.
        path: a folder of class folders, a table or shards; its parts count as one set. Classes are matched by name.
        decoding: told how far decoding has come.

    Raises:
        RunError: the run is not finished.
        DataError: no class of the set is the run's, no picture can be read, the run has seen all of them; or the run
            has a sealed test set and its data are not at hand, so that it cannot be told whether this is it.
    """
    run.require_finished()
    images, left_out = _read(run, path, decoding)
    parts, unchecked = _known(run, path, images, data)
    seen = np.any([np.zeros(len(images), dtype=bool), *parts.values()], axis=0)
    if seen.all():
        raise DataError(
            f"All {len(images):,} pictures of {path} are the run's own: there is nothing new to grade it on."
        )
    new = predict_run(run, images.take(np.flatnonzero(~seen), "new"), device=device, tta=tta or run.recipe.tta)
    told, accuracy = seen & ~parts.get("test", seen & False), None
    if told.any():
        again = predict_run(run, images.take(np.flatnonzero(told), "new"), device=device, tta="none")
        accuracy = Rate(int(again.correct.sum()), len(again))
    named = {part: tuple(images.names[row] for row in np.flatnonzero(here)) for part, here in parts.items()}
    return NewEvaluation(path, new, {p: n for p, n in named.items() if n}, accuracy, left_out, unchecked)


def _read(run: Run, path: Path, decoding: Progress | None) -> tuple[LabeledImages, tuple[str, ...]]:
    """The pictures of classes that the run knows, in its form and under its names; and what is left out, and why."""
    names, listing = tuple(run.info["data"]["class_names"]), list_pictures(path, to_learn=False)
    number = {name: place for place, name in enumerate(names)}
    labels = np.array([number.get(one.label, -1) for one in listing.found], dtype=np.int64)
    if (labels < 0).all():
        raise DataError(
            f"The run knows no class of {path}, such as '{listing.class_names[0]}'. Name folders or labels as in its "
            f"training: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}."
        )

    form, ignore = PictureForm.of_run(run.info["data"]), lambda *_: None
    stored = stored_pictures(listing, form, lambda hashes: np.flatnonzero(np.array(hashes) != ""), decoding or ignore)
    strange = {
        place: f"the run knows no '{listing.found[place].label}'" for place in np.flatnonzero(labels < 0).tolist()
    }
    left_out = tuple(
        f"{listing.found[at].name} ({why.rstrip('.')})" for at, why in sorted((stored.problems | strange).items())
    )
    known = labels[stored.order] >= 0
    if not known.any():
        raise DataError(f"No picture of {path} can be read: {_few(left_out)}.")
    pixels = stored.pixels if known.all() else stored.pixels[known]  # all of them stay mapped from their file
    order, files = stored.order[known], tuple(one.name for one in listing.found)
    images = LabeledImages(pixels, labels[order], names, order, "new", path.name, stored.source_hashes[known], files)
    images.__dict__["content_hashes"] = stored.content_hashes[known]
    return images, left_out


def _known(
    run: Run, path: Path, images: LabeledImages, data: Path | Dataset | None
) -> tuple[dict[str, NDArray[np.bool_]], str]:
    """Part of the run's own data -> (N,) bool, which pictures are also there; and what cannot be told."""
    try:
        own = images_of(run, data)
    except DataError as error:
        if run.info["data"]["test"] is not None:
            raise DataError(
                f"Whether {path} holds pictures of the run's sealed test set cannot be told, as the run's own data are "
                f"not at hand: {error}"
            ) from error
        val = stored_predictions(run, "val")
        parts = {} if val is None or val.identities is None else {"val": np.isin(images.identities, val.identities)}
        return parts, f"Which of them the run learned from cannot be told: {error}"
    parts, before = {}, np.zeros(len(images), dtype=bool)
    if own.test is not None and (sealed := own.test.search_copies(hash_pixels)) is not None:
        parts["test"] = before = np.isin(images.content_hashes, sealed)
    for part in (own.train, own.val):
        if part is not None:  # the same file, or the same pixels in another
            here = np.isin(images.identities, part.identities) | np.isin(images.content_hashes, part.content_hashes)
            parts[part.role], before = here & ~before, before | here
    searched = own.test is None or "test" in parts
    return parts, "" if searched else "Whether some are in the run's sealed test set cannot be told while it is sealed."


def _few(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _NAMED:,} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more
