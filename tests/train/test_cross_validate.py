"""Cross-validation: every picture is val once, nothing is chosen on it, and the last model learns from all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from snellen.data.dataset import Dataset
from snellen.data.run_images import images_of
from snellen.data.splits import folds_of, one_fold, split
from snellen.errors import BadSplit, InvalidSetting, RunError
from snellen.predict.predictions import stored_predictions
from snellen.recipes.recipe import Recipe
from snellen.runs.run import open_run
from snellen.show.progress import Progress
from snellen.train import cross_validate as room
from snellen.train.cross_validate import cross_validate
from snellen.train.fit import FitOptions


def test_folds_follow_from_content_and_deal_out_every_class(tiny_dataset: Dataset) -> None:
    images = tiny_dataset.train
    fold = folds_of(images, 4)
    counts = np.array([np.bincount(fold[images.labels == label], minlength=4) for label in range(images.num_classes)])
    assert counts.max() - counts.min() <= 1
    shuffled = np.random.default_rng(0).permutation(len(images))
    np.testing.assert_array_equal(folds_of(images.take(shuffled, "all"), 4), fold[shuffled])
    twice = images.take(np.concatenate([np.arange(len(images)), [5, 5, 9]]), "all")
    assert (folds_of(twice, 4)[-3:] == folds_of(twice, 4)[[5, 5, 9]]).all()  # copies stay on one side


def test_every_picture_is_answered_once_and_together_they_are_the_grade(
    tiny_dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    options = FitOptions(device="cpu", precision="fp32", runs=tmp_path, name="cv")
    final = cross_validate(tiny_recipe, tiny_dataset, 3, options, Progress(quiet=True))
    folds = [open_run(tmp_path / name) for name in final.info["cross_validation"]["runs"]]
    answers = [stored_predictions(run, "val") for run in folds]
    ids = np.concatenate([each.ids for each in answers if each is not None])
    np.testing.assert_array_equal(np.sort(ids), np.sort(tiny_dataset.train.ids))
    hits = sum(int(each.correct.sum()) for each in answers if each is not None)
    graded = final.info["cross_validation"]["accuracy"]
    assert (graded["hits"], graded["n"]) == (hits, len(tiny_dataset.train))
    assert all(each is not None and each.best_of == 1 for each in answers)  # nothing was chosen
    assert final.info["data"]["train"]["count"] == len(tiny_dataset.train)
    for number, run in enumerate(folds):  # opened again, a run has its own val, from data that are handed over or not
        val = images_of(run, tiny_dataset).val
        assert val is not None
        assert set(val.ids.tolist()) == set(
            one_fold(tiny_dataset, number, 3).train.ids[folds_of(tiny_dataset.train, 3) == number]
        )
    folds[0].update_info(data={**folds[0].info["data"], "fold": [3, 3]})
    with pytest.raises(RunError, match=r"fold \[3, 3\]"):
        images_of(folds[0], tiny_dataset)


@pytest.mark.parametrize("name", [None, "mine"])
def test_each_fold_and_all_pictures_are_trained_under_the_options_that_were_given(
    tiny_dataset: Dataset, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch, name: str | None
) -> None:
    made: list[tuple[Recipe, int, FitOptions]] = []
    told: list[dict[str, Any]] = []

    def trained(recipe: Recipe, dataset: Dataset, options: FitOptions, progress: Progress) -> Any:
        made.append((recipe, len(dataset.train), options))
        grade = {"hits": [60, 90, 45][len(made) - 1] if len(made) < 4 else 0, "n": 100}
        return SimpleNamespace(
            name=options.name, info={"val": {"accuracy": grade}}, update_info=lambda **info: told.append(info)
        )  # fmt: skip

    monkeypatch.setattr(room, "fit", trained)
    cross_validate(tiny_recipe, tiny_dataset, 3, FitOptions(seed=5, name=name, precision="fp32"), Progress(quiet=True))
    stem = name or "eyechart-tiny-s5"
    names = [f"{stem}-fold1", f"{stem}-fold2", f"{stem}-fold3", f"{stem}-final"]
    assert [options for *_, options in made] == [
        FitOptions(seed=5, name=each, precision="fp32", final=each.endswith("final")) for each in names
    ]
    assert {recipe for recipe, *_ in made} == {tiny_recipe.replace(evaluate_every=10_000)}
    assert [count for _, count, _ in made] == [len(tiny_dataset.train)] * 4
    (info,) = told
    found = info["cross_validation"]
    assert (found["accuracy"]["hits"], found["accuracy"]["n"], found["runs"]) == (195, 300, names[:3])
    assert [each["hits"] for each in found["folds"]] == [60, 90, 45]
    assert found["words"].startswith("65.0 %")
    assert found["words"].endswith(", over 3 folds, which have 45.0 to 90.0 %")


def test_folds_that_cannot_be_are_refused_before_anything_is_trained(
    tiny_dataset: Dataset, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    options = FitOptions(device="cpu", precision="fp32", runs=tmp_path / "runs")
    with pytest.raises(InvalidSetting, match="--folds 1 is not possible: 2 to 20"):
        cross_validate(tiny_recipe, tiny_dataset, 1, options, Progress(quiet=True))
    few = np.flatnonzero(tiny_dataset.train.labels != 0)
    rare = np.concatenate([few, np.flatnonzero(tiny_dataset.train.labels == 0)[:2]])
    thin = replace(tiny_dataset, train=tiny_dataset.train.take(rare, "all"), in_val=None)
    with pytest.raises(BadSplit, match="has 2 different ones"):
        cross_validate(tiny_recipe, thin, 3, options, Progress(quiet=True))
    assert not (tmp_path / "runs").exists()
    assert split(one_fold(thin, 0, 2)).val is not None
