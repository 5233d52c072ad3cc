"""What a loader gives: pictures to learn from, and a sealed test set."""

from __future__ import annotations

from dataclasses import dataclass

from snellen.data.labeled_images import LabeledImages
from snellen.data.sealed_images import SealedImages


@dataclass(frozen=True)
class Dataset:
    """A data set as loaded, before the split.

    Attributes:
        name: what the command line calls it.
        train: all pictures that may be learned from, in the role "all".
        test: the sealed test set, or None where the data has none of its own.
        source: where it came from, for reports: a folder, or the words that describe how it was made.
    """

    name: str
    train: LabeledImages
    test: SealedImages | None
    source: str

    def __post_init__(self) -> None:
        assert self.train.role == "all", "a loader hands out unsplit pictures"
