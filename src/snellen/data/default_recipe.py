"""Which recipe data get where none is named, and why: named data sets their own, own pictures one by their size."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import NamedTuple

from snellen.data.arrays import ARRAYS_ENDING, load_arrays
from snellen.data.catalog import NAMES, load, reference, require_known
from snellen.data.dataset import Dataset
from snellen.data.image_folder import list_pictures
from snellen.data.picture_cache import sources
from snellen.data.pictures import read_header
from snellen.errors import DataError
from snellen.paths import user_path
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import Recipe

_OF_NAMED = {
    "cifar10": "sprint",
    "cifar100": "sprint",
    "eyechart": "glance",
    "fashion_mnist": "fashion",
    "mnist": "glance",
}
_LOOKED_AT = 64  # pictures, spread over the listing: their headers are read, nothing is decoded
_SMALLEST = 96  # pixels; below it a network for photographs sees next to nothing
_TINY = 64  # pixels of the shorter side; below it a network may be made for just this size
_FEW = 5_000  # tiny pictures; of more a network of its own learns what it needs, in less time


class Default(NamedTuple):
    """A recipe, and in words why it and no other; empty for data sets known by name."""

    recipe: Recipe
    why: str


def default_recipe(data: str | Dataset, *, size: int | None = None) -> Default:
    """The recipe for data that none is named for; what it rests on was measured (results/LOG.md).

    Args:
        data: as `data.catalog.load` takes or gives it.
        size: pixels of the squares that are asked for, if any are.

    Raises:
        UnknownName: there is no such data set.
        DataError: there are no pictures.
    """
    name = data.whole_name if isinstance(data, Dataset) else data
    if name in NAMES:
        return Default(RECIPES[_OF_NAMED[name]], "")
    if not isinstance(data, Dataset):
        require_known(name)
        if reference(name) is not None:
            data = load(name)  # somebody's own: its function alone knows the size
        elif Path(name).suffix == ARRAYS_ENDING:
            data = load_arrays(user_path(name))
        else:
            return _by_headers(user_path(name)) if size is None else _by_size(size, in_colour=True)
    height, width, channels = data.train.image_shape
    return _by_size(min(height, width), in_colour=channels == 3)


def _by_size(side: int, *, in_colour: bool) -> Default:
    """Where the size is settled already."""
    if side >= _SMALLEST and in_colour:
        return Default(RECIPES["transfer"], f"{side} px a side, taken for photographs; else --recipe folder")
    why = f"{side} px a side" + ("" if in_colour else ", grey")
    return Default(RECIPES["folder"], f"{why}; --recipe transfer wants colour and at least {_SMALLEST} px")


def _by_headers(path: Path) -> Default:
    found = list_pictures(path).found
    headers = []
    for source in sources(found[:: max(1, len(found) // _LOOKED_AT)][:_LOOKED_AT]):
        with suppress(DataError):  # what is wrong with a file is said when all are loaded
            headers.append(read_header(source))
    side = round(median(min(each.width, each.height) for each in headers)) if headers else 0
    grey = sum(each.grey for each in headers) > len(headers) / 2
    return _chosen(side, grey, len(found), f" (median of {len(headers)})")


def _chosen(side: int, grey: bool, count: int, how: str) -> Default:
    if side >= _TINY or (not grey and count <= _FEW):
        why = f"{side} px on the shorter side{how}, taken for photographs; for letters and drawings --recipe folder"
        return Default(RECIPES["transfer"], why)
    many = "grey" if grey else f"{count:,} in all"
    return Default(RECIPES["folder"], f"only {side} px on the shorter side{how}, and {many}; else --recipe transfer")
