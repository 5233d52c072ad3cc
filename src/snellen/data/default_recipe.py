"""Which recipe data get where none is named, and why: named data sets their own, own pictures one by their size."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import NamedTuple

from snellen.data.arrays import ARRAYS_ENDING, load_arrays
from snellen.data.catalog import NAMES, require_known
from snellen.data.dataset import Dataset
from snellen.data.image_folder import list_pictures
from snellen.data.picture_cache import sources
from snellen.data.pictures import stored_size
from snellen.errors import DataError
from snellen.paths import user_path
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import Recipe

_OF_NAMED = {"cifar10": "sprint", "eyechart": "glance"}
_LOOKED_AT = 64  # pictures, spread over the listing: their headers are read, nothing is decoded
_PHOTOGRAPH = 96  # pixels of the shorter side; measured in results/LOG.md


class Default(NamedTuple):
    """A recipe, and in words why it and no other; empty for data sets known by name."""

    recipe: Recipe
    why: str


def default_recipe(data: str | Dataset) -> Default:
    """The recipe for data that none is named for.

    Args:
        data: as `data.catalog.load` takes or gives it.

    Raises:
        UnknownName: there is no such data set.
        DataError: there are no pictures.
    """
    name = data.name if isinstance(data, Dataset) else data
    if name in NAMES:
        return Default(RECIPES[_OF_NAMED[name]], "")
    if not isinstance(data, Dataset):
        require_known(name)
    if not isinstance(data, Dataset) and Path(data).suffix == ARRAYS_ENDING:
        data = load_arrays(user_path(data))
    if isinstance(data, Dataset):
        height, width, channels = data.train.image_shape
        return _by_side(min(height, width) if channels == 3 else 0, f"pictures of {height}x{width} px")
    sides = _shorter_sides(user_path(data))
    typical = round(median(sides)) if sides else 0
    return _by_side(typical, f"pictures of {typical} px on the shorter side (median of {len(sides)})")


def _by_side(side: int, found: str) -> Default:
    if side >= _PHOTOGRAPH:
        return Default(RECIPES["transfer"], f"{found} are taken for photographs; --recipe folder begins from nothing")
    return Default(RECIPES["folder"], f"{found} are taken for drawings or icons; for photographs --recipe transfer")


def _shorter_sides(path: Path) -> list[int]:
    """Of some pictures, evenly spread, in pixels; what is wrong with the others is said when they are loaded."""
    found = list_pictures(path).found
    sides = []
    for source in sources(found[:: max(1, len(found) // _LOOKED_AT)][:_LOOKED_AT]):
        try:
            sides.append(min(stored_size(source)))
        except DataError:
            continue
    return sides
