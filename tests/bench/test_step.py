"""A training held at one step."""

from __future__ import annotations

import pytest
import torch

from snellen.bench.step import Stage, TrainingStep, noise_images, stages
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import Freeze, Recipe, Resolution
from snellen.train.precision import DeviceAndPrecision

WHOLE = Stage(32, 1.0, 0.5)


def step(recipe: Recipe, stage: Stage = WHOLE, *, images: int = 20) -> TrainingStep:
    return TrainingStep(recipe, noise_images(images), DeviceAndPrecision(), stage)


def test_the_stages_of_a_recipe_cover_the_whole_training(tiny_recipe: Recipe) -> None:
    growing = tiny_recipe.replace(resolutions=(Resolution(side=24, until=0.25), Resolution(side=28, until=0.75)))
    assert stages(growing, 32) == [Stage(24, 0.25, 0.125), Stage(28, 0.5, 0.5), Stage(32, 0.25, 0.875)]
    assert stages(tiny_recipe, 32) == [Stage(32, 1.0, 0.5)]


def test_a_batch_has_the_stage_s_size_and_the_recipe_s_count(tiny_recipe: Recipe) -> None:
    batch = step(tiny_recipe.replace(batch_size=8), Stage(24, 1.0, 0.5)).batch()
    assert batch.images.shape == (8, 3, 24, 24)
    assert batch.targets.shape == (8,)


def test_a_batch_is_made_smaller_as_the_training_makes_it(tiny_recipe: Recipe) -> None:
    whole, smaller = (
        step(tiny_recipe.replace(batch_size=8, resolutions=stages), Stage(side, 1.0, 0.5)).batch().images
        for stages, side in (((), 32), ((Resolution(side=24, until=0.6, by="crop"),), 24))
    )
    assert smaller.equal(whole[..., 4:28, 4:28])


def test_batches_go_on_after_the_end_of_an_epoch(tiny_recipe: Recipe) -> None:
    made = step(tiny_recipe.replace(batch_size=8), images=20)
    assert made.training.per_epoch == 2
    assert len([made.whole() for _ in range(5)]) == 5


def test_what_the_recipe_has_frozen_by_then_is_frozen(tiny_recipe: Recipe) -> None:
    frozen = tiny_recipe.replace(freezes=(Freeze(prefix="net.conv1", after=0.5),))

    def trained(middle: float) -> bool:
        made = step(frozen, Stage(32, 1.0, middle))
        made.whole()
        return made.training.model.get_parameter("net.conv1.weight").requires_grad

    assert trained(0.4)
    assert not trained(0.6)


def test_a_whole_step_changes_the_weights(tiny_recipe: Recipe) -> None:
    made = step(tiny_recipe)
    before = made.training.model.get_parameter("net.conv1.weight").clone()
    assert torch.isfinite(made.whole())
    assert not torch.equal(before, made.training.model.get_parameter("net.conv1.weight"))


def test_a_step_of_small_cnn_costs_six_operations_per_multiply_add() -> None:
    # By hand, in multiply-adds: outputs times inputs of each filter.
    layers = 32 * 32 * 64 * 27 + 32 * 32 * 64 * 576 + 16 * 16 * 128 * 576 + 16 * 16 * 128 * 1152 + 128 * 10
    made = step(RECIPES["small_cnn"], images=2)
    assert made.flop_per_image() == pytest.approx(6 * layers)


def test_noise_is_the_same_each_time_and_has_every_class() -> None:
    first, second = noise_images(30, side=16, classes=5), noise_images(30, side=16, classes=5)
    assert first.fingerprint == second.fingerprint
    assert first.counts.tolist() == [6] * 5
