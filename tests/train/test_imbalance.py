"""Rare classes: balanced weights in the loss, balanced sampling, and nothing changed where neither is asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.train.one_training import batch_of, training_of
from torch.nn import functional

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.errors import InvalidSetting
from snellen.recipes.json_form import from_json, with_settings
from snellen.recipes.recipe import Augment, Recipe, Sampling
from snellen.serialize import to_json
from snellen.train.batches import Batches, _balanced
from snellen.train.fit import FitOptions, fit
from snellen.train.setup import prepare
from snellen.train.training import Training

CPU = torch.device("cpu")


@pytest.fixture
def uneven(few_images: LabeledImages) -> LabeledImages:
    """40 images of the first class, 15 of the second, 5 of the third; every pixel is the image's own number."""
    labels = np.repeat(np.arange(3, dtype=np.int64), (40, 15, 5))
    pixels = np.broadcast_to(np.arange(60, dtype=np.uint8)[:, None, None, None], (60, 32, 32, 3)).copy()
    return replace(few_images, images=pixels, labels=labels)


def batches(images: LabeledImages, sampling: Sampling, *, seed: int = 0, augment: Augment | None = None) -> Batches:
    recipe = Recipe(name="r", model="mlp", epochs=1, batch_size=20, augment=augment or Augment(), sampling=sampling)
    return Batches(images, recipe, seed=seed, device=CPU)


def seen(made: Batches, epoch: int, *, first: int = 0) -> list[int]:
    numbers = [torch.round(batch.images[:, 0, 0, 0] * 255).int() for batch in made.epoch(epoch, first=first)]
    return torch.cat(numbers).tolist()


def test_balanced_sampling_shows_each_class_equally_often(uneven: LabeledImages) -> None:
    shown = np.array(seen(batches(uneven, "balanced"), 0))
    assert np.bincount(uneven.labels[shown]).tolist() == [20, 20, 20]


def test_no_image_comes_a_second_time_before_its_whole_class_has_come_once(uneven: LabeledImages) -> None:
    times = Counter(seen(batches(uneven, "balanced"), 3))
    assert sorted(times[number] for number in range(55, 60)) == [4] * 5  # 20 places for 5 images
    assert sorted(times[number] for number in range(40, 55)) == [1] * 10 + [2] * 5
    assert {times[number] for number in range(40)} == {0, 1}


def test_balanced_sampling_is_a_function_of_seed_and_epoch_and_resumes_in_the_middle(uneven: LabeledImages) -> None:
    jitter = Augment(crop_pixels=2, flip="random", brightness=0.2)
    whole = list(batches(uneven, "balanced", seed=4, augment=jitter).epoch(2))
    rest = list(batches(uneven, "balanced", seed=4, augment=jitter).epoch(2, first=1))
    assert torch.equal(rest[0].images, whole[1].images)
    assert torch.equal(rest[0].targets, whole[1].targets)
    assert seen(batches(uneven, "balanced"), 0) != seen(batches(uneven, "balanced"), 1)
    assert seen(batches(uneven, "balanced"), 0) != seen(batches(uneven, "balanced", seed=1), 0)


def test_an_image_that_comes_twice_is_augmented_differently(uneven: LabeledImages) -> None:
    one = np.flatnonzero(uneven.labels == 2)[:1]
    lonely = uneven.take(np.concatenate([np.arange(40), one]), "train")
    made = batches(replace(lonely, images=lonely.images | 128), "balanced", augment=Augment(brightness=0.3))
    values = [float(x) for batch in made.epoch(0) for x in batch.images[batch.targets > 0, 0, 0, 0]]
    assert len(values) > 15
    assert len(set(values)) > 10


@given(st.lists(st.integers(1, 60), min_size=2, max_size=7), st.integers(0, 5))
def test_whatever_the_counts_the_places_are_shared_to_within_one(counts: list[int], epoch: int) -> None:
    ends = np.cumsum(counts)
    members = [np.arange(end - size, end) for size, end in zip(counts, ends, strict=True)]
    chosen = _balanced(members, 0, epoch, sum(counts))
    per_class = np.bincount(np.searchsorted(ends, chosen, side="right"), minlength=len(counts))
    assert len(chosen) == sum(counts)
    assert per_class.max() - per_class.min() <= 1


def test_balanced_weights_are_those_of_pytorchs_loss(tiny_recipe: Recipe) -> None:
    recipe = tiny_recipe.replace(model="mlp", widths=(5,), class_weights="balanced")
    training = training_of(recipe, count=7, classes=3)  # 3, 2 and 2 of a class
    images, labels = torch.rand(6, 3, 16, 16), torch.tensor([0, 0, 0, 1, 1, 2])
    weights = torch.tensor([7 / 9, 7 / 6, 7 / 6])
    expected = functional.cross_entropy(
        training.model(images), labels, weight=weights, label_smoothing=recipe.label_smoothing, reduction="sum"
    )
    summed = training.step(batch_of(images, labels))
    assert summed.item() == pytest.approx(expected.item())


def test_the_weights_of_a_training_are_those_of_its_training_images(tiny_dataset: Dataset, tiny_recipe: Recipe) -> None:
    rare = np.flatnonzero((tiny_dataset.train.labels != 0) | (np.arange(300) % 4 == 0))
    uneven = Dataset("rare", tiny_dataset.train.take(rare, "all"), None, "here")
    recipe = tiny_recipe.replace(class_weights="balanced")
    setup = prepare(recipe, uneven, seed=0, device="cpu", precision="fp32")
    weights = Training(setup).class_weights
    assert weights is not None
    counts = torch.from_numpy(setup.splits.train.counts)
    assert torch.allclose(weights * counts, torch.full((10,), len(setup.splits.train) / 10))
    assert Training(replace(setup, recipe=tiny_recipe)).class_weights is None


@pytest.mark.parametrize("setting", ["class_weights=balanced", "sampling=balanced"])
def test_either_remedy_trains_and_is_on_record(
    setting: str, tmp_path: Path, tiny_dataset: Dataset, tiny_recipe: Recipe
) -> None:
    recipe = with_settings(tiny_recipe, [setting])
    run = fit(recipe, tiny_dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path))
    assert run.recipe == recipe
    assert to_json(run.recipe)[setting.partition("=")[0]] == "balanced"


def test_a_recipe_written_before_there_were_remedies_reads_as_without(tiny_recipe: Recipe) -> None:
    content = to_json(tiny_recipe)
    del content["class_weights"], content["sampling"]
    assert from_json(content) == tiny_recipe


def test_both_remedies_at_once_are_refused(tiny_recipe: Recipe) -> None:
    with pytest.raises(InvalidSetting, match="sampling=balanced evens out the classes already"):
        with_settings(tiny_recipe, ["class_weights=balanced", "sampling=balanced"])


def test_images_beyond_what_may_live_on_the_device_give_the_same_batches(
    uneven: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    resident = list(batches(uneven, "natural").epoch(0))
    monkeypatch.setattr("snellen.train.batches._MOST_RESIDENT_BYTES", 0)
    for batch, other in zip(batches(uneven, "natural").epoch(0), resident, strict=True):
        assert torch.equal(batch.images, other.images)
        assert torch.equal(batch.targets, other.targets)
