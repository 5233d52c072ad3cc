"""Leaving easy images out: which, how many, when, and that the gradient stays that of the whole batch on average."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.train.one_training import batch_of, training_of
from torch.nn import functional

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.errors import InvalidSetting
from snellen.recipes.recipe import SGD, Augment, DataPruning, Recipe
from snellen.train.batches import Batches
from snellen.train.data_pruning import Pruning
from snellen.train.ddp import Workers
from snellen.train.fit import FitOptions, fit
from snellen.train.setup import prepare
from snellen.train.training import Training

CPU = torch.device("cpu")
ALWAYS = DataPruning(easiest=0.6, skip=0.5, after=0.0, until=1.0)


def pruning(settings: DataPruning = ALWAYS, *, count: int = 100, steps: int = 10, seed: int = 0) -> Pruning:
    made = Pruning(settings, count=count, steps=steps, seed=seed, device=CPU)
    made.note(torch.arange(count), torch.arange(count).float())  # image 0 is the easiest
    return made


def batches_of(
    images: LabeledImages, size: int, augment: Augment | None = None, share: tuple[int, int] = (0, 1)
) -> Batches:
    recipe = Recipe(name="r", model="mlp", epochs=1, batch_size=size, augment=augment or Augment())
    return Batches(images, recipe, seed=0, device=CPU, share=share)


def thinned(made: Pruning, images: torch.Tensor, step: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    left = made.thin(images, step=step)
    assert left is not None
    return left


def test_all_hard_images_stay_and_count_once_and_half_of_the_easy_ones_count_twice() -> None:
    images = torch.tensor([90, 3, 50, 70, 1, 95, 20, 2, 80, 60])  # easy: 1, 2, 3, 20, 50, 60
    places, counts = thinned(pruning(), images)
    assert places.tolist() == sorted(set(places.tolist()))
    kept = images[places].tolist()
    assert {70, 80, 90, 95} < set(kept)
    assert len(kept) == 7
    assert dict(zip(kept, counts.tolist(), strict=True)) == {image: 1.0 if image >= 70 else 2.0 for image in kept}


def test_without_rescaling_the_same_images_stay_and_all_count_alike() -> None:
    images = torch.tensor([90, 3, 50, 70, 1, 95, 20, 2, 80, 60])
    places, counts = thinned(pruning(replace(ALWAYS, rescale=False)), images)
    assert places.equal(thinned(pruning(), images)[0])
    assert counts.tolist() == pytest.approx([10 / 7] * 7)


@settings(max_examples=100, deadline=None)
@given(
    st.floats(0.01, 0.9), st.floats(0.01, 0.99), st.booleans(),
    st.integers(2, 200), st.integers(0, 9), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_whatever_is_left_out_the_counts_add_up_to_the_batch(
    easiest: float, skip: float, rescale: bool, size: int, step: int, seed: int
) -> None:
    always = DataPruning(easiest=easiest, skip=skip, rescale=rescale, after=0.0, until=1.0)
    made = pruning(always, count=size, seed=seed)
    images = torch.from_numpy(np.random.default_rng(seed).permutation(size))
    left = made.thin(images, step=step)
    if left is None:
        assert int(easiest * size) < 2 or round(int(easiest * size) * (1 - skip)) == int(easiest * size)
        return
    places, counts = left
    assert 2 <= len(places) < size  # a batch norm needs two
    assert counts.sum().item() == pytest.approx(size, rel=1e-5)
    assert set(range(int(easiest * size), size)) <= set(images[places].tolist())


def test_over_many_steps_every_easy_image_counts_as_often_as_a_hard_one() -> None:
    made, total = pruning(steps=4_000), torch.zeros(100)
    for step in range(4_000):
        places, counts = thinned(made, torch.arange(100), step)
        total[places] += counts
    assert (total[60:] == 4_000).all()
    # Each is kept with probability 1/2: a mean of 1 with a standard deviation of 1 / sqrt(4000); 5 of these.
    assert (total[:60] / 4_000 - 1).abs().max() < 5 / 4_000**0.5


def test_the_draw_is_another_each_step_and_seed_and_the_same_for_the_same() -> None:
    def kept(seed: int, step: int) -> list[int]:
        return thinned(pruning(seed=seed), torch.arange(100), step)[0].tolist()

    assert kept(0, 1) == kept(0, 1)
    assert len({tuple(kept(seed, step)) for seed in range(2) for step in range(4)}) == 8


def test_nothing_is_left_out_before_and_after_its_time() -> None:
    made = pruning(DataPruning(after=0.2, until=0.7), steps=10)
    assert [made.thin(torch.arange(100), step=step) is not None for step in range(10)] == [False] * 2 + [True] * 5 + [
        False
    ] * 3


def test_an_image_not_trained_on_yet_is_hard() -> None:
    made = Pruning(ALWAYS, count=10, steps=10, seed=0, device=CPU)
    made.note(torch.arange(6), torch.full((6,), 9.0))
    places, _ = thinned(made, torch.arange(10).flip(0))
    assert set(range(4)) <= set(places.tolist())  # images 9, 8, 7, 6


def test_images_are_judged_by_the_last_loss_they_had() -> None:
    made = pruning(count=10)
    made.note(torch.tensor([9, 0]), torch.tensor([-1.0, 50.0]))
    for step in range(9):
        places, counts = thinned(made, torch.arange(10), step)
        assert dict(zip(places.tolist(), counts.tolist(), strict=True))[0] == 1.0
    assert any(9 not in thinned(made, torch.arange(10), step)[0] for step in range(9))


def test_a_thinned_batch_keeps_labels_and_draws_with_its_images(few_images: LabeledImages) -> None:
    def batches() -> Batches:
        return batches_of(few_images, 20, Augment(crop_pixels=2, brightness=0.3))

    made = pruning(count=len(few_images), steps=6)
    for whole, thin in zip(batches().epoch(1), batches().epoch(1, pruning=made), strict=True):
        assert (len(whole.positions), len(thin.positions)) == (20, 14)
        assert whole.sample_weights is None
        assert thin.sample_weights is not None
        assert thin.sample_weights.sum() == 20
        at = [whole.positions.tolist().index(image) for image in thin.positions.tolist()]
        assert torch.equal(thin.images, whole.images[at])
        assert torch.equal(thin.targets, whole.targets[at])
        assert torch.equal(thin.targets, torch.from_numpy(few_images.labels)[thin.positions])


def test_in_the_first_epoch_nothing_is_known_and_nothing_left_out(few_images: LabeledImages) -> None:
    made = batches_of(few_images, 20)
    fresh = Pruning(ALWAYS, count=len(few_images), steps=6, seed=0, device=CPU)
    assert [len(batch.positions) for batch in made.epoch(0, pruning=fresh)] == [20, 20, 20]
    assert [len(batch.positions) for batch in made.epoch(1, pruning=fresh)] == [14, 14, 14]


def test_of_an_image_that_is_in_a_batch_twice_the_larger_loss_is_remembered() -> None:
    made = pruning(count=4)
    made.note(torch.tensor([2, 0, 2]), torch.tensor([0.5, 7.0, 0.25]))
    assert made.losses.tolist() == [7.0, 1.0, 0.5, 3.0]


@pytest.mark.parametrize("change", [{"sampling": "balanced"}, {"class_weights": "balanced"}])
def test_it_goes_with_the_remedies_for_rare_classes(
    change: dict[str, str], tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    rare = np.flatnonzero((tiny_dataset.train.labels != 0) | (np.arange(300) % 4 == 0))
    uneven = Dataset("rare", tiny_dataset.train.take(rare, "all"), None, "here")
    recipe = tiny_recipe.replace(data_pruning=DataPruning(after=0.0), **change)
    run = fit(recipe, uneven, FitOptions(device="cpu", precision="fp32", runs=tmp_path))
    assert run.info["status"] == "finished"


def test_shares_of_a_thinned_batch_must_hold_two_images_each(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    setup = prepare(
        tiny_recipe.replace(batch_size=8, data_pruning=DataPruning()),
        tiny_dataset,
        seed=0,
        device="cpu",
        precision="fp32",
    )
    Training(setup, Workers(0, 3))
    with pytest.raises(InvalidSetting, match="batch of 6 images cannot be shared by 4 workers"):
        Training(setup, Workers(0, 4))


def test_two_shares_of_a_thinned_batch_make_it(few_images: LabeledImages) -> None:
    def first(share: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        made = batches_of(few_images, 21, share=share)
        batch = next(made.epoch(1, pruning=pruning(count=len(few_images), steps=6)))
        return batch.images, batch.sample_weights, batch.positions

    images, counts, of = first((0, 1))
    assert counts is not None
    for rank in range(2):
        shared_images, shared_counts, shared_of = first((rank, 2))
        assert torch.equal(shared_images, images[rank::2])
        assert shared_counts is not None
        assert torch.equal(shared_counts, counts[rank::2])
        assert torch.equal(shared_of, of)


def test_the_step_is_along_the_gradient_of_the_counted_losses_over_the_whole_batch(tiny_recipe: Recipe) -> None:
    recipe = tiny_recipe.replace(
        model="mlp", widths=(5,), batch_size=7, optimizer=SGD(lr=0.1, momentum=0.0, nesterov=False, weight_decay=0.0)
    )
    training = training_of(recipe)
    images, labels, counts = torch.rand(5, 3, 16, 16), torch.tensor([0, 1, 2, 0, 1]), torch.tensor([2.0, 1, 1, 2, 1])
    smoothing = recipe.label_smoothing
    losses = functional.cross_entropy(training.model(images), labels, label_smoothing=smoothing, reduction="none")
    (losses * counts).sum().backward()
    weights = {name: value.detach() - 0.1 * value.grad / 7 for name, value in training.model.named_parameters()}
    training.model.zero_grad()
    summed = training.step(batch_of(images, labels, counts))
    torch.testing.assert_close(summed, (losses * counts).sum().detach())
    for name, value in training.model.named_parameters():
        torch.testing.assert_close(value.detach(), weights[name], msg=name)


def test_a_recipe_without_it_remembers_nothing(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    setup = prepare(tiny_recipe, tiny_dataset, seed=0, device="cpu", precision="fp32")
    assert Training(setup).pruning is None
    made = Training(replace(setup, recipe=tiny_recipe.replace(data_pruning=DataPruning()))).pruning
    assert made is not None
    assert made.losses.shape == (len(setup.splits.train),)
