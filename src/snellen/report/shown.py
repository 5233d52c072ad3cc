"""The pictures of a split, checked to be those that were graded; test pictures only where the ledger knows the look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Ledger, TestSet
from snellen.data.splits import split
from snellen.errors import DataError, SealError
from snellen.predict.predictions import Predictions
from snellen.report.encoding import Sprite, make_sprite, packed
from snellen.report.predictions import chosen_rows
from snellen.report.record import graded_on_test
from snellen.runs.run import Run

_PIXELS = 5_000 * 32 * 32
"""Pixels of one split's pictures in a file: all CIFAR-10 val images, about 12 MB as text."""


@dataclass(frozen=True)
class Shown:
    """One split with its pictures.

    Attributes:
        images: all N, row for row with the predictions.
        rows: (M,) int64, the rows whose pictures go into the page, ascending.
    """

    images: LabeledImages
    rows: NDArray[np.int64]

    def sprite(self) -> Sprite:
        """The M pictures as one sheet."""
        return make_sprite(self.images.images[self.rows])

    def to_json(self) -> dict[str, Any]:
        """Id and label of each of the M pictures."""
        return {
            "ids": packed(self.images.ids[self.rows], "i4"),
            "labels": packed(self.images.labels[self.rows], "u2"),
        }


def answered(runs: Sequence[Run], ledgers: Sequence[Ledger]) -> dict[str, dict[int, Predictions]]:
    """Split -> number of the run -> its predictions, as far as there are any that may be shown.

    Test predictions count only beside a ledger line that holds the result of exactly these weights.
    """
    found: dict[str, dict[int, Predictions]] = {"val": {}, "test": {}}
    for number, (run, ledger) in enumerate(zip(runs, ledgers, strict=True)):
        if not run.info["final"] and (run.folder / "predictions_val.npz").exists():
            found["val"][number] = Predictions.load(run.folder / "predictions_val.npz")
        if graded_on_test(run, ledger):
            found["test"][number] = Predictions.load(run.folder / "predictions_test.npz")
    return {name: by_run for name, by_run in found.items() if by_run}


def shown_split(
    name: str, dataset: Dataset, by_run: Mapping[int, Predictions], runs: Sequence[Run], ledgers: Sequence[Ledger]
) -> Shown:
    """The pictures of "val" or "test", with the rows to show.

    Raises:
        DataError: they are not those that the runs were graded on.
        SealError: the ledger does not know the look at the test set.
    """
    first = next(iter(by_run))
    images = _val(dataset, runs[first]) if name == "val" else _test(dataset, runs[first], ledgers[first])
    for number, predictions in by_run.items():
        if not np.array_equal(predictions.ids, images.ids) or not np.array_equal(predictions.labels, images.labels):
            folder = runs[number].folder
            raise DataError(f"{folder}: its {name} predictions are not of these pictures of {dataset.name}.")
    height, width, _ = images.image_shape
    return Shown(images, chosen_rows(by_run[first], max(1, _PIXELS // (height * width))))


def _val(dataset: Dataset, run: Run) -> LabeledImages:
    images = split(dataset).val
    assert images is not None, "only `split_final` leaves no val"
    if images.fingerprint != run.info["data"]["val"]["fingerprint"]:
        raise DataError(
            f"The val images of {dataset.name} ({dataset.source}) are not those that {run.folder} was graded on. "
            "Name the right ones with --data."
        )
    return images


def _test(dataset: Dataset, run: Run, ledger: Ledger) -> LabeledImages:
    """Pictures that were looked at before, on the record: shown again, which is no new look and writes no line."""
    assert dataset.test is not None, "a run was graded on it"

    def require_line(_: TestSet) -> None:
        if not graded_on_test(run, ledger):
            raise SealError(f"{ledger.path} has no result for {run.folder}; its test pictures stay sealed.")

    return dataset.test.open(require_line)
