"""Which pictures to learn from and which to choose by; the test set stays sealed.

The split looks at nothing but the pictures, so it needs no seed, and it is the same on each machine, in each order of
files, in each run. Data that never change (`split`): within each class pictures are ranked by the hash of their pixels
and the first ones become val, so that shares are exact. Data that grow (`parts_by_hash`): each picture's own hash
decides, whatever else is there, so that shares are approximate and a picture stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.sealed_images import SealedImages
from snellen.errors import BadSplit

VAL_FRACTION = 0.1


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set.

    Attributes:
        train: role "train", or "train+val" after `split_final`.
        val: role "val"; None after `split_final`, when nothing is left to be chosen.
        test: sealed, or None where the data has no test set.
    """

    train: LabeledImages
    val: LabeledImages | None
    test: SealedImages | None


def split(dataset: Dataset, *, val_fraction: float = VAL_FRACTION) -> Splits:
    """Stratified train and val: of each class its share, to within one image.

    CIFAR-10: 45,000 and 5,000, which is 500 a class. Each class keeps at least one picture on either side, so very
    rare classes may add a few images to val.

    Args:
        dataset: as loaded.
        val_fraction: size of val as a fraction of all images, in (0, 1); of no effect where `dataset.in_val` is given.

    Raises:
        BadSplit: a class has fewer than two pictures, or val is too small for one of each class.
    """
    images, chosen = dataset.train, in_val(dataset, val_fraction=val_fraction)
    return Splits(
        train=images.take(np.flatnonzero(~chosen), "train"),
        val=images.take(np.flatnonzero(chosen), "val"),
        test=dataset.test,
    )


def in_val(dataset: Dataset, *, val_fraction: float = VAL_FRACTION) -> NDArray[np.bool_]:
    """(N,) bool: which pictures of `dataset.train` are val; arguments and errors as of `split`."""
    if dataset.in_val is not None:
        return dataset.in_val
    images = dataset.train
    wanted = round(val_fraction * len(images))
    _require_room(images, wanted)
    quota = _share(images.counts, wanted)
    return np.asarray(_rank_in_class(images) < quota[images.labels])


def folds_of(images: LabeledImages, count: int) -> NDArray[np.int64]:
    """(N,) int64 in [0, count): each picture's fold, by content. Copies share one, and classes are dealt out evenly."""
    _, first, which = np.unique(images.identities, return_index=True, return_inverse=True)
    dealt = np.argsort(images.labels[first], kind="stable")  # within a class by hash, as `unique` has them
    fold = np.empty(len(first), dtype=np.int64)
    fold[dealt] = np.arange(len(first)) % count
    return fold[which]


def one_fold(dataset: Dataset, number: int, count: int) -> Dataset:
    """The same data set, whose val is the fold of that number, from 0 on.

    Raises:
        BadSplit: a class has no picture in some fold.
    """
    fold, labels = folds_of(dataset.train, count), dataset.train.labels
    for label, name in enumerate(dataset.train.class_names):
        found = len(np.unique(dataset.train.identities[labels == label]))
        if found < count:
            raise BadSplit(
                f"{count} folds are not possible: each takes a picture of every class, and '{name}' has {found} "
                "different ones. Ask for fewer folds, add pictures, or take the class out."
            )
    return replace(dataset, in_val=fold == number, fold=(number, count))


def parts_by_hash(
    labels: NDArray[np.int64], hashes: NDArray[np.uint64], *, val_fraction: float, test_fraction: float = 0.0
) -> NDArray[np.int64]:
    """(N,) int64: 0 train, 1 val, 2 test, decided picture by picture: the lowest hashes are val, the highest test.

    Adding pictures never moves one into or out of test, and never one from train to val, as long as each class has
    hashes on both sides of val's line. A class without one below it lends val its lowest, and a class without one above
    it lends train its highest; such a stand-in goes back when a picture takes its place, and only then does one move.
    (Without a record of earlier splits no rule can promise both: one of each in every class, and that none ever moves.)

    Args:
        labels: (N,) int64, each class with at least two pictures that are not test; with one, it is train.
        hashes: (N,) uint64, of each picture's file.
        val_fraction: in [0, 1); about this share of each class becomes val.
        test_fraction: likewise; 0 sets none apart. The line of val does not move with it.
    """
    parts = np.zeros(len(labels), dtype=np.int64)
    parts[hashes < _line(val_fraction)] = 1
    if test_fraction > 0:
        parts[hashes >= _line(1 - test_fraction)] = 2
    if val_fraction > 0:
        for label in np.unique(labels):
            _lend(parts, np.flatnonzero((labels == label) & (parts != 2)), hashes)
    return parts


def _line(fraction: float) -> np.uint64:
    return np.uint64(min(int(fraction * 2**64), 2**64 - 1))


def _lend(parts: NDArray[np.int64], members: NDArray[np.int64], hashes: NDArray[np.uint64]) -> None:
    """Give val the class's lowest hash and train its highest, with all copies of that file."""
    if len(members):
        mine = hashes[members]
        parts[members[mine == mine.min()]] = 1
        parts[members[mine == mine.max()]] = 0


def split_final(dataset: Dataset) -> Splits:
    """All pictures as training images, role "train+val": for a last run after every choice has been made."""
    everything = np.arange(len(dataset.train), dtype=np.int64)
    return Splits(train=dataset.train.take(everything, "train+val"), val=None, test=dataset.test)


def _require_room(images: LabeledImages, wanted: int) -> None:
    if len(images) == 0 or images.num_classes < 2:
        raise BadSplit(
            f"{images.name} has {len(images)} images in {images.num_classes} classes; "
            "a classifier needs pictures of at least two classes."
        )
    for name, count in zip(images.class_names, images.counts.tolist(), strict=True):
        if count < 2:
            raise BadSplit(
                f"val split: class '{name}' has {count} image{'' if count == 1 else 's'} in {images.name}; "
                "a split needs at least 2 (one to learn, one to judge). Add images or leave the class out."
            )
    least, most = images.num_classes, len(images) - images.num_classes
    if not least <= wanted <= most:
        raise BadSplit(
            f"val split: {wanted} of the {len(images)} images of {images.name} cannot be val; with "
            f"{images.num_classes} classes it takes {least} to {most}, one of each class on either side."
        )


def _share(counts: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """(K,) int64: how many of each class go to val, by largest remainder, in whole numbers throughout."""
    total = int(counts.sum())
    share = np.clip(counts * wanted // total, 1, counts - 1)
    remainder = np.where(share == counts * wanted // total, counts * wanted % total, -1)
    spare = max(0, wanted - int(share.sum()))
    share[np.argsort(-remainder, kind="stable")[:spare]] += 1
    return share


def _rank_in_class(images: LabeledImages) -> NDArray[np.int64]:
    """(N,) int64: each picture's place among its class by content hash; equal pictures go by id."""
    order = np.lexsort((images.ids, images.content_hashes, images.labels))
    first_of_class = np.cumsum(images.counts) - images.counts
    rank = np.empty(len(images), dtype=np.int64)
    rank[order] = np.arange(len(images)) - first_of_class[images.labels[order]]
    return rank
