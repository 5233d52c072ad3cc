"""What a loader gives: pictures to learn from, and a sealed test set."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages
from snellen.data.sealed_images import SealedImages

MADE_BY = "made_by"
"""The entry of `Dataset.loading` that holds the reference (`parts`) to the function that makes a data set."""


@dataclass(frozen=True)
class Dataset:
    """A data set as loaded, before the split.

    Attributes:
        name: what the command line calls it.
        train: all pictures that may be learned from, in the role "all".
        test: the sealed test set, or None where the data has none of its own.
        source: where it came from, for reports: a folder, or the words that describe how it was made.
        in_val: (N,) bool, the pictures of `train` that are val; None leaves the choice to `splits.split`.
        loading: how the pictures were read, as `run.json` keeps it to read them so again; empty for data that can be
            read in one way only.
        corrections: what changed labels after they were read, as `run.json` keeps it to do it again; empty for nothing.
        fold: (number, count) where val is one of several folds, counted from 0; None where it is not.
        subset: how many pictures of train and val these are, where they are not all (`subset.trial`).
        about: sentences for people: what was found, what was left out and why.
    """

    name: str
    train: LabeledImages
    test: SealedImages | None
    source: str
    in_val: NDArray[np.bool_] | None = None
    loading: dict[str, Any] = field(default_factory=dict)
    corrections: dict[str, Any] = field(default_factory=dict)
    fold: tuple[int, int] | None = None
    subset: int | None = None
    about: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.train.role == "all", "a loader hands out unsplit pictures"
        assert self.in_val is None or len(self.in_val) == len(self.train)

    @property
    def read_as(self) -> dict[str, Any]:
        """What `run.json` keeps of where the data came from, and `run_images.load_as_before` takes."""
        chosen: dict[str, Any] = {"loading": self.loading, "corrections": self.corrections}
        chosen |= {"fold": list(self.fold or ()), "subset": self.subset}
        return {"name": self.name, "source": self.source, **{key: value for key, value in chosen.items() if value}}

    @property
    def whole_name(self) -> str:
        """The name without the number of a subset."""
        return self.name.removesuffix(f"-{self.subset}")

    def named(self, name: str) -> Dataset:
        """The same data set under another name."""
        if name == self.name:
            return self
        test = None if self.test is None else self.test.named(name)
        return replace(self, name=name, train=self.train.named(name), test=test)
