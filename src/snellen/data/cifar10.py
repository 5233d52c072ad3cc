"""CIFAR-10 from its official files, each checked before it is believed; and where they are looked for.

60,000 photographs of 32x32 pixels in ten classes, 5,000 a class to learn from and 1,000 to be judged by
(Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html). The files are pickles, and a pickle can run code: one
whose checksum is not the published one is not unpickled, and of the others nothing is imported but what an array
takes. The test file is neither read nor checked until the ledger opens it.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.sealed_images import SealedImages
from snellen.errors import ChecksumMismatch, DataError, DataNotFound, HostileFile
from snellen.paths import cache_folder, user_path

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER = "cifar-10-batches-py"
TRAIN_FILES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
TEST_FILE = "test_batch"
NAMES_FILE = "batches.meta"
FILE_IMAGES = 10_000
PIXEL_BYTES = 3 * 32 * 32

MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
"""As published (also in torchvision and Keras)."""

TEST_FINGERPRINT = "2fd8fec0ddb1f384a5c0096edc26697c6e49786a2656bdcbb60bfec57b137188"
"""`LabeledImages.fingerprint` of the published test pictures."""

_BROKEN = (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError,
           MemoryError, RecursionError)  # fmt: skip


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
    """The first folder that holds CIFAR-10, itself or as a child.

    Raises:
        DataNotFound: none does; names all places tried and the two ways out.
    """
    for _, place in places(explicit):
        for folder in (place, place / FOLDER):
            if (folder / TRAIN_FILES[0]).is_file():
                return folder.resolve()
    tried = ", ".join(f"{place} ({words})" for words, place in places(explicit))
    unset = "" if explicit or os.environ.get("SNELLEN_DATA") else " $SNELLEN_DATA is not set."
    raise DataNotFound(
        f"CIFAR-10 is in none of the places tried: {tried}.{unset} Download it once (163 MiB): "
        f"snellen data download cifar10. Or say where the folder {FOLDER} lies: --data FOLDER"
    )


def read(folder: Path) -> Dataset:
    """CIFAR-10 from the folder `cifar-10-batches-py`: 50,000 images (32, 32, 3) uint8, test sealed.

    Raises:
        DataNotFound: files are missing.
        ChecksumMismatch: a file is not the published one; both sums are named, the file is left alone.
    """
    missing = [name for name in (*TRAIN_FILES, TEST_FILE, NAMES_FILE) if not (folder / name).is_file()]
    if missing:
        raise DataNotFound(
            f"{folder} lacks {', '.join(missing)}. Complete it from cifar-10-python.tar.gz, "
            "or fetch a fresh copy: snellen data download cifar10"
        )
    if _entries(folder / NAMES_FILE).get(b"label_names") != [name.encode() for name in CLASS_NAMES]:
        raise DataError(
            f"{folder / NAMES_FILE} does not list the ten classes of CIFAR-10 in their order. Download it again."
        )
    # Whoever opens it is given the published pictures or none: the checksum is compared then.
    test = SealedImages(
        lambda: _images(folder, (TEST_FILE,)), name="cifar10", count=FILE_IMAGES, identity=TEST_FINGERPRINT
    )
    return Dataset("cifar10", _images(folder, TRAIN_FILES), test, source=str(folder))


def stored_row(folder: Path, image_id: int) -> tuple[str, int, NDArray[np.uint8]]:
    """One training picture as it lies on disk: its file's name, its row there, and the (3072,) uint8 of that row.

    The row is the whole red plane, then green, then blue; nothing is turned round yet.

    Args:
        folder: as for `read`.
        image_id: 0 to 49,999, as in `LabeledImages.ids`.

    Raises:
        DataError: the file cannot be read.
        ChecksumMismatch: it is not the published one.
    """
    number, row = divmod(image_id, FILE_IMAGES)
    return TRAIN_FILES[number], row, _rows(folder / TRAIN_FILES[number])[0][row]


def _images(folder: Path, files: tuple[str, ...]) -> LabeledImages:
    images = np.empty((len(files) * FILE_IMAGES, 32, 32, 3), dtype=np.uint8)
    labels = np.empty(len(images), dtype=np.int64)
    for number, file in enumerate(files):
        here = slice(number * FILE_IMAGES, (number + 1) * FILE_IMAGES)
        pixels, labels[here] = _rows(folder / file)
        images[here] = as_pictures(pixels)
    return LabeledImages(images, labels, CLASS_NAMES, np.arange(len(images), dtype=np.int64), "all", "cifar10")


def as_pictures(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 3072) uint8, the red plane first -> (N, 32, 32, 3), red, green and blue of a pixel side by side."""
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def _rows(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (10000, 3072) uint8, red plane first, and labels (10000,) int64 of one file."""
    entries = _entries(path)
    pixels, labels = entries.get(b"data"), entries.get(b"labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or not isinstance(labels, list):
        raise DataError(f"{path} lacks the entries 'data' and 'labels' of a CIFAR-10 batch.")
    if pixels.shape != (FILE_IMAGES, PIXEL_BYTES) or len(labels) != FILE_IMAGES:
        raise DataError(
            f"{path} holds pixels {pixels.shape} and {len(labels)} labels; "
            f"a CIFAR-10 batch has ({FILE_IMAGES}, {PIXEL_BYTES}) and {FILE_IMAGES}."
        )
    for row, label in enumerate(labels):
        if not isinstance(label, int) or not 0 <= label < len(CLASS_NAMES):
            raise DataError(f"{path}: image {row} has label {label!r}, outside 0..{len(CLASS_NAMES) - 1}.")
    return pixels, np.array(labels, dtype=np.int64)


def _entries(path: Path) -> dict[bytes, Any]:
    """The dict inside a published file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != MD5[path.name]:
        raise ChecksumMismatch(
            f"{path} is not the published file: MD5 {found}, expected {MD5[path.name]}. "
            "The file was left as it is; move it away and fetch a fresh copy: snellen data download cifar10"
        )
    return unpickled(content, name=str(path))


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
