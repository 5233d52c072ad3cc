"""A run that was trained on arrays in memory: graded, exported and shown like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import snellen
from snellen.data.dataset import Dataset
from snellen.errors import DataError, DataNotFound
from snellen.recipes.recipe import Recipe


@pytest.fixture(scope="module")
def arrays(tiny_dataset: Dataset) -> Dataset:
    names = np.array(tiny_dataset.train.class_names)[tiny_dataset.train.labels]
    images = tiny_dataset.train.images
    return snellen.from_arrays(images[:240], names[:240], test=(images[240:], names[240:]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, arrays: Dataset, tiny_recipe: Recipe) -> snellen.TrainedRun:
    return snellen.fit(tiny_recipe, arrays, device="cpu", runs=tmp_path_factory.mktemp("runs"), quiet=True, epochs=1)


def test_the_run_remembers_what_it_was_trained_on(trained: snellen.TrainedRun, arrays: Dataset, tmp_path: Path) -> None:
    assert trained.dataset is arrays
    assert trained.evaluate(tta="ten_crop").plain.accuracy == trained.accuracy
    assert trained.export("safetensors", out=tmp_path).refused == ()
    assert trained.robustness().clean == trained.accuracy
    assert trained.evaluate("test", reason="a test", ledger=tmp_path / "ledger.jsonl").plain.accuracy.n == 60


def test_opened_again_it_is_handed_its_data_or_says_so(
    trained: snellen.TrainedRun, arrays: Dataset, tmp_path: Path
) -> None:
    again = snellen.open_run(trained.folder)
    with pytest.raises(DataNotFound, match="arrays in memory, .* Hand the data set over with data="):
        again.export("safetensors", out=tmp_path)
    assert again.export("safetensors", out=tmp_path, data=arrays).refused == ()
    path = tmp_path / "mine.npz"
    known = arrays.train
    assert arrays.test is not None
    names, test = np.array(known.class_names), arrays.test._load()
    np.savez(
        path,
        images=known.images, labels=names[known.labels], test_images=test.images, test_labels=names[test.labels],
    )  # fmt: skip
    assert again.evaluate(data=path, tta="none").plain.accuracy == trained.accuracy
    with pytest.raises(DataError, match="are not those of"):
        again.evaluate(data=snellen.from_arrays(known.images[1:], names[known.labels[1:]]))


@pytest.mark.slow
def test_its_page_is_written(trained: snellen.TrainedRun, tmp_path: Path) -> None:
    assert trained.report(out=tmp_path / "page.html").stat().st_size > 100_000
