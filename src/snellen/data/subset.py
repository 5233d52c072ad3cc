"""A part of a data set for quick trials: of each class its share, known by content, and no test set.

What is val in the whole is val here, and what is train is train, so nothing that a trial chooses is learned from later.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.splits import in_val
from snellen.errors import InvalidSetting


def trial(dataset: Dataset, count: int | None) -> Dataset:
    """So many pictures of train and val together, `name` says how many; all of it where `count` is None.

    Raises:
        InvalidSetting: fewer than one of each class in train and val, or no fewer than there are.
    """
    if count is None:
        return dataset
    images, val = dataset.train, in_val(dataset)
    at = shares(2 * images.labels + val, images.identities, count)
    return replace(
        dataset.named(f"{dataset.name}-{count}"),
        train=images.take(at, "all").named(f"{dataset.name}-{count}"),
        test=None,
        in_val=val[at],
        subset=count,
        about=(*dataset.about, f"subset    {count:,} of {len(images):,} pictures; the test set stays out of trials"),
    )


def shares(groups: NDArray[np.int64], hashes: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """(count,) int64, ascending: places of `count` pictures, of each group its share and at least one.

    Args:
        groups: (N,) int64, the group of each picture.
        hashes: (N,) uint64; of each group those with the smallest ones are taken.
        count: how many; raises as `trial` where that is not possible.
    """
    numbers, member, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if not len(numbers) <= count < len(groups):
        raise InvalidSetting(
            f"--subset {count} is not possible: {len(numbers):,} (one picture of each class in train and in val) to "
            f"{len(groups) - 1:,}, for there are {len(groups):,}."
        )
    taken = np.maximum(1, sizes * count // len(groups))
    while (over := int(taken.sum()) - count) != 0:  # largest remainder, in whole numbers
        lacking = sizes * count - taken * len(groups)
        full = taken <= 1 if over > 0 else taken >= sizes
        extreme = np.ma.masked_array(lacking, full)
        taken[extreme.argmin() if over > 0 else extreme.argmax()] -= np.sign(over)
    order = np.lexsort((np.arange(len(groups)), hashes, member))
    rank = np.empty(len(groups), dtype=np.int64)
    rank[order] = np.arange(len(groups)) - (np.cumsum(sizes) - sizes)[member[order]]
    return np.flatnonzero(rank < taken[member])
