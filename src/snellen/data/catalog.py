"""Data sets by name, and a user's own by path; what there is to know of one.

To add one: write its loader in this room and a line in `_LOADERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from snellen.data import cifar10
from snellen.data.arrays import ARRAYS_ENDING, load_arrays
from snellen.data.dataset import Dataset
from snellen.data.download import Progress, download_cifar10
from snellen.data.eyechart import make_eyechart
from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.labeled_images import LabeledImages
from snellen.data.picture_cache import Progress as Decoding
from snellen.data.pictures import PictureForm
from snellen.data.pixel_statistics import measure
from snellen.data.shards import SHARD_ENDINGS
from snellen.data.splits import split, split_final
from snellen.data.tables import TABLE_ENDINGS
from snellen.errors import DataError, InvalidSetting, unknown_name
from snellen.paths import cache_folder, user_path


def load(
    name: str,
    *,
    data: Path | None = None,
    download: bool = False,
    progress: Progress | None = None,
    options: ImageOptions | None = None,
    side: int = PictureForm.side,
    decoding: Decoding | None = None,
) -> Dataset:
    """The data set called `name`, or the pictures at that path.

    Args:
        name: one of `NAMES`, or the path of a folder, table, shards or .npz file; a folder called like one is written
            ./cifar10.
        data: the folder to look in, and in no other; None looks in the usual places.
        download: fetch it where it is nowhere found, into `data` or else into the cache.
        progress: called with (bytes so far, bytes in all or None) during a download.
        options: how a user's own pictures are read; for data sets by name it has no effect, and is an error.
        side: pixels of a user's own pictures, where the options leave them open.
        decoding: called with (pictures so far, pictures in all) while a user's own pictures are decoded.

    Raises:
        UnknownName: there is no such data set.
        DataNotFound: it is in none of the places tried, and `download` is False or did not succeed.
        DataError: the files found are not what they should be.
    """
    if name in _LOADERS:
        _require_no_options(options, name)
        return _LOADERS[name](data, download, progress)
    require_known(name)
    if data is not None or download:
        raise InvalidSetting(
            f"--data and --download have no effect on {name}, which is a path already. Leave them out."
        )
    if Path(name).suffix == ARRAYS_ENDING:
        _require_no_options(options, name)
        return load_arrays(user_path(name))
    return load_folder(user_path(name), options, decoding, side=side)


def _require_no_options(options: ImageOptions | None, name: str) -> None:
    if options is not None and options != ImageOptions():
        raise InvalidSetting(
            f"--size, --fit, --test-fraction and --strict have no effect on {name}; they are for your own pictures."
        )


def describe(dataset: Dataset) -> dict[str, Any]:
    """A data set as plain values, ready for JSON.

    Counts per class are given for train and val; of the sealed test set only the total is known. Mean and std are
    fractions, over all images of train and val together.

    Raises:
        BadSplit: a class is too small to be split.
    """
    parts = split(dataset)
    assert parts.val is not None
    statistics = measure(split_final(dataset).train)
    height, width, channels = dataset.train.image_shape
    return {
        "name": dataset.name,
        "source": dataset.source,
        "found": list(dataset.about),
        "image": {"height": height, "width": width, "channels": channels, "dtype": str(dataset.train.images.dtype)},
        "classes": list(dataset.train.class_names),
        "splits": {
            "train": _counted(parts.train),
            "val": _counted(parts.val),
            "test": None if dataset.test is None else {"images": dataset.test.count, "per_class": "sealed"},
        },
        "mean": list(statistics.mean),
        "std": list(statistics.std),
        "measured_on": {"role": statistics.source, "images": statistics.count},
        "fingerprint": statistics.fingerprint,
    }


def _counted(images: LabeledImages) -> dict[str, Any]:
    per_class = dict(zip(images.class_names, images.counts.tolist(), strict=True))
    return {"images": len(images), "per_class": per_class}


def require_known(name: str) -> None:
    """Raise UnknownName for what is neither a data set's name nor can be a path."""
    ending = Path(name).suffix in (*TABLE_ENDINGS, *SHARD_ENDINGS, ARRAYS_ENDING)
    if name not in NAMES and not (user_path(name).exists() or "/" in name or "\\" in name or ending):
        raise unknown_name("data set", name, NAMES, list_with="snellen data list")


def _load_cifar10(data: Path | None, download: bool, progress: Progress | None) -> Dataset:
    try:
        return cifar10.read(cifar10.find_cifar10(data))
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
