"""A training that nobody writes down is the same training, and its times are told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import timed_training
from benchmarks.substitutes import substitutes
from benchmarks.timed_training import train_timed, weights_sha256
from snellen.data.dataset import Dataset
from snellen.models.catalog import ModelSpec, build
from snellen.models.weights import restore
from snellen.predict.predictions import Predictions
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import Augment, Recipe
from snellen.train import fit


@pytest.fixture
def small_sprint() -> Recipe:
    """Sprint with everything it has: whitening, Muon, three sizes, freezing, pruning, lookahead, unsure views."""
    return RECIPES["sprint"].replace(widths=(16, 16, 16), batch_size=64, epochs=3.5)


@pytest.mark.parametrize("name", ["tiny", "sprint", "weighed", "sampled", "mixed", "unpruned"])
def test_the_weights_are_those_of_the_full_loop_to_the_bit(
    name: str,
    tiny_recipe: Recipe,
    small_sprint: Recipe,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fit, "curves_png", lambda path, *_, **__: path.touch())
    weighed, sampled = tiny_recipe.replace(class_weights="balanced"), tiny_recipe.replace(sampling="balanced")
    augment = Augment(randaugment=1, erase=0.5, mixup=0.2, cutmix=1.0)
    mixed = tiny_recipe.replace(augment=augment, ema_decay=0.9)
    recipes = {
        "tiny": tiny_recipe,
        "sprint": small_sprint,
        "weighed": weighed,
        "sampled": sampled,
        "mixed": mixed,
        "unpruned": small_sprint.replace(data_pruning=None),
    }
    recipe = recipes[name]
    everything = tiny_dataset.train  # of the first class a third is kept, so that there is something to even out
    rare = everything.take(np.flatnonzero((everything.labels > 0) | (everything.ids % 30 == 0)), "all")
    tiny_dataset = replace(tiny_dataset, train=rare)
    full = fit.fit(
        recipe, tiny_dataset, fit.FitOptions(seed=3, final=True, device="cpu", precision="fp32", runs=tmp_path)
    )
    bare = train_timed(recipe, tiny_dataset, seed=3, final=True, device="cpu", precision="fp32")
    assert weights_sha256(bare.training.graded) == weights_sha256(restore(full))


def test_a_run_with_val_images_answers_them_as_the_full_loop_grades_its_last_epoch(
    tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    bare = train_timed(tiny_recipe, tiny_dataset, seed=0, final=False, device="cpu", precision="fp32")
    assert isinstance(bare.answers, Predictions)
    assert bare.answers.split == "val"
    assert len(bare.answers) == 30
    assert bare.seconds == pytest.approx(bare.prepare_seconds + bare.train_seconds + bare.evaluate_seconds)


def test_the_substitutes_of_a_sealed_test_set_are_training_images_and_as_many(tiny_dataset: Dataset) -> None:
    images = substitutes(tiny_dataset)
    assert len(images) == 60
    np.testing.assert_array_equal(images.ids, tiny_dataset.train.ids[:60])


def test_the_cold_process_prints_its_times(capsys: pytest.CaptureFixture[str]) -> None:
    changes = ["epochs=0.2", "batch_size=32", "widths=[16,16,16]"]
    words = ["--recipe", "sprint", "--letters", "100", "--device", "cpu", "--set", *changes]
    assert timed_training.main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert 0 < told["train_seconds"] < told["warm_part_seconds"]


def test_the_identity_of_a_model_follows_every_weight_and_buffer() -> None:
    def model(seed: int = 0) -> torch.nn.Module:
        return build(
            ModelSpec(
                "small_cnn",
                image_shape=(32, 32, 3),
                num_classes=3,
                mean=(0.5,) * 3,
                std=(0.2,) * 3,
                options={"widths": (4, 4, 4, 4)},
            ),
            seed=seed,
        )

    same, changed = model(), model()
    changed.get_buffer("net.bn1.running_mean")[0] += 1e-6
    assert weights_sha256(model()) == weights_sha256(same)
    assert len({weights_sha256(one) for one in (same, changed, model(1))}) == 3
