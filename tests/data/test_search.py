"""Where data is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from snellen.data.search import find_cifar10
from snellen.errors import DataNotFound
from snellen.paths import cache_folder


@pytest.fixture(autouse=True)
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


def test_nearer_places_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_cache = put(cache_folder() / "cifar-10-batches-py")
    assert find_cifar10() == in_cache
    in_data = put(tmp_path / "work" / "data" / "cifar-10-batches-py")
    assert find_cifar10() == in_data
    in_environment = put(tmp_path / "shared" / "cifar-10-batches-py")
    monkeypatch.setenv("SNELLEN_DATA", str(tmp_path / "shared"))
    assert find_cifar10() == in_environment
    explicit = put(tmp_path / "mine")
    assert find_cifar10(explicit) == explicit


@pytest.mark.parametrize(
    ("child", "landmark"),
    [
        ("", "data_batch_1"),
        ("", "data_batch_1.bin"),
        ("cifar-10-batches-py", "data_batch_1"),
        ("cifar-10-batches-bin", "data_batch_1.bin"),
    ],
)
def test_a_place_may_be_the_folder_or_hold_it(child: str, landmark: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "place" / child, landmark)
    assert find_cifar10(tmp_path / "place") == folder


def test_a_folder_without_batches_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "work" / "data" / "cifar-10-batches-py").mkdir(parents=True)
    in_cache = put(cache_folder() / "cifar-10-batches-py")
    assert find_cifar10() == in_cache


def test_nowhere_names_all_places_and_both_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataNotFound, match=r"SNELLEN_DATA is not set") as without:
        find_cifar10()
    monkeypatch.setenv("SNELLEN_DATA", "/nowhere/at/all")
    with pytest.raises(DataNotFound) as caught:
        find_cifar10()
    for part in ("/nowhere/at/all", "./data", str(tmp_path / "cache" / "snellen"), "--data", "snellen data download"):
        assert part in str(caught.value)
        assert part in str(without.value) or part == "/nowhere/at/all"


def test_an_explicit_place_is_the_only_one(tmp_path: Path) -> None:
    put(cache_folder() / "cifar-10-batches-py")
    with pytest.raises(DataNotFound, match="wrong"):
        find_cifar10(tmp_path / "wrong")
