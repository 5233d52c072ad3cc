"""The range test: rates rise, it stops when the loss runs away, and what it suggests trains."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting
from snellen.recipes.json_form import rates
from snellen.recipes.recipe import SGD, Muon, Recipe
from snellen.train import lr_finder
from snellen.train.lr_finder import RangeTest, range_test
from snellen.train.setup import TrainingSetup, prepare


def setup(recipe: Recipe, dataset: Dataset) -> TrainingSetup:
    return prepare(recipe, dataset, seed=0, device="cpu", precision="fp32")


def test_factors_rise_by_one_ratio_and_every_step_is_told(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    steps: list[int] = []
    found = range_test(setup(tiny_recipe, tiny_dataset), steps=40, advance=steps.append)
    assert steps == list(range(1, len(found.factors) + 1))
    ratios = [late / early for early, late in zip(found.factors, found.factors[1:], strict=False)]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))
    assert found.factors[0] == pytest.approx(1e-4)
    assert found.factors[-1] == pytest.approx(1e-4 * 1e5 ** ((len(found.factors) - 1) / 39))
    assert found.steepest in found.factors
    assert found.steepest <= found.lowest


def test_it_stops_when_the_loss_runs_away(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    hot = tiny_recipe.replace(optimizer=SGD(lr=50.0))
    found = range_test(setup(hot, tiny_dataset), steps=100)
    assert len(found.factors) < 100
    assert max(found.losses) <= 3 * min(found.losses)
    assert found.steepest < 0.5  # 50 is far too much, and it says so


class Told:
    """Stands for a training: four pictures a step, and these mean losses."""

    batch_size = 4

    def __init__(self, losses: list[float], begun: list[dict[str, Any]], **how: Any) -> None:
        begun.append({"steps": how["steps"], "held_at": how["held_at"], "last": how["schedule"](how["steps"] - 1)})
        self.losses = losses

    def batches(self) -> range:
        return range(len(self.losses))

    def step(self, batch: int) -> torch.Tensor:
        return torch.tensor(4 * self.losses[batch], dtype=torch.float64)


@pytest.mark.parametrize(("end", "kept"), [([2.0] * 10, 40), ([2.0, 200.0, 2.0], 31), ([2.0, math.nan, 2.0], 31)])
def test_losses_are_smoothed_as_if_the_mean_had_begun_with_the_first(
    monkeypatch: pytest.MonkeyPatch, tiny_recipe: Recipe, tiny_dataset: Dataset, end: list[float], kept: int
) -> None:
    losses = [4.0 - step / 15 for step in range(30)] + end
    begun: list[dict[str, Any]] = []
    monkeypatch.setattr(lr_finder, "Training", lambda setup, **how: Told(losses, begun, **how))
    steps: list[int] = []
    found = range_test(setup(tiny_recipe, tiny_dataset), steps=40, advance=steps.append)
    weights = [0.9**age for age in range(40)]
    smoothed = [
        sum(weight * loss for weight, loss in zip(weights, losses[at::-1], strict=False)) / sum(weights[: at + 1])
        for at in range(kept)
    ]
    assert found.losses == pytest.approx(smoothed)
    assert found.factors == pytest.approx([1e-4 * 1e5 ** (at / 39) for at in range(kept)])
    assert steps == list(range(1, kept + 1))
    assert begun == [{"steps": 40, "held_at": 0.0, "last": pytest.approx(10.0)}]


def test_it_runs_away_where_the_smoothed_loss_is_more_than_three_times_the_smallest(
    monkeypatch: pytest.MonkeyPatch, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    for last, kept in ((2.99, 40), (3.01, 39)):
        weights = [0.9**age for age in range(40)]
        spike = last * sum(weights) - sum(weights[1:])  # after 39 ones the smoothed loss is `last`
        losses = [1.0] * 39 + [spike]
        monkeypatch.setattr(lr_finder, "Training", lambda setup, losses=losses, **how: Told(losses, [], **how))
        assert len(range_test(setup(tiny_recipe, tiny_dataset), steps=40).losses) == kept


def test_the_same_seed_gives_the_same_curve_and_nothing_is_left_changed(
    tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    prepared = setup(tiny_recipe, tiny_dataset)
    assert range_test(prepared, steps=20) == range_test(prepared, steps=20)


def test_a_curve_that_falls_in_the_middle_is_steepest_there(monkeypatch: pytest.MonkeyPatch) -> None:
    factors = [10.0**power for power in range(30)]
    losses = [2.0] * 14 + [1.9, 1.2, 0.7] + [0.6, 0.59, 0.58] + [0.9] * 10
    steepest, lowest = lr_finder._read(factors, losses)
    assert (steepest, lowest) == (factors[15], factors[19])  # from 2.0 two points before to 0.6 two points after


def test_the_first_ten_points_are_noise_and_the_last_has_no_neighbour() -> None:
    factors = [float(at) for at in range(13)]
    falling = [5.0 - at / 10 for at in range(13)]
    assert lr_finder._read(factors, falling) == (10.0, 12.0)
    assert lr_finder._read(factors, [0.0, *falling[1:11], 9.0, 9.0]) == (10.0, 10.0)
    with pytest.raises(InvalidSetting, match="ran away after 12 steps"):
        lr_finder._read(factors[:12], falling[:12])


def test_all_rates_of_a_recipe_are_scaled_together() -> None:
    recipe = Recipe(name="x", model="sprint_net", epochs=1, batch_size=8, optimizer=Muon(filter_lr=0.2))
    assert set(rates(recipe)) == {"optimizer.filter_lr", "optimizer.bias_lr", "optimizer.head_lr"}
    suggested = RangeTest((), (), steepest=0.5, lowest=1.0).suggestion(recipe)
    assert suggested["optimizer.filter_lr"] == 0.1
    assert set(suggested) == {"optimizer.filter_lr", "optimizer.bias_lr", "optimizer.head_lr"}


@pytest.mark.parametrize("steps", [0, 19, 10_001])
def test_a_number_of_steps_that_shows_nothing_is_refused(
    tiny_recipe: Recipe, tiny_dataset: Dataset, steps: int
) -> None:
    with pytest.raises(InvalidSetting, match=f"--steps {steps} is not possible"):
        range_test(setup(tiny_recipe, tiny_dataset), steps=steps)


def test_a_loss_that_runs_away_at_once_is_said_with_a_way_out() -> None:
    with pytest.raises(InvalidSetting, match="ran away after 3 steps.*Divide them by 1000"):
        lr_finder._read([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])
