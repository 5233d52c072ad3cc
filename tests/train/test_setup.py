"""What a training needs is checked before the first step, and before a folder is made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from snellen.data.arrays import from_arrays
from snellen.data.dataset import Dataset
from snellen.data.pixel_statistics import measure
from snellen.errors import InvalidSetting, UnknownName
from snellen.recipes.recipe import Freeze, Muon, Recipe, Resolution
from snellen.runs.run import Run
from snellen.train.fit import FitOptions, fit
from snellen.train.setup import TrainingSetup, begin_with, prepare, resume_setup


def prepared(recipe: Recipe, dataset: Dataset, **changes: Any) -> TrainingSetup:
    return prepare(recipe, dataset, **({"seed": 0, "device": "cpu", "precision": "fp32"} | changes))


def test_statistics_come_from_the_training_images_and_not_from_val(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    setup = prepared(tiny_recipe, tiny_dataset)
    assert setup.splits.val is not None
    assert (len(setup.splits.train), len(setup.splits.val)) == (270, 30)
    assert not set(setup.splits.train.ids) & set(setup.splits.val.ids)
    expected = setup.splits.train.images.reshape(-1, 3) / 255
    np.testing.assert_allclose(setup.statistics.mean, expected.mean(axis=0))
    np.testing.assert_allclose(setup.statistics.std, expected.std(axis=0))
    assert setup.statistics == measure(setup.splits.train)


def test_a_final_training_has_all_images_and_no_val(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    setup = prepared(tiny_recipe, tiny_dataset, final=True)
    assert setup.final
    assert setup.splits.val is None
    assert sorted(setup.splits.train.ids) == list(range(300))


def test_equal_seeds_begin_with_equal_weights(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    def weights(seed: int) -> torch.Tensor:
        return torch.cat([p.flatten() for p in prepared(tiny_recipe, tiny_dataset, seed=seed).new_model().parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_the_description_is_json_and_says_what_was_trained_on(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    about = json.loads(json.dumps(prepared(tiny_recipe, tiny_dataset).describe(), allow_nan=False))
    assert about["data"]["train"]["count"] == 270
    assert about["data"]["val"]["per_class"] == [3] * 10
    assert (about["seed"], about["final"], about["device"], about["precision"]) == (0, False, "cpu", "fp32")


@pytest.mark.parametrize(
    ("changes", "options", "sentence"),
    [
        ({}, {"seed": -1}, "--seed -1 is not possible"),
        ({}, {"seed": 2**32}, "--seed 4294967296 is not possible"),
        ({}, {"device": "tpu"}, "--device tpu is not available here"),
        ({}, {"precision": "fp8"}, "--precision fp8 is not possible"),
        ({"widths": (4,)}, {}, r"widths=\(4,\) is not possible for small_cnn"),
        ({"stem": "stock"}, {}, "option of model 'small_cnn'"),
        ({"freezes": (Freeze(prefix="net.convl", after=0.5),)}, {}, "Unknown parameter in freezes.prefix 'net.convl'"),
        (
            {"model": "mlp", "widths": (), "resolutions": (Resolution(side=24, until=0.5),)},
            {},
            "resolutions.side=24 is not possible: mlp for images of 32x32 px",
        ),
        (
            {"model": "sprint_net", "widths": (24, 24, 24), "resolutions": (Resolution(side=8, until=0.5),)},
            {},
            "resolutions.side=8 is not possible: sprint_net",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_a_folder_is_made(
    tmp_path: Path,
    tiny_recipe: Recipe,
    tiny_dataset: Dataset,
    changes: dict[str, Any],
    options: dict[str, Any],
    sentence: str,
) -> None:
    with pytest.raises((InvalidSetting, UnknownName), match=sentence):
        fit(
            tiny_recipe.replace(**changes),
            tiny_dataset,
            FitOptions(runs=tmp_path / "runs", **{"device": "cpu", "precision": "fp32"} | options),
        )
    assert not (tmp_path / "runs").exists()


def test_the_head_of_another_runs_classes_is_not_taken_over(
    tiny_recipe: Recipe, tiny_dataset: Dataset, finished_run: Run
) -> None:
    weights = finished_run.folder / "weights.safetensors"
    same = begin_with(prepared(tiny_recipe, tiny_dataset), weights)
    assert same.load_report is not None
    assert same.load_report.new == ()
    names = tiny_dataset.train.class_names[::-1]  # as many, and each is another
    others = replace(tiny_dataset, train=replace(tiny_dataset.train, class_names=names), test=None)
    begun = begin_with(prepared(tiny_recipe, others), weights)
    assert begun.load_report is not None
    assert begun.load_report.new == ("fc.weight", "fc.bias")
    first, second = same.new_model().state_dict(), begun.new_model().state_dict()
    assert {name for name in first if not torch.equal(first[name], second[name])} == {
        "net.fc.weight",
        "net.fc.bias",
    }


@pytest.mark.parametrize("axis", [1, 2])
def test_a_stage_on_long_pictures_is_tried_by_their_shorter_side(
    tiny_recipe: Recipe, tiny_dataset: Dataset, axis: int
) -> None:
    letters = tiny_dataset.train
    long = from_arrays(np.concatenate([letters.images] * 2, axis=axis), letters.labels)
    recipe = tiny_recipe.replace(model="sprint_net", widths=(24, 24, 24))
    assert prepared(recipe.replace(resolutions=(Resolution(side=12, until=0.5),)), long)
    with pytest.raises(InvalidSetting, match="side=8 is not possible"):
        prepared(recipe.replace(resolutions=(Resolution(side=8, until=0.5),)), long)


def test_a_stage_larger_than_the_pictures_enlarges_none(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    stage = Resolution(side=40, until=0.5)  # an mlp takes no picture of another size
    assert prepared(tiny_recipe.replace(model="mlp", widths=(), resolutions=(stage,)), tiny_dataset)


def test_a_file_takes_the_place_of_the_weights_that_a_recipe_begins_with(
    tiny_recipe: Recipe, tiny_dataset: Dataset, finished_run: Run, tmp_path: Path
) -> None:
    weights = load_file(finished_run.folder / "weights.safetensors")
    save_file({name: values for name, values in weights.items() if ".fc." not in name}, tmp_path / "part.safetensors")
    plain = prepared(tiny_recipe, tiny_dataset)
    begun = [begin_with(each, tmp_path / "part.safetensors") for each in (plain, replace(plain, weights="pretrained"))]
    assert [each.weights for each in begun] == [tmp_path / "part.safetensors"] * 2
    first, second = (each.new_model().state_dict() for each in begun)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_an_unknown_model_names_the_nearest(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'resnet18'"):
        prepared(tiny_recipe.replace(model="resnet-18", widths=()), tiny_dataset)


def test_muon_is_not_for_a_model_without_filters(tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    recipe = tiny_recipe.replace(model="mlp", widths=(), optimizer=Muon())
    with pytest.raises(InvalidSetting, match="use sgd"):
        fit(recipe, tiny_dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path))


@pytest.mark.parametrize("seed", [0, 3])
def test_a_resumed_training_has_the_seed_it_began_with(tiny_recipe: Recipe, tiny_dataset: Dataset, seed: int) -> None:
    about = prepared(tiny_recipe, tiny_dataset, seed=seed).describe()
    assert resume_setup(about, tiny_recipe, tiny_dataset).seed == seed
