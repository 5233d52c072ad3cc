"""Data sets by name. To add one: write its loader in this room and put a line into `_LOADERS`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from snellen.data import cifar10
from snellen.data.dataset import Dataset
from snellen.data.download import Progress, download_cifar10
from snellen.data.eyechart import make_eyechart
from snellen.data.search import cache_folder, find_cifar10
from snellen.errors import DataError, InvalidSetting, unknown_name


def load(name: str, *, data: Path | None = None, download: bool = False, progress: Progress | None = None) -> Dataset:
    """The data set called `name`.

    Args:
        name: one of `NAMES`.
        data: the folder to look in, and in no other; None looks in the usual places.
        download: fetch it where it is nowhere found, into `data` or else into the cache.
        progress: called with (bytes so far, bytes in all or None) during a download.

    Raises:
        UnknownName: there is no such data set.
        DataNotFound: it is in none of the places tried, and `download` is False or did not succeed.
        DataError: the files found are not what they should be.
    """
    if name in _LOADERS:
        return _LOADERS[name](data, download, progress)
    if Path(name).is_dir():
        raise DataError(
            f"{name} is a folder; class folders are not supported in this version. Known: {', '.join(NAMES)}."
        )
    raise unknown_name("data set", name, NAMES, list_with="snellen data list")


def _load_cifar10(data: Path | None, download: bool, progress: Progress | None) -> Dataset:
    try:
        return cifar10.read(find_cifar10(data))
    except DataError:
        # Also where a folder is there and incomplete or damaged: fetching is what its message advises.
        if not download:
            raise
    return cifar10.read(download_cifar10(data or cache_folder(), progress=progress))


def _make_eyechart(data: Path | None, download: bool, progress: Progress | None) -> Dataset:
    if data is not None:
        raise InvalidSetting(f"--data {data} has no effect: eyechart is made from a seed, not read. Leave it out.")
    return make_eyechart()


_LOADERS: dict[str, Callable[[Path | None, bool, Progress | None], Dataset]] = {
    "cifar10": _load_cifar10,
    "eyechart": _make_eyechart,
}
NAMES = tuple(_LOADERS)
