"""The official files: what is read, what is checked first, and that the test file waits for the ledger."""

from __future__ import annotations

import builtins
import hashlib
import os
import pickle
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snellen.data import cifar10
from snellen.data.dataset import Dataset
from snellen.data.ledger import TestSet
from snellen.errors import ChecksumMismatch, DataError, DataNotFound, HostileFile
from snellen.paths import cache_folder

IMAGES = 20
Batches = dict[str, dict[str, Any]]
WHOLE = pickle.dumps({"data": np.zeros((2, 12), dtype=np.uint8), "labels": [3, 300]}, protocol=2)
TRAIN_FINGERPRINT = "1edd552f1f970ebda11e310b2017b52cc7062f46c35f38b833494815fe006a05"


@pytest.fixture
def batches(rng: np.random.Generator) -> Batches:
    """Six small batches in the layout of the published files."""
    return {
        name: {
            "data": rng.integers(0, 256, (IMAGES, 3072), dtype=np.uint8),
            "labels": rng.integers(0, 10, IMAGES).tolist(),
        }
        for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE)
    }


@pytest.fixture
def write_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Batches], Path]:
    """Writes batches and makes their sums the published ones."""

    def write(batches: Batches) -> Path:
        folder = tmp_path / "cifar-10-batches-py"
        folder.mkdir()
        names = {"label_names": [name.encode() for name in cifar10.CLASS_NAMES]}
        for name, entries in {**batches, "batches.meta": names}.items():
            (folder / name).write_bytes(pickle.dumps(entries, protocol=2))
        sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in cifar10.PUBLISHED.md5}
        monkeypatch.setattr(cifar10, "PUBLISHED", replace(cifar10.PUBLISHED, md5=sums))
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


@pytest.mark.parametrize("victim", [*cifar10.TRAIN_FILES, "batches.meta"])
def test_one_changed_byte_prints_both_sums_and_leaves_the_file(
    victim: str, batches: Batches, write_python: Callable[[Batches], Path]
) -> None:
    path = write_python(batches) / victim
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = hashlib.md5(content).hexdigest()
    with pytest.raises(ChecksumMismatch, match=f"{victim}.*{found}.*expected {cifar10.PUBLISHED.md5[victim]}"):
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


def test_classes_in_another_order_are_refused(
    batches: Batches, write_python: Callable[[Batches], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_python(batches)
    monkeypatch.setattr(cifar10, "CLASS_NAMES", tuple(reversed(cifar10.CLASS_NAMES)))
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
    assert dataset.train.fingerprint == TRAIN_FINGERPRINT
    seen: list[TestSet] = []
    assert dataset.test is not None
    assert dataset.test.open(seen.append).counts.tolist() == [1_000] * 10
    assert seen[0].fingerprint == cifar10.TEST_FINGERPRINT


# The unpickler


@pytest.mark.parametrize("protocol", range(5))
def test_a_batch_of_any_protocol_and_size_is_read_as_it_was_written(protocol: int) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 12)
    batch = {"data": pixels, "labels": [3, 300], "batch_label": b"one of five"}
    entries = cifar10.unpickled(pickle.dumps(batch, protocol=protocol), name="batch")
    np.testing.assert_array_equal(entries[b"data"], pixels)
    assert (entries[b"labels"], entries[b"batch_label"]) == ([3, 300], b"one of five")


def test_both_spellings_of_numpy_are_read() -> None:
    new = pickle.dumps({"data": np.arange(3, dtype=np.uint8)}, protocol=2)
    for spelling in (b"numpy._core", b"numpy.core"):
        there = b"numpy._core" if b"numpy._core" in new else b"numpy.core"
        assert cifar10.unpickled(new.replace(there, spelling), name="batch")[b"data"].tolist() == [0, 1, 2]


class Calls:
    """Pickles to a program that calls `function(*arguments)` when it is loaded."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("place", ["alone", "beside pixels", "nested"])
@pytest.mark.parametrize("function", [os.system, builtins.eval, subprocess.check_output, os.mkdir])
def test_a_foreign_function_is_named_and_not_called(function: Any, place: str, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    program = {
        os.system: f"touch {canary}",
        builtins.eval: f"__import__('os').mkdir({str(canary)!r})",
        subprocess.check_output: ["touch", str(canary)],
        os.mkdir: str(canary),
    }[function]
    call = Calls(function, program)
    payload: Any = {"alone": call, "beside pixels": {"labels": [1], "data": call}, "nested": {"a": [(1, {"b": call})]}}
    with pytest.raises(HostileFile, match=f"batch asks for .*{function.__name__}.*Nothing was run"):
        cifar10.unpickled(pickle.dumps(payload[place], protocol=protocol), name="batch")
    assert not canary.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"(S'touch x'\nios\nsystem\n.",  # INST, the oldest way
        b"c__builtin__\neval\n(Vprint()\ntR.",
        b"\x80\x02cnumpy\nload\n.",
        b"\x80\x02cnumpy.core.multiarray\nfromfile\n.",
        b"\x80\x02c_codecs\nlookup\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",  # a dotted path below an allowed name
        pickle.dumps(OrderedDict(a=1)),
    ],
)
def test_names_near_the_allowed_ones_are_refused(payload: bytes) -> None:
    with pytest.raises(HostileFile, match=r"asks for"):
        cifar10.unpickled(payload, name="batch")


@pytest.mark.parametrize("payload", [b"", b"hello world", b"\x80\x02.", b"}K\x01", b"K\x01.", b"]q\x01."])
def test_what_is_no_batch_is_one_sentence(payload: bytes) -> None:
    with pytest.raises(DataError, match="is not a readable CIFAR batch"):
        cifar10.unpickled(payload, name="batch")


@given(st.integers(0, len(WHOLE) - 1))
def test_a_batch_cut_anywhere_is_one_sentence(length: int) -> None:
    with pytest.raises(DataError):
        cifar10.unpickled(WHOLE[:length], name="batch")


# Where it is looked for


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any data: work folder, cache and environment are empty."""
    monkeypatch.delenv("SNELLEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def put(folder: Path, landmark: str = "data_batch_1") -> Path:
    folder.mkdir(parents=True)
    (folder / landmark).touch()
    return folder


@pytest.mark.usefixtures("elsewhere")
def test_nearer_places_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_cache = put(cache_folder() / "cifar-10-batches-py")
    assert cifar10.PUBLISHED.find() == in_cache
    in_data = put(tmp_path / "work" / "data" / "cifar-10-batches-py")
    assert cifar10.PUBLISHED.find() == in_data
    in_environment = put(tmp_path / "shared" / "cifar-10-batches-py")
    monkeypatch.setenv("SNELLEN_DATA", str(tmp_path / "shared"))
    assert cifar10.PUBLISHED.find() == in_environment
    explicit = put(tmp_path / "mine")
    assert cifar10.PUBLISHED.find(explicit) == explicit


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("child", "landmark"),
    [
        ("", "data_batch_1"),
        ("cifar-10-batches-py", "data_batch_1"),
    ],
)
def test_a_place_may_be_the_folder_or_hold_it(child: str, landmark: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "place" / child, landmark)
    assert cifar10.PUBLISHED.find(tmp_path / "place") == folder


@pytest.mark.usefixtures("elsewhere")
def test_a_folder_without_batches_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "work" / "data" / "cifar-10-batches-py").mkdir(parents=True)
    in_cache = put(cache_folder() / "cifar-10-batches-py")
    assert cifar10.PUBLISHED.find() == in_cache


@pytest.mark.usefixtures("elsewhere")
def test_nowhere_names_all_places_and_both_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataNotFound, match=r"SNELLEN_DATA is not set") as without:
        cifar10.PUBLISHED.find()
    monkeypatch.setenv("SNELLEN_DATA", "/nowhere/at/all")
    with pytest.raises(DataNotFound) as caught:
        cifar10.PUBLISHED.find()
    for part in ("/nowhere/at/all", "./data", str(tmp_path / "cache" / "snellen"), "--data", "snellen data download"):
        assert part in str(caught.value)
        assert part in str(without.value) or part == "/nowhere/at/all"


@pytest.mark.usefixtures("elsewhere")
def test_an_explicit_place_is_the_only_one(tmp_path: Path) -> None:
    put(cache_folder() / "cifar-10-batches-py")
    with pytest.raises(DataNotFound, match="wrong"):
        cifar10.PUBLISHED.find(tmp_path / "wrong")
