"""CIFAR-100, MNIST and Fashion-MNIST: tiny files in the official formats, fetched, checked, read, and sealed."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import tarfile
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from snellen.data import catalog, cifar10, mnist
from snellen.data.dataset import Dataset
from snellen.data.published import Published
from snellen.data.run_images import load_as_before
from snellen.errors import ChecksumMismatch, DataError, DataNotFound, HostileFile

TRAIN, TEST = 40, 20
NAMES = ("cifar100", "mnist", "fashion_mnist")


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def idx(values: np.ndarray) -> bytes:
    return bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape) + values.tobytes()


@dataclass(frozen=True)
class Official:
    """Small files under the sums of the official ones, and what they hold."""

    published: Published
    contents: dict[str, bytes]
    fetched: dict[str, bytes]
    pixels: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]

    def lay(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        for name, content in self.contents.items():
            (folder / name).write_bytes(content)
        return folder


@pytest.fixture(params=NAMES)
def official(request: pytest.FixtureRequest, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Official:
    return small(request.param, rng, monkeypatch)


def small(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Official:
    where: ModuleType = cifar10 if name == "cifar100" else mnist
    prefix = "CIFAR100_" if name == "cifar100" else ""
    monkeypatch.setattr(where, f"{prefix}TEST_IMAGES", TEST)
    monkeypatch.setattr(where, "CIFAR100_IMAGES" if prefix else "TRAIN_IMAGES", TRAIN)
    counts, side, classes = {"train": TRAIN, "test": TEST}, (3, 32, 32) if name == "cifar100" else (28, 28), 10
    pixels = {part: rng.integers(0, 256, (count, *side), dtype=np.uint8) for part, count in counts.items()}
    labels = {part: (np.arange(count) % classes).astype(np.uint8) for part, count in counts.items()}
    if name == "cifar100":
        contents = {
            part: pickle.dumps(
                {b"data": pixels[part].reshape(count, -1), b"fine_labels": labels[part].tolist()}, protocol=2
            )
            for part, count in counts.items()
        }
        contents["meta"] = pickle.dumps({b"fine_label_names": [b"c%02d" % at for at in range(100)]}, protocol=2)
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w:gz") as members:
            for member, content in {**contents, "file.txt~": b"left over"}.items():
                about = tarfile.TarInfo(f"cifar-100-python/{member}")
                about.size = len(content)
                members.addfile(about, io.BytesIO(content))
        fetched = {"cifar-100-python.tar.gz": tar.getvalue()}
    else:
        parts = {"train": "train", "t10k": "test"}
        contents = {f"{file}-images-idx3-ubyte": idx(pixels[part]) for file, part in parts.items()}
        contents |= {f"{file}-labels-idx1-ubyte": idx(labels[part]) for file, part in parts.items()}
        fetched = {f"{file}.gz": gzip.compress(content) for file, content in contents.items()}
    constant = {"cifar100": "CIFAR100", "mnist": "MNIST", "fashion_mnist": "FASHION"}[name]
    given = replace(
        getattr(where, constant),
        md5={file: md5(contents[file]) for file in getattr(where, constant).md5},
        fetched={file: md5(content) for file, content in fetched.items()},
    )
    monkeypatch.setattr(where, constant, given)
    read = cifar10.read_cifar100 if name == "cifar100" else partial(mnist.read, given)
    monkeypatch.setitem(catalog._LOADERS, name, catalog._loader(given, read))
    return Official(given, contents, fetched, pixels, labels)


def require_whole(dataset: Dataset, official: Official) -> None:
    assert dataset.test is not None
    for part, images in (("train", dataset.train), ("test", dataset.test.open(lambda test_set: None))):
        planes = official.pixels[part]
        assert np.array_equal(images.images, planes[..., None] if planes.ndim == 3 else planes.transpose(0, 2, 3, 1))
        assert np.array_equal(images.labels, official.labels[part])
        assert (images.name, images.num_classes) == (official.published.name, len(dataset.train.class_names))


def test_a_download_is_continued_checked_and_read_and_the_test_part_sealed(
    official: Official, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, served, here = official.published.name, tmp_path / "served", tmp_path / "here"
    served.mkdir()
    for file, content in official.fetched.items():
        (served / file).write_bytes(content)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served))) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv(f"SNELLEN_{name.upper()}_URL", f"http://127.0.0.1:{server.server_port}/")
        told: list[tuple[int, int | None]] = []
        try:
            dataset = catalog.load(name, data=here, download=True, progress=lambda *sizes: told.append(sizes))
            victim = served / list(official.fetched)[-1]
            victim.write_bytes(b"something else")
            with pytest.raises(ChecksumMismatch, match=rf"not the published {official.published.title}: .*expected"):
                catalog.load(name, data=tmp_path / "elsewhere", download=True)
        finally:
            server.shutdown()
            thread.join()
    require_whole(dataset, official)
    assert told[-1] == (len(official.fetched[victim.name]),) * 2
    files = {path.name for path in (here / official.published.folder).iterdir()}
    assert files == set(official.contents if name == "cifar100" else official.fetched)  # no part file, no leftovers
    require_whole(catalog.load(name, data=here), official)  # found again, and nothing is fetched


def test_files_are_found_by_the_usual_folder_or_named_and_unpacked_or_packed(
    official: Official, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = official.published.name
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SNELLEN_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    unset = (
        rf"{official.published.title} is in none .*cache\)\. \$SNELLEN_DATA is not set\. .*snellen data download {name}"
    )
    with pytest.raises(DataNotFound, match=unset):
        catalog.load(name)
    with pytest.raises(DataNotFound, match=r"tried: .*nowhere \(--data\)\. Download"):
        catalog.load(name, data=tmp_path / "nowhere")
    with monkeypatch.context() as patch:
        patch.setenv("SNELLEN_DATA", str(tmp_path))
        with pytest.raises(
            DataNotFound, match=r"tried: .* \(\$SNELLEN_DATA\), data \(\./data\), .* \(the cache\)\. Download"
        ):
            catalog.load(name)
    folder = official.lay(tmp_path / "data" / official.published.folder)
    require_whole(catalog.load(name), official)
    require_whole(catalog.load(name, data=folder), official)
    first = next(iter(official.contents))
    (folder / f"{first}.gz").write_bytes(gzip.compress((folder / first).read_bytes(), compresslevel=1))
    (folder / first).unlink()
    require_whole(catalog.load(name), official)  # packed again by somebody: its content is what counts
    elsewhere = catalog.load(name, data=folder.rename(tmp_path / "elsewhere"))
    require_whole(load_as_before(elsewhere.read_as), official)


def test_one_changed_byte_or_a_missing_file_is_one_sentence(official: Official, tmp_path: Path) -> None:
    folder = official.lay(tmp_path / "files")
    for file, content in official.contents.items():
        path, name = folder / file, official.published.name
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        if file.startswith("t"):  # train or test
            dataset: Dataset | None = None
            with pytest.raises(ChecksumMismatch, match=f"{file} is not the published file: MD5 .*, expected"):
                dataset = catalog.load(name, data=folder)
                assert dataset.test is not None
                dataset.test.open(lambda test_set: None)
            assert (dataset is None) == file.startswith("train")  # the sealed file is read when it is opened
        path.unlink()
        with pytest.raises(DataNotFound):
            catalog.load(name, data=folder)
        path.write_bytes(content)


def resummed(official: Official, file: str, content: bytes) -> Published:
    return replace(official.published, md5={**official.published.md5, file: md5(content)})


@pytest.mark.parametrize(
    ("file", "content", "error", "words"),
    [
        ("train", pickle.dumps({b"data": np.zeros((TRAIN, 3072), np.uint8), b"fine_labels": [0] * 39}, protocol=2),
         DataError, "39 labels"),
        ("train", pickle.dumps({b"data": np.zeros((TRAIN, 3072), np.uint8), b"fine_labels": [100] * 40}, protocol=2),
         DataError, r"label 100, outside 0\.\.99"),
        ("meta", pickle.dumps({b"fine_label_names": [b"a"]}, protocol=2), DataError, "does not list the 100 classes"),
        ("meta", pickle.dumps({b"fine_label_names": [b"a"] * 99 + [7]}, protocol=2), DataError, "not list the 100 cl"),
        ("train", pickle.dumps(print, protocol=2), HostileFile, "which no CIFAR batch contains. Nothing was run"),
    ],
)  # fmt: skip
def test_what_is_no_cifar100_is_refused_behind_the_checksum_too(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch,
    file: str, content: bytes, error: type[DataError], words: str,
) -> None:  # fmt: skip
    official = small("cifar100", rng, monkeypatch)
    folder = official.lay(tmp_path / "files")
    (folder / file).write_bytes(content)
    monkeypatch.setattr(cifar10, "CIFAR100", resummed(official, file, content))
    with pytest.raises(error, match=words):
        cifar10.read_cifar100(folder)


@pytest.mark.parametrize("change", [lambda whole: whole[:-1], lambda whole: whole[:2] + b"\x09" + whole[3:],
                                    lambda whole: b"", lambda whole: whole + b"\0"])  # fmt: skip
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_what_is_no_idx_file_is_refused(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, file: str, change: Any
) -> None:
    official = small("mnist", rng, monkeypatch)
    folder = official.lay(tmp_path / "files")
    content = change(official.contents[file])
    (folder / file).write_bytes(content)
    with pytest.raises(DataError, match="does not hold .* bytes in IDX"):
        mnist.read(resummed(official, file, content), folder)


def test_a_packed_file_that_is_cut_is_one_sentence(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    official = small("mnist", rng, monkeypatch)
    folder, file = official.lay(tmp_path / "files"), "train-images-idx3-ubyte"
    (folder / file).unlink()
    for content in (official.fetched[f"{file}.gz"][:-9], b"no gzip at all"):
        (folder / f"{file}.gz").write_bytes(content)
        with pytest.raises(ChecksumMismatch, match=r"\.gz is damaged"):
            mnist.read(official.published, folder)
