"""The loop calls what the recipe says, when it says so: seen from inside, one step after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from snellen.data.dataset import Dataset
from snellen.models.weights import restore
from snellen.recipes.recipe import Augment, Average, Freeze, Recipe, ResizedBy, Resolution, Schedule
from snellen.runs.run import Run
from snellen.train import losses
from snellen.train import training as training_file
from snellen.train.batches import Batch
from snellen.train.fit import FitOptions, fit
from snellen.train.optimizers import Lookahead
from snellen.train.schedules import lr_fraction
from snellen.train.training import Training

STEPS_PER_EPOCH = 4  # 270 training images in batches of 64


@dataclass
class Seen:
    """What each step of a training got, in order, and the run it became."""

    sides: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    frozen: list[set[str]] = field(default_factory=list)
    training: list[bool] = field(default_factory=list)
    batches: list[bytes] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    weights_before: list[torch.Tensor] = field(default_factory=list)
    weights_after: list[torch.Tensor] = field(default_factory=list)
    whitening: list[torch.Tensor] = field(default_factory=list)
    run: Run | None = None


def watch(recipe: Recipe, dataset: Dataset, runs: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Seen:
    seen, real, resize_side = Seen(), Training.step, training_file.resize_side

    def step(training: Training, batch: Batch) -> torch.Tensor:
        model = training.model
        last = list(model.parameters())[-1]
        seen.training.append(model.training)
        seen.labels.append(batch.targets.tolist())
        seen.weights_before.append(last.detach().clone())
        if hasattr(model.net, "whiten"):
            seen.whitening.append(model.net.whiten.weight.detach().clone())
        loss = real(training, batch)
        group = training.optimizers[0].param_groups[0]
        seen.rates.append(group["lr"] / group["peak_lr"])
        seen.frozen.append({name for name, value in model.named_parameters() if not value.requires_grad})
        seen.weights_after.append(last.detach().clone())
        return loss

    def resized(images: torch.Tensor, side: int, by: ResizedBy) -> torch.Tensor:
        shown = resize_side(images, side, by)
        seen.sides.append(shown.shape[-1])
        seen.batches.append(shown.numpy().tobytes())
        return shown

    monkeypatch.setattr(Training, "step", step)
    monkeypatch.setattr(training_file, "resize_side", resized)
    seen.run = fit(recipe, dataset, FitOptions(device="cpu", precision="fp32", runs=runs, **options))
    return seen


@pytest.fixture
def recipe(tiny_recipe: Recipe) -> Recipe:
    return tiny_recipe.replace(batch_size=64, epochs=2.5)


def test_each_step_gets_the_rate_of_its_own_number(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = Schedule(shape="linear", warmup_fraction=0.2, tail_fraction=0.2, floor=0.05)
    seen = watch(recipe.replace(schedule=schedule), tiny_dataset, tmp_path, monkeypatch)
    expected = [lr_fraction(schedule, step=step, steps=10, steps_per_epoch=STEPS_PER_EPOCH) for step in range(10)]
    assert seen.rates == pytest.approx(expected, rel=1e-12)
    assert len(set(expected)) > 5


def test_images_grow_stage_by_stage(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = recipe.replace(resolutions=(Resolution(side=16, until=0.3), Resolution(side=24, until=0.6)))
    assert watch(growing, tiny_dataset, tmp_path, monkeypatch).sides == [16] * 3 + [24] * 3 + [32] * 4


def test_a_parameter_is_trained_until_it_is_frozen_and_not_after(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freezes = (Freeze(prefix="net.conv1", after=0.3), Freeze(prefix="net.fc", after=0.6))
    seen = watch(recipe.replace(freezes=freezes), tiny_dataset, tmp_path, monkeypatch)
    late = {"net.conv1.weight", "net.fc.weight", "net.fc.bias"}
    assert seen.frozen == [set()] * 3 + [{"net.conv1.weight"}] * 3 + [late] * 4
    moved = [not torch.equal(*pair) for pair in zip(seen.weights_before, seen.weights_after, strict=True)]
    assert moved == [True] * 6 + [False] * 4  # the last parameter is net.fc.bias


def test_lookahead_pulls_the_weights_between_steps_from_its_start_on(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, real = [], Lookahead.after_step

    def after_step(lookahead: Lookahead, step: int) -> None:
        before = {name: value.clone() for name, value in lookahead._tensors.items()}
        real(lookahead, step)
        if not all(torch.equal(value, before[name]) for name, value in lookahead._tensors.items()):
            changed.append(step)

    monkeypatch.setattr(Lookahead, "after_step", after_step)
    watch(recipe.replace(average=Average(after=0.4, every_steps=2)), tiny_dataset, tmp_path, monkeypatch)
    assert changed == [6, 8, 10]  # a copy is taken after step 4


def test_the_weights_that_are_kept_are_the_moving_average_over_every_step(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(recipe.replace(ema_decay=0.5, epochs=1), tiny_dataset, tmp_path, monkeypatch)
    mean = seen.weights_after[0]
    for weights in seen.weights_after[1:]:
        mean = 0.5 * mean + 0.5 * weights
    assert seen.run is not None
    kept = list(restore(seen.run).parameters())[-1].detach()
    torch.testing.assert_close(kept, mean)
    assert not torch.allclose(kept, seen.weights_after[-1])


def test_every_step_weighs_the_classes_as_the_recipe_says(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = tiny_dataset.train.take(np.flatnonzero((tiny_dataset.train.labels != 0) | (np.arange(300) % 4 == 0)), "all")
    seen, real = [], losses.functional.cross_entropy

    def cross_entropy(*arguments: Any, weight: torch.Tensor, **options: Any) -> Any:
        seen.append(weight)
        return real(*arguments, weight=weight, **options)

    monkeypatch.setattr(losses.functional, "cross_entropy", cross_entropy)
    balanced = recipe.replace(class_weights="balanced", epochs=1)
    run = fit(balanced, Dataset("rare", rare, None, "here"), FitOptions(device="cpu", precision="fp32", runs=tmp_path))
    counts = np.array(run.info["data"]["train"]["per_class"])
    expected = torch.tensor(counts.sum() / (10 * counts), dtype=torch.float32)
    assert len(seen) == run.journal.rows()[-1]["step"]
    assert all(torch.equal(weights, expected) for weights in seen)


def test_every_epoch_has_other_batches_and_other_augmentation(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(recipe.replace(augment=Augment()), tiny_dataset, tmp_path, monkeypatch)
    assert seen.labels[:4] != seen.labels[4:8]
    assert seen.labels[8:] not in (seen.labels[:2], seen.labels[4:6])
    assert len(set(seen.batches)) == 10


def test_the_model_is_in_train_mode_at_every_step_also_after_a_look_at_val(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert watch(recipe, tiny_dataset, tmp_path, monkeypatch).training == [True] * 10


def test_whitening_is_set_from_the_training_images_before_the_first_step_and_never_moves(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sprint = recipe.replace(model="sprint_net", widths=(24, 24, 24))
    seen = watch(sprint, tiny_dataset, tmp_path, monkeypatch)
    assert all(torch.equal(filters, seen.whitening[0]) for filters in seen.whitening)
    assert seen.run is not None
    model = restore(seen.run)
    images = torch.from_numpy(tiny_dataset.train.images).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        patches = nn.functional.unfold(model.normalize(images), 2)
        flat = patches.transpose(1, 2).reshape(-1, 12)
        filters = seen.whitening[0].reshape(24, 12)[:12]
        whitened = flat @ filters.T
        covariance = whitened.T @ whitened / len(whitened)
    # Uncorrelated, and each direction of about unit variance (a little less where the pixels hardly vary).
    assert (covariance - torch.diag(covariance.diagonal())).abs().max() < 0.1
    assert covariance.diagonal().max() < 1.15
    assert covariance.diagonal().median() > 0.7


def test_the_training_loss_of_a_row_is_the_mean_over_the_images_of_its_epoch(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses: list[float] = []
    real = Training.step

    def step(training: Training, batch: Batch) -> torch.Tensor:
        loss = real(training, batch)
        losses.append(loss.item())
        return loss

    monkeypatch.setattr(Training, "step", step)
    run = fit(recipe, tiny_dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path))
    means = [sum(losses[:4]) / 256, sum(losses[4:8]) / 256, sum(losses[8:]) / 128]
    assert [row["train/loss"] for row in run.journal.rows()] == pytest.approx(means, rel=1e-6)
