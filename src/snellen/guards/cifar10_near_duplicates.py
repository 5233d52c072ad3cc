"""CIFAR-10's test images that have a near-duplicate in train, and what accuracy is without them.

The list is that of Barz and Denzler, "Do we train on test data? Purging CIFAR of near-duplicates", 2020: 286 test
images, found by the features of a network and judged by eye. It carries no licence, so it is not part of this
package; put `duplicates_cifar10.csv` from https://github.com/cvjena/cifair (folder meta) beside the data.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snellen.data.cifar10 import FOLDER
from snellen.data.published import places
from snellen.errors import DataError
from snellen.guards.guard import GuardResult, unjudged
from snellen.metrics.classification import accuracy
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions

_FILES = ("duplicates_cifar10.csv", "cifair_duplicates_cifar10.csv")
_MOST_BYTES = 1_000_000
_TEST_IMAGES = 10_000


@dataclass(frozen=True)
class AccuracyWithoutDuplicates:
    """Accuracy with and without the images that have a near-duplicate in train.

    Attributes:
        all_images: over all images.
        without: over those that have no known near-duplicate.
        listed: over those that have one; None if none of them was graded.
    """

    all_images: Rate
    without: Rate
    listed: Rate | None

    def __str__(self) -> str:
        if self.listed is None:
            return f"{self.all_images.text(2)}; none of these images has a known near-duplicate in train"
        return (
            f"{self.all_images.text(2)}; without the {self.listed.n} images that have a near-duplicate in train "
            f"{self.without.text(2)}; of those {self.listed.n}, {self.listed.hits} are right"
        )


def listed_near_duplicates(data: Path | None = None) -> frozenset[int] | None:
    """Ids of CIFAR-10's test images with a near-duplicate in train, or None where the list is not at hand.

    Args:
        data: the folder given with --data; None looks in $SNELLEN_DATA, ./data and the cache.

    Raises:
        DataError: a file of that name is there and is not the list.
    """
    return next((_read(path) for path in _candidates(data) if path.is_file()), None)


def accuracy_without_duplicates(predictions: Predictions, listed: frozenset[int]) -> AccuracyWithoutDuplicates:
    """Plain accuracy of test predictions with and without the images whose ids are in `listed`.

    Raises:
        UsageError: no image is left without a near-duplicate.
    """
    assert predictions.split == "test", "the list is about test images"
    is_listed = np.isin(predictions.ids, list(listed))
    hits, count = int(predictions.correct[is_listed].sum()), int(is_listed.sum())
    every = accuracy(predictions)
    return AccuracyWithoutDuplicates(
        every, Rate(every.hits - hits, every.n - count), Rate(hits, count) if count else None
    )


def without_listed_duplicates(
    name: str, predictions: Sequence[Predictions], data: Path | None
) -> list[AccuracyWithoutDuplicates]:
    """Per run's test predictions, where the data set is CIFAR-10 and the published list is beside it; else empty."""
    listed = listed_near_duplicates(data) if name == "cifar10" else None
    return [] if listed is None else [accuracy_without_duplicates(one, listed) for one in predictions]


def cifar10_test_duplicates(name: str, listed: frozenset[int] | None, predictions: Predictions | None) -> GuardResult:
    """What is known about near-duplicates between train and test of the data set `name`, by the published list.

    The predictions are of the test set, if it has been opened; nothing is opened here.
    """
    guard = "test-duplicates"
    if name != "cifar10":
        return unjudged(
            guard, f"There is no published list of near-duplicates for {name}, and its test set stays sealed."
        )
    if listed is None:
        return unjudged(
            guard,
            "286 test images are known to have a near-duplicate in train; their list is not here. Put "
            "duplicates_cifar10.csv (https://github.com/cvjena/cifair, folder meta) beside the data.",
        )
    remedy = "Quote test accuracy with and without them: once the test set was opened, snellen doctor RUN prints both."
    if predictions is None:
        share = 100 * len(listed) / _TEST_IMAGES
        evidence = f"{len(listed)} of 10,000 test images ({share:.1f} %) have a published near-duplicate in train."
        return GuardResult(guard, False, evidence, remedy, "note")
    graded = accuracy_without_duplicates(predictions, listed)
    return GuardResult(guard, graded.listed is None, f"Test accuracy {graded}.", "Quote both.", "note")


def _candidates(data: Path | None) -> Iterator[Path]:
    for _, place in places(data):
        # The data folder may be named itself, or the one around it.
        roots = (place, place.parent) if place.name == FOLDER else (place,)
        for folder in (*roots, *(root / "reference" for root in roots), place / FOLDER):
            for name in _FILES:
                yield folder / name


def _read(path: Path) -> frozenset[int]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(f"{path} has {path.stat().st_size} bytes; the list of near-duplicates has about 10,000.")
        with path.open(newline="", encoding="utf-8") as file:
            ids = frozenset(int(row["TestID"]) for row in csv.DictReader(file))
    except (KeyError, TypeError, ValueError, OSError, csv.Error) as error:
        raise DataError(
            f"{path} is not the list of near-duplicates: it has no column TestID of whole numbers."
        ) from error
    if not ids or min(ids) < 0 or max(ids) >= _TEST_IMAGES:
        raise DataError(f"{path} names no test images, or some outside 0..{_TEST_IMAGES - 1}.")
    return ids
