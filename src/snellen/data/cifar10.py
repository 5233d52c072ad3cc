"""CIFAR-10 from its official files, python or binary version, each checked before it is believed.

60,000 photographs of 32x32 pixels in ten classes, 5,000 a class to learn from and 1,000 to be judged by
(Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html). Both versions hold the same pixels in the same
order, so both give the same `LabeledImages`, bit for bit. The test file is neither read nor checked until the
ledger opens it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.safe_pickle import load_batch_pickle
from snellen.data.sealed_images import SealedImages
from snellen.errors import ChecksumMismatch, DataError, DataNotFound

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILE_IMAGES = 10_000
PIXEL_BYTES = 3 * 32 * 32

PYTHON_TRAIN = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
PYTHON_TEST = "test_batch"
PYTHON_NAMES = "batches.meta"
BINARY_TRAIN = tuple(f"{name}.bin" for name in PYTHON_TRAIN)
BINARY_TEST = "test_batch.bin"
BINARY_NAMES = "batches.meta.txt"

MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
}
"""As published with the python version (also in torchvision and Keras)."""

TRAIN_FINGERPRINT = "1edd552f1f970ebda11e310b2017b52cc7062f46c35f38b833494815fe006a05"
TEST_FINGERPRINT = "2fd8fec0ddb1f384a5c0096edc26697c6e49786a2656bdcbb60bfec57b137188"
"""`LabeledImages.fingerprint` of the official python files. The binary version has no published sum per file."""


def read(folder: Path) -> Dataset:
    """CIFAR-10 from `folder`, whichever of the two versions it holds.

    Raises:
        DataNotFound: files are missing.
        ChecksumMismatch, HostileFile, DataError: a file is not the published one.
    """
    return read_binary_batches(folder) if (folder / BINARY_TRAIN[0]).is_file() else read_python_batches(folder)


def read_python_batches(folder: Path) -> Dataset:
    """CIFAR-10 from the folder `cifar-10-batches-py`: 50,000 images (32, 32, 3) uint8, test sealed.

    Raises:
        DataNotFound: files are missing.
        ChecksumMismatch: a file is not the published one; both sums are named, the file is left alone.
    """
    _require_files(folder, (*PYTHON_TRAIN, PYTHON_TEST, PYTHON_NAMES))
    entries = load_batch_pickle(_checked(folder / PYTHON_NAMES), name=str(folder / PYTHON_NAMES))
    names = entries.get(b"label_names")
    _require_class_names(folder / PYTHON_NAMES, names if isinstance(names, list) else [])
    return _dataset(folder, _python_rows, PYTHON_TRAIN, PYTHON_TEST)


def read_binary_batches(folder: Path) -> Dataset:
    """CIFAR-10 from the folder `cifar-10-batches-bin`: 50,000 images (32, 32, 3) uint8, test sealed.

    Raises:
        DataNotFound: files are missing.
        DataError: a file has the wrong size or a label outside 0..9.
        ChecksumMismatch: the decoded pictures are not those of the published files.
    """
    _require_files(folder, (*BINARY_TRAIN, BINARY_TEST, BINARY_NAMES))
    _require_class_names(folder / BINARY_NAMES, (folder / BINARY_NAMES).read_bytes().split())
    dataset = _dataset(folder, _binary_rows, BINARY_TRAIN, BINARY_TEST, test_fingerprint=TEST_FINGERPRINT)
    _require_fingerprint(folder, dataset.train, TRAIN_FINGERPRINT)
    return dataset


def stored_row(folder: Path, image_id: int) -> tuple[str, int, NDArray[np.uint8]]:
    """One training picture as it lies on disk: its file's name, its row there, and the (3072,) uint8 of that row.

    The row is the whole red plane, then green, then blue; nothing is turned round yet.

    Args:
        folder: of either version.
        image_id: 0 to 49,999, as in `LabeledImages.ids`.

    Raises:
        DataError: the file cannot be read.
        ChecksumMismatch: it is not the published one.
    """
    number, row = divmod(image_id, FILE_IMAGES)
    binary = (folder / BINARY_TRAIN[0]).is_file()
    file, read_rows = (BINARY_TRAIN[number], _binary_rows) if binary else (PYTHON_TRAIN[number], _python_rows)
    return file, row, read_rows(folder / file)[0][row]


_Rows = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Pixels (n, 3072) uint8, red plane first, and labels (n,) int64."""


def _dataset(
    folder: Path,
    read_rows: Callable[[Path], _Rows],
    train_files: tuple[str, ...],
    test_file: str,
    *,
    test_fingerprint: str | None = None,
) -> Dataset:
    def load_test() -> LabeledImages:
        images = _read_images(folder, read_rows, (test_file,))
        if test_fingerprint is not None:
            _require_fingerprint(folder, images, test_fingerprint)
        return images

    train = _read_images(folder, read_rows, train_files)
    # Whoever opens it is given the published pictures or none: `load_test` checks the file.
    test = SealedImages(load_test, name="cifar10", count=FILE_IMAGES, identity=TEST_FINGERPRINT)
    return Dataset("cifar10", train, test, source=str(folder))


def _read_images(folder: Path, read_rows: Callable[[Path], _Rows], files: tuple[str, ...]) -> LabeledImages:
    images = np.empty((len(files) * FILE_IMAGES, 32, 32, 3), dtype=np.uint8)
    labels = np.empty(len(images), dtype=np.int64)
    for number, file in enumerate(files):
        here = slice(number * FILE_IMAGES, (number + 1) * FILE_IMAGES)
        pixels, labels[here] = read_rows(folder / file)
        images[here] = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return LabeledImages(images, labels, CLASS_NAMES, np.arange(len(images), dtype=np.int64), "all", "cifar10")


def _python_rows(path: Path) -> _Rows:
    entries = load_batch_pickle(_checked(path), name=str(path))
    pixels, labels = entries.get(b"data"), entries.get(b"labels")
    if not isinstance(pixels, np.ndarray) or not isinstance(labels, list):
        raise DataError(f"{path} lacks the entries 'data' and 'labels' of a CIFAR-10 batch.")
    if pixels.shape != (FILE_IMAGES, PIXEL_BYTES) or len(labels) != FILE_IMAGES:
        raise DataError(
            f"{path} holds pixels {pixels.shape} and {len(labels)} labels; "
            f"a CIFAR-10 batch has ({FILE_IMAGES}, {PIXEL_BYTES}) and {FILE_IMAGES}."
        )
    _require_labels(path, labels)
    return pixels, np.array(labels, dtype=np.int64)


def _binary_rows(path: Path) -> _Rows:
    content = _read_bytes(path)
    expected = FILE_IMAGES * (1 + PIXEL_BYTES)
    if len(content) != expected:
        raise DataError(f"{path} has {len(content)} bytes; a CIFAR-10 batch has {expected}. Download it again.")
    rows = np.frombuffer(content, dtype=np.uint8).reshape(FILE_IMAGES, 1 + PIXEL_BYTES)
    _require_labels(path, rows[:, 0].tolist())
    return rows[:, 1:], rows[:, 0].astype(np.int64)


def _require_files(folder: Path, names: tuple[str, ...]) -> None:
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataNotFound(
            f"{folder} lacks {', '.join(missing)}. Complete it from cifar-10-python.tar.gz, "
            "or fetch a fresh copy: snellen data download cifar10"
        )


def _require_class_names(path: Path, names: list[bytes]) -> None:
    if names != [name.encode() for name in CLASS_NAMES]:
        raise DataError(f"{path} does not list the ten classes of CIFAR-10 in their order. Download it again.")


def _require_labels(path: Path, labels: list[int]) -> None:
    for row, label in enumerate(labels):
        if not isinstance(label, int) or not 0 <= label < len(CLASS_NAMES):
            raise DataError(f"{path}: image {row} has label {label!r}, outside 0..{len(CLASS_NAMES) - 1}.")


def _require_fingerprint(folder: Path, images: LabeledImages, expected: str) -> None:
    if images.fingerprint != expected:
        raise ChecksumMismatch(
            f"The pictures in {folder} are not those of CIFAR-10: fingerprint {images.fingerprint}, "
            f"expected {expected}. The files were left as they are; download a fresh copy."
        )


def _checked(path: Path) -> bytes:
    content = _read_bytes(path)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != MD5[path.name]:
        raise ChecksumMismatch(
            f"{path} is not the published file: MD5 {found}, expected {MD5[path.name]}. "
            "The file was left as it is; move it away and fetch a fresh copy: snellen data download cifar10"
        )
    return content


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
