"""The official files: what is read, what is checked first, and that the test file waits for the ledger."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snellen.data import cifar10
from snellen.data.dataset import Dataset
from snellen.data.ledger import TestSet
from snellen.errors import ChecksumMismatch, DataError, DataNotFound, HostileFile

IMAGES = 20
Batches = dict[str, dict[str, Any]]


@pytest.fixture
def batches(rng: np.random.Generator) -> Batches:
    """Six small batches in the layout of the python version."""
    return {
        name: {
            "data": rng.integers(0, 256, (IMAGES, 3072), dtype=np.uint8),
            "labels": rng.integers(0, 10, IMAGES).tolist(),
        }
        for name in (*cifar10.PYTHON_TRAIN, cifar10.PYTHON_TEST)
    }


@pytest.fixture
def write_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Batches], Path]:
    """Writes batches as the python version and makes their sums the published ones."""

    def write(batches: Batches) -> Path:
        folder = tmp_path / "cifar-10-batches-py"
        folder.mkdir()
        names = {"label_names": [name.encode() for name in cifar10.CLASS_NAMES]}
        for name, entries in {**batches, "batches.meta": names}.items():
            (folder / name).write_bytes(pickle.dumps(entries, protocol=2))
        sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        monkeypatch.setattr(cifar10, "MD5", sums)
        monkeypatch.setattr(cifar10, "FILE_IMAGES", IMAGES)
        return folder

    return write


@pytest.fixture
def write_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Batches], Path]:
    def write(batches: Batches) -> Path:
        folder = tmp_path / "cifar-10-batches-bin"
        folder.mkdir()
        (folder / "batches.meta.txt").write_text("\n".join(cifar10.CLASS_NAMES) + "\n\n")
        for name, entries in batches.items():
            rows = np.concatenate([np.array(entries["labels"], dtype=np.uint8)[:, None], entries["data"]], axis=1)
            (folder / f"{name}.bin").write_bytes(rows.tobytes())
        monkeypatch.setattr(cifar10, "FILE_IMAGES", IMAGES)
        return folder

    return write


def ignore(test_set: TestSet) -> None:
    """A ledger that is content with anything."""


def test_pixels_come_out_as_rows_of_red_green_blue(batches: Batches, write_python: Callable[[Batches], Path]) -> None:
    train = cifar10.read(write_python(batches)).train
    assert (train.images.shape, train.role, train.name) == ((5 * IMAGES, 32, 32, 3), "all", "cifar10")
    assert train.images.flags.c_contiguous
    planes = batches["data_batch_2"]["data"][7].reshape(3, 32, 32)
    image = train.images[IMAGES + 7]
    assert image[5, 9].tolist() == [planes[0, 5, 9], planes[1, 5, 9], planes[2, 5, 9]]
    assert train.labels[IMAGES : 2 * IMAGES].tolist() == batches["data_batch_2"]["labels"]


def test_the_binary_version_gives_the_same_pictures(
    batches: Batches,
    write_python: Callable[[Batches], Path],
    write_binary: Callable[[Batches], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    python = cifar10.read(write_python(batches))
    monkeypatch.setattr(cifar10, "TRAIN_FINGERPRINT", python.train.fingerprint)
    binary = cifar10.read(write_binary(batches))
    np.testing.assert_array_equal(binary.train.images, python.train.images)
    np.testing.assert_array_equal(binary.train.labels, python.train.labels)


def test_other_pictures_in_the_binary_layout_are_refused_with_both_fingerprints(
    batches: Batches, write_binary: Callable[[Batches], Path]
) -> None:
    with pytest.raises(ChecksumMismatch, match=f"fingerprint [0-9a-f]{{64}}, expected {cifar10.TRAIN_FINGERPRINT}"):
        cifar10.read(write_binary(batches))


def test_the_binary_test_file_is_checked_when_it_is_opened(
    batches: Batches, write_binary: Callable[[Batches], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar10, "_require_fingerprint", lambda folder, images, expected: None)
    dataset = cifar10.read(write_binary(batches))
    monkeypatch.undo()
    monkeypatch.setattr(cifar10, "FILE_IMAGES", IMAGES)
    assert dataset.test is not None
    with pytest.raises(ChecksumMismatch, match=cifar10.TEST_FINGERPRINT):
        dataset.test.open(ignore)


@pytest.mark.parametrize("victim", [*cifar10.PYTHON_TRAIN, "batches.meta"])
def test_one_changed_byte_prints_both_sums_and_leaves_the_file(
    victim: str, batches: Batches, write_python: Callable[[Batches], Path]
) -> None:
    path = write_python(batches) / victim
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = hashlib.md5(content).hexdigest()
    with pytest.raises(ChecksumMismatch, match=f"{victim}.*{found}.*expected {cifar10.MD5[victim]}"):
        cifar10.read(path.parent)
    assert path.read_bytes() == content


def test_the_test_file_is_read_only_when_it_is_opened(
    batches: Batches, write_python: Callable[[Batches], Path]
) -> None:
    folder = write_python(batches)
    test_file = folder / "test_batch"
    whole = test_file.read_bytes()
    test_file.write_bytes(b"not a batch at all")
    dataset = cifar10.read(folder)
    assert dataset.test is not None
    with pytest.raises(ChecksumMismatch, match="test_batch"):
        dataset.test.open(ignore)
    test_file.write_bytes(whole)
    opened = dataset.test.open(ignore)
    assert (len(opened), opened.role) == (IMAGES, "test")
    assert opened.labels.tolist() == batches["test_batch"]["labels"]


def test_missing_files_are_named(batches: Batches, write_python: Callable[[Batches], Path]) -> None:
    folder = write_python(batches)
    (folder / "data_batch_3").unlink()
    (folder / "test_batch").unlink()
    with pytest.raises(DataNotFound, match="lacks data_batch_3, test_batch"):
        cifar10.read(folder)


@pytest.mark.parametrize("label", [10, -1, "cat", None])
def test_a_label_out_of_range_is_named_with_its_place(
    label: Any, batches: Batches, write_python: Callable[[Batches], Path]
) -> None:
    batches["data_batch_4"]["labels"][11] = label
    with pytest.raises(DataError, match=rf"data_batch_4: image 11 has label {label!r}, outside 0\.\.9"):
        cifar10.read(write_python(batches))


def test_a_binary_label_out_of_range_is_named_with_its_place(
    batches: Batches, write_binary: Callable[[Batches], Path]
) -> None:
    batches["data_batch_1"]["labels"][3] = 200
    with pytest.raises(DataError, match=r"data_batch_1\.bin: image 3 has label 200"):
        cifar10.read(write_binary(batches))


def test_a_binary_file_of_the_wrong_size_is_refused(batches: Batches, write_binary: Callable[[Batches], Path]) -> None:
    path = write_binary(batches) / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"{IMAGES * 3073 - 1} bytes; a CIFAR-10 batch has {IMAGES * 3073}"):
        cifar10.read(path.parent)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"data": np.zeros((IMAGES, 3071), dtype=np.uint8)}, "3071"),
        ({"data": np.zeros((IMAGES - 1, 3072), dtype=np.uint8)}, "19"),
        ({"data": b"pixels"}, "lacks the entries"),
        ({"labels": [0] * (IMAGES + 1)}, "21 labels"),
        ({"labels": b"0"}, "lacks the entries"),
    ],
)
def test_batches_of_another_shape_are_refused(
    change: dict[str, Any], why: str, batches: Batches, write_python: Callable[[Batches], Path]
) -> None:
    batches["data_batch_1"].update(change)
    with pytest.raises(DataError, match=why):
        cifar10.read(write_python(batches))


def test_classes_in_another_order_are_refused(batches: Batches, write_binary: Callable[[Batches], Path]) -> None:
    folder = write_binary(batches)
    (folder / "batches.meta.txt").write_text("\n".join(reversed(cifar10.CLASS_NAMES)))
    with pytest.raises(DataError, match="ten classes"):
        cifar10.read(folder)


def test_a_hostile_batch_with_a_matching_sum_is_still_not_run(
    batches: Batches, write_python: Callable[[Batches], Path], tmp_path: Path
) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "canary",)

    batches["data_batch_1"]["data"] = Hostile()
    with pytest.raises(HostileFile, match="data_batch_1"):
        cifar10.read(write_python(batches))
    assert not (tmp_path / "canary").exists()


@pytest.mark.cifar10
def test_the_official_python_files_are_read_whole(real_cifar10: Dataset) -> None:
    dataset = real_cifar10
    assert dataset.train.images.shape == (50_000, 32, 32, 3)
    assert dataset.train.counts.tolist() == [5_000] * 10
    assert dataset.train.fingerprint == cifar10.TRAIN_FINGERPRINT
    seen: list[TestSet] = []
    assert dataset.test is not None
    assert dataset.test.open(seen.append).counts.tolist() == [1_000] * 10
    assert seen[0].fingerprint == cifar10.TEST_FINGERPRINT
