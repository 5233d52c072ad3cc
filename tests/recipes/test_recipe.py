"""A recipe cannot hold what cannot be trained, and says which value is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from snellen.errors import InvalidSetting
from snellen.recipes.recipe import SGD, Augment, Average, DataPruning, Freeze, Muon, Recipe, Resolution, Schedule


def recipe(**changes: Any) -> Recipe:
    return Recipe(**({"name": "r", "model": "mlp", "epochs": 1, "batch_size": 8} | changes))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: recipe(epochs=0), "epochs=0"),
        (lambda: recipe(epochs=-1), "epochs=-1"),
        (lambda: recipe(epochs=10_001), "epochs=10001"),
        (lambda: recipe(epochs=float("nan")), "epochs=nan"),
        (lambda: recipe(batch_size=0), "batch_size=0"),
        (lambda: recipe(batch_size=65_537), "batch_size=65537"),
        (lambda: recipe(label_smoothing=1.0), "label_smoothing=1.0"),
        (lambda: recipe(label_smoothing=-0.1), "label_smoothing=-0.1"),
        (lambda: recipe(tta="flips"), "tta='flips'"),
        (lambda: recipe(tta_fraction=0.0), "tta_fraction=0.0"),
        (lambda: recipe(tta="none", tta_fraction=0.5), "tta_fraction=0.5"),
        (lambda: recipe(evaluate_every=0), "evaluate_every=0"),
        (lambda: recipe(patience=-1), "patience=-1"),
        (lambda: recipe(widths=(0,)), r"widths=\(0,\)"),
        (lambda: recipe(resolutions=(Resolution(side=16, until=0.5), Resolution(side=8, until=0.5))), "rise"),
        (lambda: Augment(crop_pixels=-1), "augment.crop_pixels=-1"),
        (lambda: Augment(crop_pixels=17), "augment.crop_pixels=17"),
        (lambda: Augment(flip="vertical"), "augment.flip='vertical'"),  # type: ignore[arg-type]
        (lambda: Augment(brightness=1.0), "augment.brightness=1.0"),
        (lambda: Augment(contrast=float("nan")), "augment.contrast=nan"),
        (lambda: Augment(saturation=-0.1), "augment.saturation=-0.1"),
        (lambda: SGD(lr=0.0), "optimizer.lr=0.0"),
        (lambda: SGD(lr=float("nan")), "optimizer.lr=nan"),
        (lambda: SGD(momentum=1.0), "optimizer.momentum=1.0"),
        (lambda: SGD(weight_decay=-1e-4), "optimizer.weight_decay"),
        (lambda: SGD(nesterov=True), "optimizer.nesterov=True"),
        (lambda: Muon(filter_lr=0.0), "optimizer.filter_lr=0.0"),
        (lambda: Muon(filter_momentum=0.0), "optimizer.filter_momentum=0.0"),
        (lambda: recipe(schedule=Schedule(shape="step")).require_parts(), "schedule.shape='step'"),
        (lambda: Schedule(shape="cosine", warmup_fraction=1.0), "schedule.warmup_fraction=1.0"),
        (lambda: Schedule(shape="linear", warmup_fraction=0.6, tail_fraction=0.4), "schedule.tail_fraction=0.4"),
        (lambda: Schedule(floor=0.1), "constant rate has no floor"),
        (lambda: Schedule(tail_fraction=0.1), "constant rate has no floor"),
        (lambda: Resolution(side=7, until=0.5), "resolutions.side=7"),
        (lambda: Resolution(side=8, until=1.0), "resolutions.until=1.0"),
        (lambda: Resolution(side=8, until=0.5, by="cut"), "resolutions.by='cut'"),  # type: ignore[arg-type]
        (lambda: Freeze(prefix="", after=0.5), "freezes.prefix=''"),
        (lambda: Freeze(prefix="net", after=0.0), "freezes.after=0.0"),
        (lambda: DataPruning(easiest=0.0), "data_pruning.easiest=0.0"),
        (lambda: DataPruning(easiest=0.95), "data_pruning.easiest=0.95"),
        (lambda: DataPruning(skip=1.0), "data_pruning.skip=1.0"),
        (lambda: DataPruning(after=-0.1), "data_pruning.after=-0.1"),
        (lambda: DataPruning(after=0.5, until=0.5), "data_pruning.until=0.5"),
        (lambda: DataPruning(until=1.1), "data_pruning.until=1.1"),
        (
            lambda: recipe(data_pruning=DataPruning(), augment=Augment(mixup=0.2)),
            "augment.mixup=0.2 is not .* use data_pruning=null",
        ),
        (
            lambda: recipe(data_pruning=DataPruning(), augment=Augment(cutmix=1.0)),
            "augment.cutmix=1.0 is not .* use data_pruning=null",
        ),
        (lambda: recipe(epochs="a"), "epochs='a' is not possible: a number"),
        (lambda: recipe(widths=3), "widths=3 is not possible: a list of a whole number"),
        (lambda: recipe(optimizer=3), "optimizer=3 is not possible: SGD or AdamW or Muon"),
        (lambda: Augment(crop_pixels="4"), "augment.crop_pixels='4' is not possible: a whole number"),
        (lambda: Average(after=1.0), "average.after=1.0"),
        (lambda: Average(after=0.5, every_steps=0), "average.every_steps=0"),
        (lambda: Average(after=0.5, weight=0.0), "average.weight=0.0"),
    ],
)
def test_an_impossible_value_is_refused_by_name(make: Callable[[], object], named: str) -> None:
    with pytest.raises(InvalidSetting, match=named):
        make()


def test_a_recipe_cannot_be_changed_in_place_only_copied() -> None:
    original = recipe()
    with pytest.raises(dataclasses.FrozenInstanceError):
        original.epochs = 3  # type: ignore[misc]
    assert original.replace(epochs=3).epochs == 3
    assert original.epochs == 1


def test_a_copy_is_checked_like_a_new_one() -> None:
    with pytest.raises(InvalidSetting, match="epochs=0"):
        recipe().replace(epochs=0)


def test_equal_recipes_are_equal_and_hash_alike() -> None:
    assert recipe() == recipe()
    assert len({recipe(), recipe(), recipe(epochs=2)}) == 2


def test_the_side_of_training_images_rises_stage_by_stage_to_the_full_one() -> None:
    growing = recipe(resolutions=(Resolution(side=24, until=0.25), Resolution(side=28, until=0.5)))
    sides = [growing.side_at(fraction, full=32) for fraction in (0.0, 0.2499, 0.25, 0.4999, 0.5, 1.0)]
    assert sides == [24, 24, 28, 28, 32, 32]


def test_images_are_never_enlarged_beyond_their_own_side() -> None:
    assert recipe(resolutions=(Resolution(side=64, until=0.5),)).side_at(0.0, full=32) == 32


def test_only_what_was_chosen_about_the_model_reaches_its_builder() -> None:
    assert recipe().model_options == {}
    assert recipe(widths=(4,), stem="stock").model_options == {"widths": (4,), "stem": "stock"}


def test_only_the_default_augmentation_changes_nothing() -> None:
    assert Augment().is_identity
    assert not Augment(crop_pixels=1).is_identity


def test_what_is_left_out_of_a_whole_training() -> None:
    data_pruning = DataPruning(easiest=0.6, skip=0.5, after=0.1, until=0.9)
    assert data_pruning.trained_share(20) == pytest.approx(1 - 0.6 * 0.5 * 0.8)
    assert data_pruning.trained_share(2.5) == pytest.approx(1 - 0.6 * 0.5 * 0.5)  # the first epoch is whole
    assert data_pruning.trained_share(0.5) == 1
