"""The pictures of a split, checked to be those that were graded; test pictures only where the ledger knows the look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Ledger, TestSet
from snellen.data.run_images import RunImages
from snellen.data.sealed_images import SealedImages
from snellen.errors import DataError, SealError
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.report.encoding import Sprite, make_sprite, packed
from snellen.report.predictions import chosen_rows, predictions_json
from snellen.report.record import graded_on_test
from snellen.runs.run import Run
from snellen.train.out_of_fold import Doubts

_BYTES = 10_000_000
"""Of one split's pictures in a file, a third more as text: all of CIFAR-10's val, or 800 photographs of 224 pixels."""
_LIVE_PIXELS = 48_000_000
"""Of one split's pictures where a viewer has them at hand in full: all are shown, the more there are the smaller."""
_SMALLEST = 48  # pixels a side; of fewer nothing is seen
_SAMPLE = 256  # pictures that tell how many bytes one takes
_ALIKE_SIDE = 112  # pixels of the pictures beside a doubted one


@dataclass(frozen=True)
class Shown:
    """One split with its pictures.

    Attributes:
        images: all N, row for row with the predictions.
        rows: (M,) int64, the rows whose pictures go into the page, ascending.
        most: pixels of the longer side of what is shown; None: all there are.
    """

    images: LabeledImages
    rows: NDArray[np.int64]
    most: int | None = None

    def sprite(self) -> Sprite:
        """The M pictures on sheets."""
        return make_sprite(self.images.take(self.rows, self.images.role).images, most=self.most)

    def names_of_files(self) -> dict[int, str]:
        """Id -> name of each of the M pictures, as far as they have files."""
        return {int(self.images.ids[row]): self.images.names[row] for row in self.rows} if self.images.files else {}

    def to_json(self) -> dict[str, Any]:
        """Id, label, content's hash and, where it is in a file, name of each of the M pictures."""
        return {
            "ids": packed(self.images.ids[self.rows], "i4"),
            "labels": packed(self.images.labels[self.rows], "u2"),
            "hashes": packed(self.images.identities[self.rows], "u8"),
            "names": [self.images.names[row] for row in self.rows] if self.images.files else None,
        }


def answered(runs: Sequence[Run], ledgers: Sequence[Ledger]) -> dict[str, dict[int, Predictions]]:
    """Split -> number of the run -> its predictions, as far as there are any that may be shown.

    Test predictions count only beside a ledger line that holds the result of exactly these weights.
    """
    found: dict[str, dict[int, Predictions]] = {"val": {}, "test": {}}
    for number, (run, ledger) in enumerate(zip(runs, ledgers, strict=True)):
        on_val = stored_predictions(run, "val")
        on_test = stored_predictions(run, "test") if graded_on_test(run, ledger) else None
        if on_val is not None:
            found["val"][number] = on_val
        if on_test is not None:
            found["test"][number] = on_test
    return {name: by_run for name, by_run in found.items() if by_run}


def shown_split(
    name: str,
    images: Sequence[RunImages],
    by_run: Mapping[int, Predictions],
    runs: Sequence[Run],
    ledgers: Sequence[Ledger],
    *,
    every: bool = False,
) -> Shown:
    """The pictures of "val" or "test", out of each run's own images, with the rows to show: `every` one, or what fits.

    Raises:
        DataError: they are not those that the runs were graded on.
        SealError: the ledger does not know the look at the test set.
    """
    first = next(iter(by_run))
    pictures = images[first].val if name == "val" else _test(images[first].test, runs[first], ledgers[first])
    assert pictures is not None, "the run answered them"
    for number, predictions in by_run.items():
        if not np.array_equal(predictions.ids, pictures.ids) or not np.array_equal(predictions.labels, pictures.labels):
            folder = runs[number].folder
            raise DataError(f"{folder}: its {name} predictions are not of these pictures of {pictures.name}.")
    most, side = _room(pictures, len(pictures), every=every)
    return Shown(pictures, chosen_rows(list(by_run.values()), most), side)


def _room(images: LabeledImages, count: int, *, every: bool) -> tuple[int, int | None]:
    """How many of `count` pictures go into the page, and how many pixels they have a side at most."""
    if every:
        return count, max(_SMALLEST, math.isqrt(_LIVE_PIXELS // max(1, count)))
    some = images.take(images.evenly(_SAMPLE), images.role)
    return max(1, int(_BYTES * len(some) / make_sprite(some.images).bytes)), None


def shown_doubts(found: Doubts, *, every: bool = False) -> tuple[Shown, dict[str, Any], dict[str, Sprite]]:
    """The pictures whose labels are doubted, as the page has a split with one run, and their sheets.

    `alike` has for each the tile, on the sheet of that name, and the label of those most like it.
    """
    most, side = _room(found.images, len(found.rows), every=every)
    order = np.argsort(found.rows[:most])
    shown, likest = Shown(found.images, found.rows[:most][order], side), found.nearest[:most][order]
    used, tiles = np.unique(likest, return_inverse=True)
    alike = make_sprite(found.images.images[used], most=_ALIKE_SIDE, lossless=False)
    content = {
        **shown.to_json(),
        "runs": {"0": predictions_json(found.answers, shown.rows)},
        "alike": np.stack([tiles.reshape(likest.shape), found.images.labels[likest]], axis=2).tolist(),
        "found": len(found.rows),
        "of": len(found.images),
    }
    return shown, content, {"doubted": shown.sprite(), "alike": alike}


def _test(test: SealedImages | None, run: Run, ledger: Ledger) -> LabeledImages:
    """Pictures that were looked at before, on the record: shown again, which is no new look and writes no line."""
    assert test is not None, "a run was graded on it"

    def require_line(_: TestSet) -> None:
        if not graded_on_test(run, ledger):
            raise SealError(f"{ledger.path} has no result for {run.folder}; its test pictures stay sealed.")

    return test.open(require_line)
