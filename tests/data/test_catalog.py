"""Data sets by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixed_pictures import write_folder
from snellen.data import catalog, eyechart
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.folder_dataset import ImageOptions
from snellen.data.labeled_images import LabeledImages
from snellen.data.run_images import load_as_before
from snellen.data.sealed_images import SealedImages
from snellen.errors import DataNotFound, InvalidSetting, RunError, UnknownName


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any data."""
    monkeypatch.delenv("SNELLEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_eyechart_needs_nothing_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "make_eyechart", lambda: eyechart.make_eyechart(0, train=20, test=10))
    assert catalog.load("eyechart").name == "eyechart"
    assert set(catalog.NAMES) == {"cifar10", "cifar100", "eyechart", "fashion_mnist", "mnist"}


def test_a_folder_for_eyechart_would_have_no_effect(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="no effect"):
        catalog.load("eyechart", data=tmp_path)


def test_an_unknown_name_meets_its_nearest_neighbour() -> None:
    with pytest.raises(UnknownName, match=r"'cifar-10'\. Did you mean 'cifar10'"):
        catalog.load("cifar-10")


def test_a_path_is_a_folder_of_pictures_and_a_name_is_a_name(tmp_path: Path) -> None:
    write_folder(eyechart.make_eyechart(0, train=40, test=0).train, tmp_path / "cifar10")
    with pytest.raises(DataNotFound, match="CIFAR-10 is in none of the places"):
        catalog.load("cifar10")
    dataset = catalog.load("./cifar10")
    assert (dataset.name, len(dataset.train)) == ("cifar10-folder", 40)  # what is known of CIFAR-10 is not said of it
    assert catalog.load("./cifar10", subset=30).name == "cifar10-folder-30"
    np.savez("mnist.npz", images=dataset.train.images, labels=dataset.train.labels)
    assert catalog.load("mnist.npz").name == "mnist-file"


@pytest.mark.parametrize("name", ["./birds", "birds/", "birds.csv"])
def test_a_path_that_is_not_there_is_no_misspelt_name(name: str) -> None:
    with pytest.raises(DataNotFound, match="birds.* is not there"):
        catalog.load(name)


def test_settings_without_effect_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="have no effect on eyechart"):
        catalog.load("eyechart", options=ImageOptions(32))
    (tmp_path / "birds").mkdir()
    with pytest.raises(InvalidSetting, match="have no effect on birds, which is a path already"):
        catalog.load("birds", data=tmp_path)


def test_a_run_is_read_again_as_it_was_read(tmp_path: Path) -> None:
    write_folder(eyechart.make_eyechart(0, train=40, test=0).train, tmp_path / "letters")
    first = catalog.load("letters", options=ImageOptions(24, "pad", 0.2))
    about = {"name": first.name, "source": first.source, "loading": first.loading}
    again = load_as_before(about)
    assert again.train.fingerprint == first.train.fingerprint
    (tmp_path / "letters").rename(tmp_path / "moved")
    assert load_as_before(about, data=tmp_path / "moved").train.fingerprint == first.train.fingerprint


@pytest.mark.parametrize("loading", [{}, None, {"side": "64", "fit": "crop", "test_fraction": 0}, {"side": 4}])
def test_a_run_that_does_not_say_how_is_refused(tmp_path: Path, loading: Any) -> None:
    with pytest.raises(RunError, match="does not say how its pictures were read"):
        load_as_before({"name": "letters", "source": str(tmp_path), "loading": loading})


def test_nothing_is_downloaded_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> Path:
        raise AssertionError("downloaded")

    monkeypatch.setattr(catalog, "fetched", never)
    with pytest.raises(DataNotFound, match="snellen data download cifar10"):
        catalog.load("cifar10")


@pytest.mark.parametrize("explicit", [True, False])
def test_a_download_goes_where_data_is_looked_for(
    explicit: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_images: Any
) -> None:
    asked: list[Path] = []

    def pretend(published: Any, into: Path, *, progress: Any) -> Path:
        asked.append(into)
        return into / "cifar-10-batches-py"

    monkeypatch.setattr(catalog, "fetched", pretend)
    monkeypatch.setattr(catalog.cifar10, "read", lambda folder: Dataset("cifar10", few_images, None, str(folder)))
    dataset = catalog.load("cifar10", data=tmp_path / "mine" if explicit else None, download=True)
    into = tmp_path / "mine" if explicit else tmp_path / "cache" / "snellen"
    assert asked == [into]
    assert dataset.source == str(into / "cifar-10-batches-py")


@pytest.mark.cifar10
def test_the_real_files_are_found_by_name(
    cifar10_folder: Path, real_cifar10: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog.cifar10, "read", {cifar10_folder: real_cifar10}.__getitem__)
    assert catalog.load("cifar10", data=cifar10_folder.parent).source == str(cifar10_folder)


# What there is to know of one


def never() -> LabeledImages:
    raise AssertionError("the test set was opened")


def test_counts_and_statistics_survive_json_and_the_seal_stays_whole(few_images: LabeledImages) -> None:
    about = catalog.describe(
        Dataset("few", few_images, SealedImages(never, name="few", count=12, identity="made"), source="here")
    )
    assert json.loads(json.dumps(about)) == about
    assert about["image"] == {"height": 32, "width": 32, "channels": 3, "dtype": "uint8"}
    assert about["splits"] == {
        "train": {"images": 54, "per_class": {"ant": 18, "bee": 18, "cat": 18}},
        "val": {"images": 6, "per_class": {"ant": 2, "bee": 2, "cat": 2}},
        "test": {"images": 12, "per_class": "sealed"},
    }
    assert about["measured_on"] == {"role": "train+val", "images": 60}
    assert len(about["mean"]) == len(about["std"]) == 3


def test_a_data_set_without_test_images_says_so(few_images: LabeledImages) -> None:
    assert catalog.describe(Dataset("few", few_images, None, source="here"))["splits"]["test"] is None


def test_the_same_pictures_have_the_same_fingerprint() -> None:
    first, second = (catalog.describe(make_eyechart(5, train=100, test=10)) for _ in range(2))
    assert first == second
