"""The shipped recipes: what they are, and that each one trains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, UnknownName
from snellen.recipes.catalog import RECIPES, find_recipe
from snellen.recipes.recipe import SGD, Augment, Muon, Recipe, Schedule
from snellen.serialize import to_json
from snellen.train.setup import prepare
from snellen.train.training import Training


def test_each_recipe_is_found_under_its_own_name() -> None:
    assert all(find_recipe(name).name == name == recipe.name for name, recipe in RECIPES.items())


def test_the_recipes_the_readme_speaks_of_are_there() -> None:
    assert {"mlp", "plain", "small_cnn", "resnet18", "sprint", "glance"} <= set(RECIPES)


def test_each_recipe_says_in_one_sentence_what_it_is_for() -> None:
    assert all(recipe.note.endswith(".") for recipe in RECIPES.values())


def test_an_unknown_recipe_names_the_nearest_and_the_list() -> None:
    with pytest.raises(UnknownName) as refused:
        find_recipe("resnet-18")
    assert str(refused.value) == "Unknown recipe 'resnet-18'. Did you mean 'resnet18'? List them: snellen recipes"


def test_a_name_that_ends_in_json_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(to_json(RECIPES["mlp"])))
    assert find_recipe(str(path)) == RECIPES["mlp"]
    path.write_text('{"name": "x"}')
    with pytest.raises(InvalidSetting):
        find_recipe(str(path))


def test_resnet18_is_the_lessons_production_recipe_to_the_letter() -> None:
    recipe = find_recipe("resnet18")
    assert recipe.model == "resnet18"
    assert recipe.epochs == 100
    assert recipe.batch_size == 128
    assert recipe.optimizer == SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    assert recipe.schedule == Schedule(shape="cosine", per="epoch")
    assert recipe.label_smoothing == 0.1
    assert recipe.augment == Augment(crop_pixels=4, flip="random", brightness=0.2, contrast=0.2, saturation=0.2)
    assert (recipe.resolutions, recipe.freezes, recipe.average) == ((), (), None)


def test_the_small_cnn_ladder_adds_augmentation_first_and_the_schedule_second() -> None:
    baseline, augmented, full = (RECIPES[name] for name in ("small_cnn_baseline", "small_cnn_augmented", "small_cnn"))
    assert (baseline.augment, baseline.optimizer, baseline.schedule) == (Augment(), SGD(lr=0.1), Schedule())
    assert augmented == baseline.replace(
        name=augmented.name, note=augmented.note, augment=Augment(crop_pixels=4, flip="random")
    )
    assert full.augment == augmented.augment
    assert full.optimizer == SGD(lr=0.1, momentum=0.9, weight_decay=5e-4)
    assert full.schedule.shape == "cosine"


def test_sprint_whitens_uses_muon_and_grows_its_images() -> None:
    sprint = find_recipe("sprint")
    assert sprint.model == "sprint_net"
    assert isinstance(sprint.optimizer, Muon)
    assert [stage.side for stage in sprint.resolutions] == [24, 28]
    assert sprint.tta != "none"


def test_letters_are_not_mirrored() -> None:
    assert find_recipe("glance").augment.flip == "none"
    assert find_recipe("glance").tta == "none"


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_builds_its_model_and_one_step_changes_every_trained_weight(
    name: str, tiny_dataset: Dataset
) -> None:
    recipe: Recipe = RECIPES[name]
    recipe = recipe.replace(stem="small") if recipe.stem == "stock" else recipe  # the letters are too small for it
    training = Training(
        prepare(recipe, tiny_dataset, seed=0, device="cpu", precision="fp32"), schedule=lambda step: 1.0
    )
    batch = next(training.batches())
    model = training.model
    before = {key: value.clone() for key, value in model.named_parameters()}
    loss = training.step(batch)
    assert torch.isfinite(loss)
    for key, value in model.named_parameters():
        assert torch.isfinite(value).all()
        assert torch.equal(value, before[key]) == (not value.requires_grad), key
