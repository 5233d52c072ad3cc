"""The first noun: pictures with their labels, as bytes, with the role they may play.

The role is what keeps grading honest. Statistics are measured on `train` (or on `train+val` when a final
model is fitted without selection), choices are made on `val`, and `test` images come only out of a
`SealedImages`, through the ledger. An operation that a role does not allow is an error, not a warning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snellen.errors import DataError

Role = Literal["all", "train", "val", "train+val", "test", "new"]
"""`all`: as loaded, before the split. `new`: pictures of a user's, to be predicted, with no labels to trust."""


@dataclass(frozen=True, eq=False, repr=False)
class LabeledImages:
    """N pictures of one size with one label each.

    Attributes:
        images: (N, H, W, C) uint8, C is 1 or 3; kept as bytes until they are on the device.
        labels: (N,) int64 in [0, K).
        class_names: the K names, in label order.
        ids: (N,) int64, each picture's position in the file it came from; survives every split.
        role: what these pictures may be used for.
        name: the data set's name, for messages and reports.
        source_hashes: (N,) uint64 of the files the pictures were decoded from; None where the pixels are the source.
        files: what each id stands for, below the data's folder: a file, or the row of a shard; empty where nothing is.

    Raises:
        DataError: shapes, dtypes, counts or label range do not fit together.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    ids: NDArray[np.int64]
    role: Role
    name: str
    source_hashes: NDArray[np.uint64] | None = None
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images, labels, count = self.images, self.labels, len(self.labels)
        if images.dtype != np.uint8 or images.ndim != 4:
            mend = " Grey? images[..., None] has a channel." if images.ndim == 3 else ""
            mend += " From 0 to 1? (images * 255).round().astype('uint8')." if images.dtype.kind == "f" else ""
            raise DataError(f"{self.name}: images must be (N, H, W, C) uint8, got {images.shape} {images.dtype}.{mend}")
        if images.shape[3] not in (1, 3):
            mend = " Transparency? Leave it out: images[..., :3]." if images.shape[3] == 4 else ""
            if images.shape[1] in (1, 3):
                mend = " Channels first? Move them last with images.transpose(0, 2, 3, 1)."
            raise DataError(f"{self.name}: the last axis must hold 1 or 3 channels, got shape {images.shape}.{mend}")
        if images.shape[1] in (1, 3) and images.shape[2] != images.shape[1]:
            raise DataError(f"{self.name}: {images.shape} can be read as channels first or last; pass (N, H, W, C).")
        if len(set(self.class_names)) < len(self.class_names):
            twice = next(name for name in self.class_names if self.class_names.count(name) > 1)
            raise DataError(f"{self.name}: two classes are called '{twice}'; each needs a name of its own.")
        if len(images) != count or len(self.ids) != count:
            raise DataError(f"{self.name}: {len(images)} images, {count} labels and {len(self.ids)} ids do not match")
        if count and not (labels.min() >= 0 and labels.max() < len(self.class_names)):
            wrong = int(np.flatnonzero((labels < 0) | (labels >= len(self.class_names)))[0])
            raise DataError(
                f"{self.name}: image {wrong} has label {labels[wrong]}, outside 0..{len(self.class_names) - 1}"
            )

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} {self.role} images {self.image_shape}, {self.num_classes} classes>"

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """K, the number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) in pixels."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What to call each of the N pictures: its file, or "#ID" where it is in none."""
        numbers = self.ids.tolist()
        return tuple(self.files[number] for number in numbers) if self.files else numbered(numbers)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(K,) int64: images per class."""
        return np.bincount(self.labels, minlength=self.num_classes).astype(np.int64)

    @property
    def balanced_weights(self) -> NDArray[np.float64]:
        """(K,) float64: N / (K * images of the class), loss weights that give each class the same say; 0 for none."""
        counts = self.counts
        return np.where(counts > 0, counts.sum() / (len(counts) * np.maximum(counts, 1)), 0.0)

    @cached_property
    def content_hashes(self) -> NDArray[np.uint64]:
        """(N,) uint64: BLAKE2b of each picture's pixels. Equal pictures have equal hashes."""
        return hash_pixels(self.images)

    @property
    def identities(self) -> NDArray[np.uint64]:
        """(N,) uint64: which pictures these are, at whatever size they were decoded."""
        return self.content_hashes if self.source_hashes is None else self.source_hashes

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the sorted (content hash, label) pairs: the same pictures in any order give the same one."""
        pairs = np.stack([self.content_hashes, self.labels.astype(np.uint64)], axis=1)
        ordered = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        shape = f"{self.image_shape}|{'|'.join(self.class_names)}|"
        return hashlib.sha256(shape.encode() + ordered.astype(">u8").tobytes()).hexdigest()

    def take(self, index: NDArray[np.int64], role: Role) -> LabeledImages:
        """The pictures at `index` (positions, not ids), in that order, in a new role.

        A run of neighbours is a view, not a copy: images that are mapped from a file stay there.
        """
        at = _as_run(index)
        hashes = None if self.source_hashes is None else self.source_hashes[at]
        taken = replace(
            self, images=self.images[at], labels=self.labels[at], ids=self.ids[at], role=role, source_hashes=hashes
        )
        if "content_hashes" in self.__dict__:  # already paid for: the pictures are the same ones
            taken.__dict__["content_hashes"] = self.content_hashes[at]
        return taken

    def evenly(self, count: int) -> NDArray[np.int64]:
        """Positions (M,) int64 of `count` pictures, or of all that there are, evenly spread."""
        return np.linspace(0, len(self) - 1, min(count, len(self)), dtype=np.int64)

    def named(self, name: str) -> LabeledImages:
        """The same pictures under another name of their data set."""
        renamed = replace(self, name=name)
        if "content_hashes" in self.__dict__:
            renamed.__dict__["content_hashes"] = self.content_hashes
        return renamed


def numbered(ids: Iterable[int]) -> tuple[str, ...]:
    """What pictures without a file are called: ("#0", "#1", …)."""
    return tuple(f"#{number}" for number in ids)


def hash_pixels(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """(N,) uint64: BLAKE2b of each picture of (N, H, W, C)."""
    digests = b"".join(hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def _as_run(index: NDArray[np.int64]) -> NDArray[np.int64] | slice:
    """`index` as a slice where it counts up by one."""
    if len(index) > 1 and index[-1] - index[0] == len(index) - 1 and bool((np.diff(index) == 1).all()):
        return slice(int(index[0]), int(index[-1]) + 1)
    return index
