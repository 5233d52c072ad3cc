"""The test half of a data set, before anybody has looked.

A test score is evidence only while the test set has not steered a choice. So nobody gets a picture until
the ledger has written down that they are about to be looked at. A seal in Python stops accidents, not intent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages, numbered
from snellen.data.ledger import TestSet
from snellen.errors import DataError, SealError

Copies = TypeVar("Copies")


class SealedImages:
    """Test images that exist as a promise: a name, a count, an identity, and one way in.

    Args:
        load: reads the pictures; called by `open` and by nothing else.
        name: the data set's name.
        count: N, how many pictures there are.
        identity: tells this test set from every other one without opening it: from the hashes of its files, a published
            sum, or the seed it is made from. A run keeps it, and is graded on no other.
        pixels: gives the pixels alone, without labels, where they may be searched for copies of training images.
        files: what to call each picture in such a search; empty: by its number.
        identities: (N,) uint64, which pictures they are, where that is known without opening them.
        note: what the ledger is to say of their labels.
    """

    __slots__ = ("_files", "_load", "_pixels", "count", "identities", "identity", "name", "note")

    def __init__(
        self,
        load: Callable[[], LabeledImages],
        *,
        name: str,
        count: int,
        identity: str,
        pixels: Callable[[], NDArray[np.uint8]] | None = None,
        files: tuple[str, ...] = (),
        identities: NDArray[np.uint64] | None = None,
        note: str = "",
    ) -> None:
        self._load = load
        self._pixels = pixels
        self._files = files
        self.name = name
        self.count = count
        self.identity = identity
        self.identities = np.zeros(0, dtype=np.uint64) if identities is None else identities
        self.note = note

    def open(self, write_intent: Callable[[TestSet], None]) -> LabeledImages:
        """The pictures, in the role "test", once the intent to look at them is on disk.

        Args:
            write_intent: receives the test set's identity and returns after the line is safe on disk. If it raises,
                nobody gets to see the pictures.

        Raises:
            DataError: the loader gave another number of pictures than was promised.
        """
        images = replace(self._load(), role="test", name=self.name)
        if len(images) != self.count:
            raise DataError(f"{self.name}: the test set has {len(images)} images, {self.count} were expected.")
        write_intent(TestSet.of(images))
        return images

    def named(self, name: str) -> SealedImages:
        """The same test set under another name of its data set."""
        return self._with(self._load, name, self.identity, self.note)

    def corrected(self, correct: Callable[[LabeledImages], LabeledImages], note: str) -> SealedImages:
        """The same pictures, some of them with other labels once they are opened; `note` tells the ledger."""
        identity = hashlib.sha256(f"{self.identity} {note}".encode()).hexdigest()
        return self._with(lambda: correct(self._load()), self.name, identity, note)

    def _with(self, load: Callable[[], LabeledImages], name: str, identity: str, note: str) -> SealedImages:
        return SealedImages(
            load,
            name=name,
            count=self.count,
            identity=identity,
            pixels=self._pixels,
            identities=self.identities,
            files=self._files,
            note=note,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """What to call each picture: its file, or "#ID"; whoever may remove a copy has to find it."""
        return self._files or numbered(range(self.count))

    def describe(self) -> dict[str, Any]:
        """What a run keeps of it, JSON-able."""
        return {"count": self.count, "identity": self.identity}

    def search_copies(self, search: Callable[[NDArray[np.uint8]], Copies]) -> Copies | None:
        """What `search` finds among the pixels (N, H, W, C) uint8, or None where they cannot be had unopened.

        For one purpose: to find test pictures that are also in train, before anything is trained. No label is handed
        out, no model answers, and so no choice can be steered; that is why this leaves no line in the ledger.
        """
        return None if self._pixels is None else search(self._pixels())

    def __repr__(self) -> str:
        return "sealed"

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise SealError(
            f"The test images of {self.name} are sealed until the end: train and choose on train and val. "
            "To grade a finished run once, on the record: snellen evaluate RUN --split test"
        )

    # The ways in which arrays and lists are usually looked at, pickled or copied; each says how it is done instead.
    __iter__ = __len__ = __getitem__ = __contains__ = __array__ = __reduce_ex__ = _refuse
