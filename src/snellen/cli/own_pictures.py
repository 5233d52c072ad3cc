"""The options that say how a user's own pictures are read: one group, the same for every verb that takes DATA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from snellen.data.dataset import Dataset
    from snellen.data.folder_dataset import ImageOptions
    from snellen.show.progress import Progress


@dataclass(frozen=True)
class OwnPictures:
    """How your own pictures are read; without effect, and refused, for data sets known by name."""

    size: int = 64
    """Pixels of the square that each picture becomes."""
    fit: Literal["crop", "pad", "squash"] = "crop"
    """How a picture becomes square: the middle, with grey bars, or stretched."""
    test_fraction: float = 0.0
    """Where there is no test part: this share of the pictures is sealed as one."""
    strict: bool = False
    """Refuse unreadable files instead of leaving them out."""

    def options(self) -> ImageOptions:
        """The same as the data room says it.

        Raises:
            InvalidSetting: a size or share that cannot be.
        """
        from snellen.data.folder_dataset import ImageOptions

        return ImageOptions(self.size, self.fit, self.test_fraction, self.strict)

    def load(self, name: str, *, data: Path | None, download: bool, progress: Progress) -> Dataset:
        """The data called `name`, their fetching and decoding shown while they last.

        Raises:
            DataError: they are nowhere, or cannot be read.
            InvalidSetting: a size or share that cannot be.
        """
        from snellen.data.catalog import load

        return load(
            name,
            data=data,
            download=download,
            progress=progress.download,
            options=self.options(),
            decoding=progress.decoding,
        )
