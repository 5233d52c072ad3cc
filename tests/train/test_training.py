"""One training object: its batches, where it is held, and what a loop without a recorder makes of it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.one_training import batch_of, training_of

from snellen.data.dataset import Dataset
from snellen.errors import TrainingDiverged
from snellen.recipes.recipe import SGD, AdamW, Average, Finetune, Freeze, Muon, Recipe, Resolution
from snellen.train.setup import prepare
from snellen.train.training import Training, train


@pytest.fixture
def growing(tiny_recipe: Recipe) -> Recipe:
    """Images grow and a layer freezes in the middle; the weights are pulled to their mean from the beginning."""
    freeze, stage = Freeze(prefix="net.conv1", after=0.5), Resolution(side=8, until=0.5)
    return tiny_recipe.replace(
        batch_size=4, freezes=(freeze,), resolutions=(stage,), average=Average(after=0.0, every_steps=1)
    )


def test_each_stage_makes_pictures_smaller_in_its_own_way(tiny_recipe: Recipe) -> None:
    stages = (Resolution(side=8, until=0.3), Resolution(side=12, until=0.6, by="crop"))
    training = training_of(tiny_recipe.replace(batch_size=4, resolutions=stages))
    seen: list[torch.Tensor] = []
    training.model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    whole = torch.rand(4, 3, 16, 16)
    for training.steps_done in (0, 300, 600):
        training.step(batch_of(whole, torch.arange(4)))
    assert [tuple(each.shape[2:]) for each in seen] == [(8, 8), (12, 12), (16, 16)]
    assert torch.equal(seen[1], whole[..., 2:14, 2:14])
    assert torch.equal(seen[2], whole)


def test_batches_go_on_over_epochs_from_wherever_the_training_stands(tiny_recipe: Recipe) -> None:
    recipe = tiny_recipe.replace(batch_size=4, epochs=1)
    whole, late = training_of(recipe, count=10), training_of(recipe, count=10)
    seen = []
    for batch in islice(whole.batches(), 5):
        whole.step(batch)
        seen.append(batch.positions)
    late.steps_done = 3
    assert whole.per_epoch == 2
    assert torch.equal(next(late.batches()).positions, seen[3])
    assert not torch.equal(seen[0], seen[2])


def test_a_batch_of_one_picture_is_trained_where_nothing_asks_for_two(
    tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    recipe = tiny_recipe.replace(model="mlp", widths=(4,), batch_size=1)
    training = Training(prepare(recipe, tiny_dataset, seed=0, device="cpu", precision="fp32"), steps=2)
    assert [len(batch.images) for batch in islice(training.batches(), 2)] == [1, 1]


def test_it_ends_after_its_steps(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    setup = prepare(
        tiny_recipe.replace(batch_size=64, epochs=1.5), tiny_dataset, seed=0, device="cpu", precision="fp32"
    )
    training = train(Training(setup))
    assert (training.steps_done, training.steps, training.done) == (6, 6, 1.0)
    assert list(training.batches()) == []


@pytest.mark.parametrize(("held_at", "frozen"), [(0.2, False), (0.7, True), (None, False)])
def test_a_training_that_is_held_keeps_its_point_and_is_not_pulled_to_a_mean(
    growing: Recipe, held_at: float | None, frozen: bool
) -> None:
    training = training_of(growing)
    training.held_at = held_at
    images, labels = torch.rand(4, 3, 16, 16), torch.arange(4)
    for _ in range(3):
        training.step(batch_of(images, labels))
    assert training.model.get_parameter("net.conv1.weight").requires_grad is not frozen
    assert training.lookahead is not None
    assert bool(training.lookahead.mean) is (held_at is None)
    assert training.done == (3 / 1_000 if held_at is None else held_at)


@pytest.mark.parametrize(("shape", "small"), [((16, 24), (8, 12)), ((24, 16), (12, 8))])
def test_of_long_pictures_the_shorter_side_grows(
    growing: Recipe, shape: tuple[int, int], small: tuple[int, int]
) -> None:
    training, seen = training_of(growing), []
    training.model.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[2:])))
    for training.held_at in (0.2, 0.7):
        training.step(batch_of(torch.rand(4, 3, *shape), torch.arange(4)))
    assert seen == [small, shape]


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": SGD(lr=0.5)},
        {"optimizer": AdamW(lr=0.5), "finetune": Finetune(layer_decay=0.5)},
        {"optimizer": Muon(bias_lr=0.5, head_lr=0.4, filter_lr=0.3)},
    ],
    ids=["one group", "a group for each part", "two optimizers"],
)
def test_the_rate_that_is_told_is_that_of_the_last_step_of_the_first_group(
    tiny_recipe: Recipe, changes: dict[str, Any]
) -> None:
    training = training_of(tiny_recipe.replace(**changes), schedule=[1.0, 0.5, 0.25].__getitem__)
    told = [training.lr]
    for _ in range(3):
        training.step(batch_of(torch.rand(4, 3, 16, 16), torch.arange(4)))
        told.append(training.lr)
        assert training.lr == training.optimizers[0].param_groups[0]["lr"]
    assert told == [0.5, 0.5, 0.25, 0.125]


def test_without_a_recorder_nothing_is_written_and_a_loss_that_is_no_number_is_said(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hot = tiny_recipe.replace(batch_size=64, epochs=2, optimizer=SGD(lr=1e30))
    setup = prepare(hot, tiny_dataset, seed=0, device="cpu", precision="fp32")
    with pytest.raises(TrainingDiverged, match="by step"):
        train(Training(setup))
    assert list(tmp_path.iterdir()) == []
