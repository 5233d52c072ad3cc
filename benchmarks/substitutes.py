"""Pictures that stand in for others: letters for CIFAR-10 where it is not at hand, training images for sealed ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snellen.data import cifar10
from snellen.data.catalog import NAMES
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.errors import unknown_name


def dataset_in(folder: Path | None, *, letters: int | None = None) -> Dataset:
    """CIFAR-10 in `folder`, or an eye chart of `letters`.

    Args:
        folder: that holds the batches or their folder; None looks in the usual places.
        letters: images to make instead, a fifth as many sealed; None reads CIFAR-10.

    Raises:
        DataNotFound: CIFAR-10 is not there.
    """
    if letters is not None:
        return make_eyechart(train=letters, test=letters // 5)
    return cifar10.read(cifar10.PUBLISHED.find(folder))


def require_dataset(name: str) -> None:
    """Refuse a name that is no data set's, before a process is started for it.

    Raises:
        UnknownName: there is no such data set; the nearest one is offered.
    """
    if name not in NAMES:
        raise unknown_name("data set", name, NAMES, list_with="snellen data list")


def substitutes(dataset: Dataset) -> LabeledImages:
    """As many training images as the test set has: to pay for an evaluation without opening it."""
    count = min(len(dataset.train), 10_000 if dataset.test is None else dataset.test.count)
    return dataset.train.take(np.arange(count, dtype=np.int64), "train")
