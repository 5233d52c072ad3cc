"""Where a data set is looked for, in which order, and what is said when it is nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from snellen.errors import DataNotFound
from snellen.paths import cache_folder, user_path

CIFAR10_FOLDERS = {"cifar-10-batches-py": "data_batch_1", "cifar-10-batches-bin": "data_batch_1.bin"}
"""The two official folders, each with the file by which it is known."""


def places(explicit: Path | None = None) -> list[tuple[str, Path]]:
    """Places to look in, best first, each with the words that name it.

    A place named with --data is the only one: to fall back to another would make the option silently ineffective.
    """
    if explicit is not None:
        return [("--data", user_path(explicit))]
    from_environment = os.environ.get("SNELLEN_DATA")
    named = [("$SNELLEN_DATA", user_path(from_environment))] if from_environment else []
    return [*named, ("./data", Path("data")), ("the cache", cache_folder())]


def find_cifar10(explicit: Path | None = None) -> Path:
    """The first folder that holds CIFAR-10, itself or as a child, in either official version.

    Raises:
        DataNotFound: none does; names all places tried and the two ways out.
    """
    for _, place in places(explicit):
        for folder, landmark in _candidates(place):
            if (folder / landmark).is_file():
                return folder.resolve()
    tried = ", ".join(f"{place} ({words})" for words, place in places(explicit))
    unset = "" if explicit or os.environ.get("SNELLEN_DATA") else " $SNELLEN_DATA is not set."
    raise DataNotFound(
        f"CIFAR-10 is in none of the places tried: {tried}.{unset} Download it once (163 MiB): "
        "snellen data download cifar10. Or say where the folder cifar-10-batches-py lies: --data FOLDER"
    )


def _candidates(place: Path) -> Iterator[tuple[Path, str]]:
    for name, landmark in CIFAR10_FOLDERS.items():
        yield place, landmark
        yield place / name, landmark
