"""Which pictures are copies of which: to the pixel, or nearly, within a part and across parts.

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
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages, hash_pixels
from snellen.data.sealed_images import SealedImages

_THUMBNAIL = 8
_LEAST_COSINE = 0.92
_MOST_BITS = 16
_QUERY_CHUNK = 250


@dataclass(frozen=True)
class CopyPair:
    """Two pictures that are one shot; the first stands in train before val before test.

    Attributes:
        kind: "exact" where every pixel is equal, at the size that the model sees; else "near".
        second_label: name of its class; None in test, whose labels stay sealed.
        likeness: cosine of the thumbnails; 1 where every pixel is equal.
    """

    kind: Literal["exact", "near"]
    first: str
    first_part: str
    first_label: str
    second: str
    second_part: str
    second_label: str | None
    likeness: float

    @property
    def contradicts(self) -> bool:
        """Whether the two stand under different labels, of which at most one is right."""
        return self.second_label is not None and self.first_label != self.second_label

    def __str__(self) -> str:
        sign = "=" if self.kind == "exact" else "~"
        return f"{self.first_part} {self.first} {sign} {self.second_part} {self.second}"


@dataclass(frozen=True)
class Copies:
    """What a search found.

    Attributes:
        pairs: exact ones first, then near ones, the most alike first. An exact copy stands beside the first of its
            kind; a picture with near ones beside the nearest of each part, so that of a burst each is named once.
        train: pictures there; `val` of val, 0 where there are none; `test` of test, None where there is none.
        near: whether near ones were sought; `within_train`: also within train.
        test_searched: whether the pixels of the test set could be had while it is sealed.
    """

    json_only: ClassVar[tuple[str, ...]] = ("near", "within_train", "test_searched", "pairs")

    pairs: tuple[CopyPair, ...]
    train: int
    val: int
    test: int | None
    near: bool
    within_train: bool
    test_searched: bool

    def among(self, kind: Literal["exact", "near"], first: Sequence[str], second: str) -> list[CopyPair]:
        """The pairs of one kind between the parts in `first` and the part `second`."""
        return [p for p in self.pairs if p.kind == kind and p.first_part in first and p.second_part == second]


def find_copies(
    train: LabeledImages,
    val: LabeledImages | None,
    test: SealedImages | None = None,
    *,
    near: bool = True,
    within_train: bool = False,
) -> Copies:
    """Search all parts for copies. Of a sealed test set pixels and names are looked at, and no label.

    Args:
        train: what is learned from; `val` is None after a final training.
        test: stays sealed.
        near: seek near ones as well: 4 s on one core for 45,000 against 5,000 pictures of 32x32.
        within_train: also within train, which takes the square of its size.
    """
    parts = [_Part.of(images) for images in (train, val) if images is not None]
    found = None
    if test is not None:
        found = test.search_copies(lambda pixels: _search([*parts, _Part.of_test(test, pixels)], near, within_train))
    return Copies(
        pairs=tuple(_search(parts, near, within_train) if found is None else found),
        train=len(train),
        val=0 if val is None else len(val),
        test=None if test is None else test.count,
        near=near,
        within_train=near and within_train,
        test_searched=found is not None,
    )


@dataclass(frozen=True)
class _Part:
    """A part as the search needs it; `labels` are names, or None where they are sealed."""

    role: str
    pixels: NDArray[np.uint8]
    hashes: NDArray[np.uint64]
    names: Sequence[str]
    labels: Sequence[str] | None

    @staticmethod
    def of(images: LabeledImages) -> _Part:
        labels = [images.class_names[label] for label in images.labels]
        return _Part(images.role, images.images, images.content_hashes, images.names, labels)

    @staticmethod
    def of_test(test: SealedImages, pixels: NDArray[np.uint8]) -> _Part:
        return _Part("test", pixels, hash_pixels(pixels), test.names, None)


def _search(parts: Sequence[_Part], near: bool, within_train: bool) -> list[CopyPair]:
    """The pairs between `parts`, and within each but test."""
    pairs: list[CopyPair] = []
    known: dict[int, tuple[_Part, int]] = {}
    fresh = []  # per part the rows whose pixels nothing before has
    for part in parts:
        new = np.ones(len(part.hashes), dtype=bool)
        for row, content in enumerate(part.hashes.tolist()):
            first, place = known.setdefault(content, (part, row))
            new[row] = (first, place) == (part, row)
            if not new[row] and first.role != "test":
                pairs.append(_pair(first, place, part, row))
        fresh.append(np.flatnonzero(new))
    if not near:
        return pairs
    alike: list[CopyPair] = []
    thumbnails = [_Thumbnails.of(part.pixels).take(rows) for part, rows in zip(parts, fresh, strict=True)]
    for at, part in enumerate(parts):
        for before, first in enumerate(parts[: at + 1]):
            if before == at and (part.role == "test" or (at == 0 and not within_train)):
                continue
            seen = set()
            found = _match(thumbnails[before], thumbnails[at], itself=before == at)
            for query, reference, cosine in zip(*found, strict=True):
                ends = int(fresh[before][reference]), int(fresh[at][query])
                if before == at:  # two that are each other's nearest are one pair
                    ends = min(ends), max(ends)
                if ends not in seen:
                    seen.add(ends)
                    alike.append(_pair(first, ends[0], part, ends[1], float(cosine)))
    return pairs + sorted(alike, key=lambda pair: -pair.likeness)


def _pair(first: _Part, row: int, second: _Part, other: int, cosine: float | None = None) -> CopyPair:
    assert first.labels is not None, "of a pair, the first was learned from"
    its = None if second.labels is None else second.labels[other]
    ends = (first.names[row], first.role, first.labels[row], second.names[other], second.role, its)
    return CopyPair("exact", *ends, 1.0) if cosine is None else CopyPair("near", *ends, round(cosine, 4))


class NearDuplicates(NamedTuple):
    """Positions (P,) in the second set, ascending, and in the first; and the likeness of the thumbnails."""

    queries: NDArray[np.int64]
    references: NDArray[np.int64]
    cosines: NDArray[np.float32]


def find_near_duplicates(references: NDArray[np.uint8], queries: NDArray[np.uint8]) -> NearDuplicates:
    """Queries (M, H, W, C) that are, mirrored or not, near-duplicates of their nearest reference (N, H, W, C)."""
    return _match(_Thumbnails.of(references), _Thumbnails.of(queries))


@dataclass(frozen=True)
class _Thumbnails:
    """Of N pictures: `directions`, the 64 bits of dHash, and both of the mirror image."""

    ways: tuple[NDArray[np.float32], NDArray[np.float32]]
    bits: tuple[NDArray[np.uint64], NDArray[np.uint64]]

    @staticmethod
    def of(images: NDArray[np.uint8]) -> _Thumbnails:
        mirrored = images[:, :, ::-1]
        return _Thumbnails(
            (directions(images), directions(mirrored)), (_difference_hashes(images), _difference_hashes(mirrored))
        )

    def take(self, rows: NDArray[np.int64]) -> _Thumbnails:
        (way, mirrored), (bits, mirrored_bits) = self.ways, self.bits
        return _Thumbnails((way[rows], mirrored[rows]), (bits[rows], mirrored_bits[rows]))


def _match(known: _Thumbnails, asked: _Thumbnails, *, itself: bool = False) -> NearDuplicates:
    """The nearest of `known` for each of `asked` where it is a near-duplicate; `itself`: they are the same pictures."""
    count = len(asked.bits[0])
    if not len(known.bits[0]):
        return NearDuplicates(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    nearest, cosines = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.float32)
    bits = np.empty(count, dtype=np.uint64)
    for start in range(0, count, _QUERY_CHUNK):  # 250 x 45,000 cosines at a time: 45 MB
        rows = np.arange(start, min(start + _QUERY_CHUNK, count))
        best = np.full(len(rows), -2, dtype=np.float32)
        for ways, hashes in zip(asked.ways, asked.bits, strict=True):
            likeness = ways[rows] @ known.ways[0].T
            if itself:
                likeness[np.arange(len(rows)), rows] = -2
            place = likeness.argmax(axis=1)
            cosine = np.take_along_axis(likeness, place[:, None], axis=1)[:, 0]
            better = cosine > best
            best = np.where(better, cosine, best)
            nearest[rows[better]], cosines[rows[better]] = place[better], cosine[better]
            bits[rows[better]] = hashes[rows[better]]
    differing = np.bitwise_count(bits ^ known.bits[0][nearest])
    alike = np.flatnonzero((cosines >= _LEAST_COSINE) & (differing <= _MOST_BITS))
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
