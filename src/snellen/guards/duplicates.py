"""Duplicates within train, and between train, val and the sealed test part: to the pixel, or nearly.

Pictures of one's own come in bursts, crops and renamed copies, and nobody has looked at all of them. Of the test part
pixels alone are handed out, and no label.

A near-duplicate is the same shot brightened, shifted by a pixel, compressed or mirrored. Each picture is reduced to
an 8x8 thumbnail in colour whose direction (mean taken away, length one) is compared with all others by one matrix
product; the nearest one counts as a near-duplicate if the pattern of brighter and darker neighbours (dHash, 64 bits)
agrees as well. Either alone flags blue skies. Of CIFAR-10's published list of 286 test images with a near-duplicate
in train, the pair of thresholds finds 182 and flags 334 of 10,000 (with mirror images, which that list does not look
for, 183 and 370); the cosine alone, at 0.95, finds 160 and flags 310. Measured on pixels without labels; the
thresholds were chosen there, among some fifty. So a third of the near-duplicates that a person would see at 32 pixels
is missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages, hash_pixels
from snellen.data.sealed_images import SealedImages
from snellen.data.splits import Splits
from snellen.guards.guard import GuardResult, ask_guards, judged, unjudged

MOST_COMPARED = 20_000
"""Pictures up to which near-duplicates are searched before each training: a few seconds at 64 px."""
_SHOWN_PAIRS = 3
_THUMBNAIL = 8
_LEAST_COSINE = 0.92
_MOST_BITS = 16
_TOLERATED = 0.01  # of val: bends an accuracy of 94 % by less than 0.1 points
_QUERY_CHUNK = 250


def check_duplicates(splits: Splits) -> tuple[GuardResult, ...]:
    """Copies and near-duplicates between train, val and the sealed test part, which stays sealed."""
    train, val, test = splits.train, splits.val, splits.test
    count = len(train) + (len(val) if val else 0) + (0 if test is None else test.count)
    near = count <= MOST_COMPARED
    too_many = f"{count:,} pictures are more than the {MOST_COMPARED:,} compared before a training: snellen doctor DATA"
    guards = {
        "exact-duplicates": partial(exact_duplicates, train, val),
        "near-duplicates": partial(near_duplicates, train, val),
        "test-duplicates": partial(duplicates_in_test, train, val, test, near=near),
    }
    return ask_guards(guards if near else guards | {"near-duplicates": partial(unjudged, "near-duplicates", too_many)})


def exact_duplicates(train: LabeledImages, val: LabeledImages | None) -> GuardResult:
    """Whether a picture is in train under two labels, or in train and in val; equal means every pixel is equal.

    Args:
        train: the training images.
        val: None after a final training.
    """
    name = "exact-duplicates"
    order = np.lexsort((train.labels, train.content_hashes))
    hashes, labels = train.content_hashes[order], train.labels[order]
    equal = hashes[1:] == hashes[:-1]
    copies, contradicting = int(equal.sum()), int((equal & (labels[1:] != labels[:-1])).sum())
    across = 0 if val is None else int(np.isin(val.content_hashes, train.content_hashes).sum())
    evidence = f"{copies} copies within train, {contradicting} of them under another label" + (
        "." if val is None else f"; {across} of {len(val):,} val images are also in train."
    )
    if not contradicting and not across:
        return GuardResult(name, True, evidence)
    twice = order[1:][equal & (labels[1:] != labels[:-1])]
    if val is not None and not contradicting:
        twice = np.flatnonzero(np.isin(train.content_hashes, val.content_hashes))
    evidence += f" For example {', '.join(train.names[at] for at in twice[:_SHOWN_PAIRS])}."
    return GuardResult(
        name, False, evidence,
        "Remove the copies before the split; what is in train and in val is remembered, not recognised. Of a picture "
        "under two labels at most one is right.",
        "error" if val is not None and across > 0.01 * len(val) else "warning",
    )  # fmt: skip


def near_duplicates(train: LabeledImages, val: LabeledImages | None) -> GuardResult:
    """Whether more than 1 % of the val images have a near-duplicate among the training images; as the above."""
    name = "near-duplicates"
    if val is None or len(train) == 0 or len(val) == 0:
        return unjudged(name, "There is no val split to compare train with.")
    found = find_near_duplicates(train.images, val.images)
    count, share = len(found.queries), len(found.queries) / len(val)
    same = int((train.labels[found.references] == val.labels[found.queries]).sum())
    best = np.argsort(-found.cosines, kind="stable")[:_SHOWN_PAIRS]
    pairs = ", ".join(f"{val.names[found.queries[at]]}~{train.names[found.references[at]]}" for at in best)
    evidence = f"{count} of {len(val):,} val images ({100 * share:.1f} %) have a near-duplicate in train"
    evidence += f", {same} of them with the same label; for example {pairs}." if count else "."
    if share <= _TOLERATED:
        return GuardResult(name, True, evidence)
    points = 100 * share / (1 - share) * 0.1
    return GuardResult(
        name, False, evidence,
        f"Val accuracy flatters: at 90 % by up to {points:.1f} points if all of these are right. Put pictures of one "
        "shot, burst or scene on one side before you split; the choice between models is hardly touched.",
        "note" if share < 0.1 else "warning",
    )  # fmt: skip


def duplicates_in_test(
    train: LabeledImages,
    val: LabeledImages | None,
    test: SealedImages | None,
    *,
    near: bool = True,
) -> GuardResult:
    """Whether a picture of the sealed test part is also in train or val, to the pixel or nearly."""
    name = "test-duplicates"
    if test is None:
        return unjudged(name, "There is no test part.")
    learned = [part for part in (train, val) if part is not None]
    found = test.search_copies(partial(_search, learned, near=near))
    if found is None:
        return unjudged(name, "The test set cannot be searched for copies while it is sealed.")
    exact, alike, copied = found
    evidence = f"{exact} of {test.count:,} test pictures are in train or val to the pixel"
    evidence += f", {alike} more nearly" if near else ""
    evidence += f"; for example copies of {', '.join(copied[:_SHOWN_PAIRS])}." if copied else "."
    return judged(
        name, not exact and alike <= 0.01 * test.count, evidence,
        "Test accuracy would flatter. Remove the copies, or put all pictures of one shot on one side, then train.",
        "error" if exact > 0.01 * test.count else "warning",
    )  # fmt: skip


def _search(learned: Sequence[LabeledImages], pixels: NDArray[np.uint8], *, near: bool) -> tuple[int, int, list[str]]:
    """Exact copies, further near-duplicates, and the names in train or val of what they are copies of."""
    mine = hash_pixels(pixels)
    exact = np.zeros(len(pixels), dtype=bool)
    alike = np.zeros(len(pixels), dtype=bool)
    copied: list[str] = []
    for images in learned:
        here = np.isin(mine, images.content_hashes)
        copied += [images.names[at] for at in np.flatnonzero(np.isin(images.content_hashes, mine))]
        exact |= here
        if near and len(images):
            found = find_near_duplicates(images.images, pixels)
            alike[found.queries] = True
            copied += [images.names[at] for at in found.references]
    return int(exact.sum()), int((alike & ~exact).sum()), list(dict.fromkeys(copied))


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of near-duplicates between two sets, at most one per query.

    Attributes:
        queries: (P,) int64, positions in the second set, ascending.
        references: (P,) int64, positions in the first set.
        cosines: (P,) float32, likeness of the thumbnails.
    """

    queries: NDArray[np.int64]
    references: NDArray[np.int64]
    cosines: NDArray[np.float32]


def find_near_duplicates(references: NDArray[np.uint8], queries: NDArray[np.uint8]) -> NearDuplicates:
    """Queries which, or whose mirror image, are near-duplicates of their nearest reference.

    Args:
        references: (N, H, W, C) uint8.
        queries: (M, H, W, C) uint8, same H, W, C.

    About 4 s on one core for 45,000 against 5,000 pictures of 32x32.
    """
    known, known_bits = directions(references), _difference_hashes(references)
    nearest, cosines, bits = _nearest(known, known_bits, queries)
    other_nearest, other_cosines, other_bits = _nearest(known, known_bits, queries[:, :, ::-1])
    better = other_cosines > cosines
    nearest, cosines = np.where(better, other_nearest, nearest), np.where(better, other_cosines, cosines)
    bits = np.where(better, other_bits, bits)
    alike = np.flatnonzero((cosines >= _LEAST_COSINE) & (bits <= _MOST_BITS))
    return NearDuplicates(alike.astype(np.int64), nearest[alike], cosines[alike])


def directions(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 64 C) float32: 8x8 thumbnails, mean taken away, of length one; a picture without contrast is all zero."""
    count, height, width, channels = images.shape
    rows, columns = height // _THUMBNAIL or 1, width // _THUMBNAIL or 1
    tall, wide = min(_THUMBNAIL, height) * rows, min(_THUMBNAIL, width) * columns
    # Whole rows first, then columns of what is left: one pass over the pixels, not one mean over six dimensions.
    lines = np.zeros((count, tall // rows, width, channels), dtype=np.uint16)
    for down in range(rows):
        lines += images[:, down:tall:rows]
    sums = np.zeros((count, tall // rows, wide // columns, channels), dtype=np.uint32)
    for right in range(columns):
        sums += lines[:, :, right:wide:columns]
    flat = sums.reshape(count, -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    # Under half a grey level of contrast there is nothing but rounding to compare.
    return np.asarray(np.where(length > 0.5 * rows * columns * np.sqrt(flat.shape[1]), flat / np.maximum(length, 1), 0))


def _difference_hashes(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(N,) uint64: of an 8x9 grey thumbnail, whether each cell is brighter than its left neighbour."""
    rows = np.linspace(0, images.shape[1], 9).astype(np.int64)
    columns = np.linspace(0, images.shape[2], 10).astype(np.int64)
    hashes = np.empty(len(images), dtype=np.uint64)
    for start in range(0, len(images), 1_000):
        lines = np.add.reduceat(images[start : start + 1_000], rows[:-1], axis=1, dtype=np.uint32)  # (n, 8, W, C)
        cells = np.add.reduceat(lines.sum(axis=3), columns[:-1], axis=2) / np.maximum(np.diff(columns), 1)
        bits = cells[:, :, 1:] > cells[:, :, :-1]
        hashes[start : start + 1_000] = np.packbits(bits.reshape(len(lines), 64), axis=1).view(np.uint64)[:, 0]
    return hashes


def _nearest(
    known: NDArray[np.float32], known_bits: NDArray[np.uint64], queries: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.uint8]]:
    """Position of the reference with the largest cosine, that cosine, and how many of its 64 bits differ."""
    asked = directions(queries)
    nearest = np.empty(len(asked), dtype=np.int64)
    cosines = np.empty(len(asked), dtype=np.float32)
    for start in range(0, len(asked), _QUERY_CHUNK):  # 250 x 45,000 cosines at a time: 45 MB
        part = slice(start, start + _QUERY_CHUNK)
        likeness = asked[part] @ known.T
        nearest[part] = likeness.argmax(axis=1)
        cosines[part] = np.take_along_axis(likeness, nearest[part][:, None], axis=1)[:, 0]
    return nearest, cosines, np.bitwise_count(_difference_hashes(queries) ^ known_bits[nearest])
