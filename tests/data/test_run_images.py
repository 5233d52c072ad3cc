"""The one door to a run's data: its own pictures come out, others are refused in one sentence."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snellen.data.arrays import from_arrays
from snellen.data.catalog import load
from snellen.data.corrections import Correction, Corrections, corrected
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.folder_dataset import ImageOptions
from snellen.data.labeled_images import LabeledImages
from snellen.data.run_images import images_of, images_of_each
from snellen.data.splits import one_fold, split, split_final
from snellen.errors import DataError, DataNotFound, RunError
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.train.setup import prepare


def run_of(dataset: Dataset, recipe: Recipe, folder: Path, *, final: bool = False) -> Run:
    """A run folder that says what it was begun on, and nothing else."""
    run = Run(folder)
    run.write("run.json", prepare(recipe, dataset, seed=0, final=final, device="cpu", precision="fp32").describe())
    return run


def letters_in(root: Path, images: LabeledImages, first: int = 0) -> None:
    for number, (pixels, label) in enumerate(zip(images.images, images.labels.tolist(), strict=True), start=first):
        folder = root / images.class_names[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tmp_path / "pictures"
    letters_in(root / "train", make_eyechart(0, train=150, test=0).train)
    letters_in(root / "test", make_eyechart(1, train=30, test=0).train)
    return root


@pytest.fixture
def run(pictures: Path, tiny_recipe: Recipe, tmp_path: Path) -> Run:
    """A run on a folder with a test part."""
    return run_of(load(str(pictures), options=ImageOptions(32)), tiny_recipe, tmp_path / "run")


def test_a_run_on_corrected_labels_gets_them_again_from_data_that_were_never_changed(
    pictures: Path, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    plain = load(str(pictures), options=ImageOptions(32))
    wrong, out = plain.train.names[3], plain.train.names[5]
    old = plain.train.class_names[plain.train.labels[3]]
    new = next(name for name in plain.train.class_names if name != old)
    said = Corrections("mine.csv", (Correction(wrong, "", old, new), Correction(out, "", "", "-")))
    mended = corrected(plain, said)
    run = run_of(mended, tiny_recipe, tmp_path / "run")
    before = run_of(plain, tiny_recipe, tmp_path / "before")
    for again in (images_of(run), images_of(run, pictures), images_of(run, plain), images_of(run, mended)):
        everything = again.dataset.train
        assert len(everything) == 149
        assert everything.class_names[everything.labels[everything.names.index(wrong)]] == new
        assert out not in everything.names
    assert len(images_of(before).dataset.train) == 150
    with pytest.raises(DataError, match="The (train|val) images of .* are not those of"):
        images_of(before, mended)


def test_a_run_gets_the_pictures_it_was_begun_on_wherever_they_are_now(run: Run, pictures: Path) -> None:
    found = images_of(run)
    assert found.val is not None
    assert found.test is not None
    assert (len(found.train) + len(found.val), found.test.count) == (150, 30)
    assert (found.train.role, found.val.role, found.to_compare_on()) == ("train", "val", found.val)
    moved = pictures.rename(pictures.with_name("moved"))
    assert images_of(run, moved).train.fingerprint == found.train.fingerprint
    assert images_of(run, moved).val.name == "pictures"  # type: ignore[union-attr]  # the name in the ledger


def test_a_run_of_a_fold_gets_its_own_val_and_a_fold_that_cannot_be_is_refused(
    tiny_dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    vals = []
    for number in range(3):
        run = run_of(one_fold(tiny_dataset, number, 3), tiny_recipe, tmp_path / str(number))
        assert run.info["data"]["fold"] == [number, 3]
        val = images_of(run, tiny_dataset).val
        assert val is not None
        vals += val.ids.tolist()
    assert sorted(vals) == sorted(tiny_dataset.train.ids.tolist())
    for fold in ([3, 3], [-1, 3], [0], [0, 1, 3], [0.0, 3], [True, 3], {"0": 3}, "03", 3):
        run.update_info(data={**run.info["data"], "fold": fold})
        with pytest.raises(RunError, match="does not say which of its pictures were val: fold"):
            images_of(run, tiny_dataset)


def test_renamed_classes_are_refused(run: Run, pictures: Path) -> None:
    for part in ("train", "test"):
        (pictures / part / "C").rename(pictures / part / "B")
    with pytest.raises(DataError, match="knows the classes C, D, .* has B, D"):
        images_of(run)


def test_a_changed_training_picture_is_refused(run: Run, pictures: Path) -> None:
    next((pictures / "train" / "C").iterdir()).unlink()
    with pytest.raises(DataError, match="The (train|val) images of .* are not those of .*run"):
        images_of(run)


@pytest.mark.parametrize("change", ["changed", "swapped", "copied from train", "taken away", "saved anew"])
def test_another_test_set_is_refused_unopened(run: Run, pictures: Path, change: str) -> None:
    test = pictures / "test"
    if change in ("swapped", "taken away"):
        shutil.rmtree(test)
    if change == "swapped":
        letters_in(test, make_eyechart(2, train=30, test=0).train)
    elif change == "copied from train":
        shutil.copytree(pictures / "train", test, dirs_exist_ok=True)
    elif change == "saved anew":
        path = next((test / "C").iterdir())
        Image.open(path).save(path, compress_level=0)
    elif change == "changed":
        Image.new("RGB", (32, 32)).save(next((test / "C").iterdir()))
    with pytest.raises(DataError, match=r"The test images of .* there were 30 .*, and here are (30|150|none)"):
        images_of(run)


def test_parts_that_are_dealt_anew_are_refused(tmp_path: Path, tiny_recipe: Recipe, pictures: Path) -> None:
    """Saved without loss, pictures keep their pixels and change their hashes, by which they were dealt."""
    shutil.rmtree(pictures / "test")
    run = run_of(
        load(str(pictures / "train"), options=ImageOptions(32, test_fraction=0.2)), tiny_recipe, tmp_path / "r"
    )
    assert images_of(run).test is not None
    for path in (pictures / "train").rglob("*.png"):
        Image.open(path).save(path, compress_level=0)
    with pytest.raises(DataError, match="dealt anew"):
        images_of(run)


def test_the_test_set_of_another_seed_is_another(tiny_dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path) -> None:
    run = run_of(tiny_dataset, tiny_recipe, tmp_path / "run")
    other = replace(tiny_dataset, test=make_eyechart(5, train=0, test=60).test)
    assert images_of(run, tiny_dataset).test is not None
    with pytest.raises(DataError, match="The test images"):
        images_of(run, other)
    without = run_of(replace(tiny_dataset, test=None), tiny_recipe, tmp_path / "without")
    with pytest.raises(DataError, match=r"there were none, and here are 60 \(eyechart, seed"):
        images_of(without, tiny_dataset)


def test_a_final_training_has_no_val_and_compares_on_pictures_it_learned_from(
    tiny_dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    final = run_of(tiny_dataset, tiny_recipe, tmp_path / "final", final=True)
    chosen = run_of(tiny_dataset, tiny_recipe, tmp_path / "chosen")
    first, second = images_of_each([final, chosen], tiny_dataset)
    assert first.val is None
    assert first.train.fingerprint == split_final(tiny_dataset).train.fingerprint
    assert second.train.fingerprint == split(tiny_dataset).train.fingerprint
    compared = first.to_compare_on()
    assert second.val is not None
    assert (compared.role, compared.fingerprint) == ("train+val", second.val.fingerprint)


def test_arrays_in_memory_are_handed_over_or_read_from_a_file(
    tiny_dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    images, labels = tiny_dataset.train.images, tiny_dataset.train.labels
    names = np.array(tiny_dataset.train.class_names)[labels]
    dataset = from_arrays(images[:200], names[:200], test=(images[200:], names[200:]), name="mine")
    run = run_of(dataset, tiny_recipe, tmp_path / "run")
    assert images_of(run, dataset).train.fingerprint == split(dataset).train.fingerprint
    with pytest.raises(DataNotFound, match="mine are arrays in memory, .* name the .npz file with --data"):
        images_of(run)
    path = tmp_path / "arrays.npz"
    np.savez(path, images=images[:200], labels=names[:200], test_images=images[200:], test_labels=names[200:])
    assert images_of(run, path).val.name == "mine"  # type: ignore[union-attr]
    with pytest.raises(DataError, match="are not those of"):
        images_of(run, from_arrays(images[1:], names[1:]))
