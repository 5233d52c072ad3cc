"""Pictures that are arrays already: in memory, or in one .npz file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.listing import class_name, label_of
from snellen.data.sealed_images import SealedImages
from snellen.errors import DataError, DataNotFound, checked
from snellen.serialize import read_arrays

ARRAYS_ENDING = ".npz"
IN_MEMORY = "arrays in memory"
"""`Dataset.source` of pictures that lie in no file."""
_KEYS = ("images", "labels", "test_images", "test_labels", "class_names")


@checked
def from_arrays(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    class_names: tuple[str, ...] | None = None,
    name: str = "arrays",
) -> Dataset:
    """A data set from arrays in memory. A run trained on it is asked with it: `run.export("onnx", data=dataset)`.

    Args:
        images: (N, H, W, C) uint8, C is 1 or 3.
        labels: (N,) names or whole numbers; classes are numbered in sorted order.
        test: images and labels of the same kinds, to be sealed, and opened once, through the ledger.
        class_names: names for the sorted labels; by default the labels themselves.
        name: for messages and run folders.

    Raises:
        DataError: shapes, dtypes or counts do not fit together, or a label of the test set is not in `labels`.
    """
    given = _labels(labels, name)
    values, numbers = np.unique(given, return_inverse=True)
    names = tuple(map(str, values)) if class_names is None else tuple(class_name(str(name)) for name in class_names)
    if len(names) != len(values):
        raise DataError(f"{name}: {len(names)} class names for {len(values)} different labels.")
    train = _labeled(images, numbers, names, name)
    if test is None:
        return Dataset(name=name, train=train, test=None, source=IN_MEMORY)
    known = _labels(test[1], f"{name}, test")
    strange = sorted(set(known.tolist()) - set(values.tolist()), key=str)
    if strange:
        raise DataError(f"{name}: '{strange[0]}' is a label of the test set and of no training image.")
    sealed = _labeled(test[0], np.searchsorted(values, known), names, name)
    if sealed.image_shape != train.image_shape:
        raise DataError(f"{name}: test images are {sealed.image_shape}, training images {train.image_shape}.")
    test_part = SealedImages(
        lambda: sealed, name=name, count=len(sealed), identity=sealed.fingerprint, pixels=lambda: sealed.images,
        identities=sealed.identities,
    )  # fmt: skip
    return Dataset(name=name, train=train, test=test_part, source=IN_MEMORY)


def load_arrays(path: Path, name: str | None = None) -> Dataset:
    """The data set in an .npz file: `images` and `labels`, and if there are any `test_images`, `test_labels` and
    `class_names`, each as `from_arrays` takes it.

    Args:
        path: as `numpy.savez` and `numpy.savez_compressed` write it; nothing in it is unpickled.
        name: of the data set; by default the file's.

    Raises:
        DataNotFound: there is no such file.
        DataError: it is no such file, or what is in it does not fit together.
    """
    try:
        with path.open("rb") as file:
            found = read_arrays(file, dict.fromkeys(_KEYS))
    except FileNotFoundError:
        raise DataNotFound(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as an .npz file of arrays ({str(error)[:200]}).") from error
    tests = [key for key in ("test_images", "test_labels") if key in found]
    if "images" not in found or "labels" not in found or len(tests) == 1:
        raise DataError(
            f"{path} holds {', '.join(found) or 'nothing that is read'}; it takes images and labels, and both or "
            "neither of test_images and test_labels: numpy.savez(path, images=…, labels=…)."
        )
    names = found.get("class_names")
    loaded = from_arrays(
        found["images"],
        found["labels"],
        test=(found["test_images"], found["test_labels"]) if tests else None,
        class_names=None if names is None else tuple(map(str, names.ravel())),
        name=name or re.sub(r"[^\w.+-]+", "-", path.stem).strip("-.+")[:60] or "arrays",
    )
    return replace(loaded, source=str(path.resolve()))


def _labels(labels: ArrayLike, name: str) -> NDArray[np.generic]:
    """(N,) whole numbers or texts, one per picture; what a label is, is said in `listing.label_of` for all data."""
    try:
        given = np.asarray(labels)
    except ValueError:
        raise DataError(f"{name}: the labels are lists of different lengths; it takes one label per picture.") from None
    if given.ndim != 1:
        raise DataError(f"{name}: the labels are of shape {given.shape}; it takes one label per picture, (N,).")
    values = given.tolist()
    texts = [label_of(value) for value in values]
    missing = texts.count("")
    if missing:
        raise DataError(
            f"{name}: {missing:,} of {len(texts):,} pictures are without a label, the first one at {texts.index('')}. "
            "Leave them out."
        )
    numbers = all(type(value) in (int, float) and float(value).is_integer() for value in values)
    return np.array([int(value) for value in values], dtype=np.int64) if numbers else np.array(texts)


def _labeled(images: ArrayLike, numbers: NDArray[np.intp], names: tuple[str, ...], name: str) -> LabeledImages:
    ids = np.arange(len(numbers), dtype=np.int64)
    try:
        pixels = np.ascontiguousarray(images)
    except ValueError:
        raise DataError(f"{name}: the images are of different shapes; it takes one array (N, H, W, C).") from None
    return LabeledImages(pixels, numbers.astype(np.int64), names, ids, "all", name)
