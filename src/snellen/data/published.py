"""Data sets of published files: where those are looked for, what they must be, and where they come from."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from snellen.errors import ChecksumMismatch, DataError, DataNotFound
from snellen.paths import cache_folder, user_path

PACKED = ".gz"
_LARGEST = 256 * 2**20  # bytes of one file; the largest has 155 million


@dataclass(frozen=True)
class Published:
    """The official files of one data set.

    Attributes:
        name: what the command line calls it.
        title: what people call it.
        folder: the folder that holds the files.
        md5: of the content of each file, by its name; a file may lie packed, as NAME.gz.
        fetched: MD5 of each file that a download brings, by its name: one archive, or the files themselves, packed.
        mirrors: addresses of folders that hold what is fetched, tried in this order.
        mebibytes: how much that is.
        beside: members of the archive that are not needed, and not kept.
    """

    name: str
    title: str
    folder: str
    md5: Mapping[str, str]
    fetched: Mapping[str, str]
    mirrors: tuple[str, ...]
    mebibytes: int
    beside: tuple[str, ...] = ()

    def find(self, explicit: Path | None = None) -> Path:
        """The first folder that holds the data set, itself or as a child.

        Raises:
            DataNotFound: none does; names all places tried and the two ways out.
        """
        for _, place in places(explicit):
            for folder in (place / self.folder, place):
                if self._file(folder, next(iter(self.md5))).is_file():
                    return folder.resolve()
        tried = ", ".join(f"{place} ({words})" for words, place in places(explicit))
        unset = "" if explicit or os.environ.get("SNELLEN_DATA") else " $SNELLEN_DATA is not set."
        raise DataNotFound(
            f"{self.title} is in none of the places tried: {tried}.{unset} Download it once ({self.mebibytes} MiB): "
            f"snellen data download {self.name}. Or say where the folder {self.folder} lies: --data FOLDER"
        )

    def require_complete(self, folder: Path) -> None:
        """Raise DataNotFound where a file is missing; nothing is read."""
        missing = [name for name in self.md5 if not self._file(folder, name).is_file()]
        if missing:
            raise DataNotFound(
                f"{folder} lacks {', '.join(missing)}. Complete it from {', '.join(self.fetched)}, or fetch a fresh "
                f"copy: snellen data download {self.name}"
            )

    def content(self, folder: Path, name: str) -> bytes:
        """What is in a file, unpacked, once its sum has been compared.

        Raises:
            DataError: it cannot be read, or unfolds to more than any of these files.
            ChecksumMismatch: it is not the published one; both sums are named, the file is left alone.
        """
        path = self._file(folder, name)
        afresh = f"It was left as it is; move it away and fetch a fresh copy: snellen data download {self.name}"
        try:
            with gzip.open(path) if path.suffix == PACKED else path.open("rb") as file:
                content = file.read(_LARGEST)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ChecksumMismatch(f"{path} is damaged ({error}). {afresh}") from error
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}.") from error
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found != self.md5[name]:
            raise ChecksumMismatch(
                f"{path} is not the published file: MD5 {found}, expected {self.md5[name]}. {afresh}"
            )
        return content

    @staticmethod
    def _file(folder: Path, name: str) -> Path:
        plain, packed = folder / name, folder / f"{name}{PACKED}"
        return packed if packed.is_file() and not plain.is_file() else plain


def places(explicit: Path | None = None) -> list[tuple[str, Path]]:
    """Places to look in, best first, each with the words that name it.

    A place named with --data is the only one: to fall back to another would make the option silently ineffective.
    """
    if explicit is not None:
        return [("--data", user_path(explicit))]
    from_environment = os.environ.get("SNELLEN_DATA")
    named = [("$SNELLEN_DATA", user_path(from_environment))] if from_environment else []
    return [*named, ("./data", Path("data")), ("the cache", cache_folder())]
