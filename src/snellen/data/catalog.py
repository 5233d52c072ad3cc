"""Data sets by name, and a user's own by path or by reference; what there is to know of one.

One of ours is a loader in this room and a line in `_LOADERS`; your own needs neither (`parts`, docs/own.md).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from snellen import parts
from snellen.data import cifar10, mnist
from snellen.data.arrays import ARRAYS_ENDING, load_arrays
from snellen.data.dataset import MADE_BY, Dataset
from snellen.data.download import Progress
from snellen.data.download import download as fetched
from snellen.data.eyechart import make_eyechart
from snellen.data.folder_dataset import ImageOptions, load_folder
from snellen.data.labeled_images import LabeledImages
from snellen.data.picture_cache import Progress as Decoding
from snellen.data.pictures import PictureForm
from snellen.data.pixel_statistics import measure
from snellen.data.published import Published
from snellen.data.shards import SHARD_ENDINGS
from snellen.data.splits import split, split_final
from snellen.data.subset import trial
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
    subset: int | None = None,
) -> Dataset:
    """The data set called `name`, or the pictures at that path.

    Args:
        name: one of `NAMES`, a reference to a data set of somebody's own (`parts`), or the path of a folder, table,
            shards or .npz file; a folder called like a data set is written ./cifar10.
        data: the folder to look in, and in no other; None looks in the usual places.
        download: fetch it where it is nowhere found, into `data` or else into the cache.
        progress: called with (bytes so far, bytes in all or None) during a download.
        options: how a user's own pictures are read; for data sets by name it has no effect, and is an error.
        side: pixels of a user's own pictures, where the options leave them open.
        decoding: called with (pictures so far, pictures in all) while a user's own pictures are decoded.
        subset: take only so many pictures of train and val, for a trial (`subset.trial`).

    Raises:
        UnknownName: there is no such data set.
        DataNotFound: it is in none of the places tried, and `download` is False or did not succeed.
        DataError: the files found are not what they should be.
    """
    named = reference(name)
    if named is not None:
        _require_no_options(options, name)
        return trial(_made(named, data=data, download=download, progress=progress), subset)
    require_known(name)
    if data is not None or download:
        raise InvalidSetting(
            f"--data and --download have no effect on {name}, which is a path already. Leave them out."
        )
    if Path(name).suffix == ARRAYS_ENDING:
        _require_no_options(options, name)
        return trial(_not_ours(load_arrays(user_path(name)), "file"), subset)
    chosen = replace(options or ImageOptions(), subset=subset)
    return _not_ours(load_folder(user_path(name), chosen, decoding, side=side), "folder")


def reference(name: str) -> parts.Reference | None:
    """The data set of ours or of somebody's own that a name means; None where it can only be a path."""
    try:
        found = parts.read(name)
    except InvalidSetting:
        if ".py:" in name:
            raise
        return None
    return found if found.where or found.name in parts.known("data") else None


def named_by_user(name: str) -> str:
    """The same name, once the code that it may name is allowed: to be called with what a user wrote, and only then."""
    return name if reference(name) is None else parts.named_by_user(name)


def _made(named: parts.Reference, **options: Any) -> Dataset:
    """What a data set's function gives; it is handed those of the options that it takes."""
    text = str(named)
    part = _LOADERS[text] if text in _LOADERS else parts.find("data", text)
    taken = inspect.signature(part).parameters
    if options["data"] is not None and "data" not in taken:
        raise InvalidSetting(f"--data {options['data']} has no effect: {text} reads no folder. Leave it out.")
    given = {name: value for name, value in options.items() if name in taken}
    if text in _LOADERS:
        return _LOADERS[text](**given)
    with parts.one_sentence(f"The data set {text} cannot be made"):
        found = part(**given)
    if not isinstance(found, Dataset):
        raise DataError(
            f"{text} gives {type(found).__name__}; it takes what snellen.from_arrays or snellen.load gives."
        )
    own = replace(found.named(named.name), source=text, loading={MADE_BY: text}, corrections={}, fold=None)
    return _not_ours(own, "own")


def _not_ours(dataset: Dataset, what: str) -> Dataset:
    """Never called like one of ours: what is known of those is not said of it."""
    whole = dataset.whole_name
    return dataset.named(dataset.name.replace(whole, f"{whole}-{what}", 1)) if whole in NAMES else dataset


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
    if reference(name) is None and not (user_path(name).exists() or "/" in name or "\\" in name or ending):
        raise unknown_name("data set", name, parts.known("data"), list_with="snellen data list")


def _loader(published: Published, read: Callable[[Path], Dataset]) -> Callable[..., Dataset]:
    """Finds the files of a published data set, or fetches them, and reads them."""

    def load(*, data: Path | None = None, download: bool = False, progress: Progress | None = None) -> Dataset:
        try:
            return read(published.find(data))
        except DataError:
            # Also where a folder is there and incomplete or damaged: fetching is what its message advises.
            if not download:
                raise
        return read(fetched(published, data or cache_folder(), progress=progress))

    return load


_LOADERS: dict[str, Callable[..., Dataset]] = {
    "cifar10": _loader(cifar10.PUBLISHED, lambda folder: cifar10.read(folder)),
    "cifar100": _loader(cifar10.CIFAR100, lambda folder: cifar10.read_cifar100(folder)),
    "eyechart": lambda: make_eyechart(),
    "fashion_mnist": _loader(mnist.FASHION, lambda folder: mnist.read(mnist.FASHION, folder)),
    "mnist": _loader(mnist.MNIST, lambda folder: mnist.read(mnist.MNIST, folder)),
}
for _name, _load in _LOADERS.items():
    parts.register("data", _name)(_load)
NAMES = tuple(_LOADERS)
