"""A training on kept activations, with dropout, ends as it would have ended, whatever became of its files meanwhile."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.train.test_resume import content, interrupted, start
from tests.train.thin_network import FINETUNE, Thin, transfer_of

from snellen.data.dataset import Dataset
from snellen.errors import StorageError
from snellen.models.weights import weights_hash
from snellen.parts import give, registered
from snellen.recipes.recipe import Augment, Average, DataPruning, Muon, Recipe
from snellen.runs.run import open_run
from snellen.train import recorder
from snellen.train.batches import Batch
from snellen.train.fit import FitOptions, fit, resume
from snellen.train.training import Training

EVERYTHING: dict[str, Any] = {
    "augment": Augment(resized_crop=0.25, resized_crop_side=0.75, flip="random", mixup=0.2, cutmix=1.0),
    "average": Average(after=0.4, every_steps=2),
    "ema_decay": 0.8,
    "class_weights": "balanced",
}
PRUNED: dict[str, Any] = {"data_pruning": DataPruning(after=0.2, until=0.9), "sampling": "balanced"}
HEAD_FIRST: dict[str, Any] = {"finetune": replace(FINETUNE, head_only=0.5, versions=3)}


def noise(images: torch.Tensor, *, seed: int) -> torch.Tensor:
    drawn = torch.randint(-9, 10, images.shape, generator=torch.Generator().manual_seed(seed))
    return (images.int() + drawn).clamp(0, 255).to(torch.uint8)


OWN: dict[str, Any] = {"augment": Augment(resized_crop=0.25, resized_crop_side=0.75, before=(give(noise),))}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache; its folder of activations."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(registered("model"), "thin", Thin)
    return tmp_path / "cache" / "snellen" / "activations"


def stopping_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    real = Training.step

    def step_and_stop(training: Training, batch: Batch) -> Any:
        loss = real(training, batch)
        if training.steps_done == step:
            signal.raise_signal(signal.SIGTERM)
        return loss

    monkeypatch.setattr(Training, "step", step_and_stop)


@pytest.mark.parametrize(
    "meanwhile", ["nothing", "the cache is deleted", "half of it is evicted", "files are cut short"]
)
def test_a_stopped_transfer_ends_as_if_it_had_not_been(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch,
    meanwhile: str,
) -> None:  # fmt: skip
    recipe = transfer_of(tiny_recipe)
    whole = content(start(recipe, tiny_dataset, tmp_path / "whole"))
    torch.rand(7)  # what others draw meanwhile has no part in it
    with monkeypatch.context() as patch:
        stopping_at(patch, 6)
        run = interrupted(recipe, tiny_dataset, tmp_path / "runs")
    files = sorted(cache.glob("*.bin"))
    assert len(files) == 3  # two versions of train, val
    for number, file in enumerate(files):
        if meanwhile == "the cache is deleted" or (meanwhile == "half of it is evicted" and number % 2 == 0):
            file.unlink()
        elif meanwhile == "files are cut short":
            file.write_bytes(file.read_bytes()[:-1])
    assert content(resume(run, tiny_dataset)) == whole


@pytest.mark.parametrize(
    "changes", [EVERYTHING, PRUNED, HEAD_FIRST, OWN], ids=["everything", "pruned", "head first", "own"]
)
def test_so_does_one_with_all_that_a_recipe_can_have(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    recipe = transfer_of(tiny_recipe).replace(**changes)
    whole = content(start(recipe, tiny_dataset, tmp_path / "whole"))
    with monkeypatch.context() as patch:
        stopping_at(patch, 7)
        run = interrupted(recipe, tiny_dataset, tmp_path / "runs")
    assert content(resume(run, tiny_dataset)) == whole


def test_the_same_seed_drops_the_same_and_another_one_otherwise(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """Without a frozen part too; and a caller's own draws go on as if there had been no training."""
    recipe = transfer_of(tiny_recipe).replace(finetune=None, epochs=1)
    hashes = []
    for number in range(2):
        torch.manual_seed(number)
        undisturbed = torch.rand(3)
        torch.manual_seed(number)
        hashes.append(weights_hash(start(recipe, tiny_dataset, tmp_path / str(number))))
        assert torch.equal(torch.rand(3), undisturbed)
    assert hashes[0] == hashes[1]


def test_each_step_drops_other_values(tiny_recipe: Recipe, tiny_dataset: Dataset) -> None:
    from snellen.train.setup import prepare

    training = Training(prepare(transfer_of(tiny_recipe), tiny_dataset, seed=0, device="cpu", precision="fp32"))
    masks: list[torch.Tensor] = []
    training.model.net.drop.register_forward_pre_hook(lambda _, given: torch.ones_like(given[0]))  # type: ignore[union-attr]
    training.model.net.drop.register_forward_hook(lambda _, given, made: masks.append(made == 0))  # type: ignore[union-attr]
    for batch, _ in zip(training.batches(), range(3), strict=False):
        training.step(batch)
    learning = masks[-3:]
    assert all(mask.any() for mask in learning)
    assert not torch.equal(learning[0], learning[1])


def test_a_transfer_on_all_pictures_keeps_no_val(tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path) -> None:
    options = FitOptions(device="cpu", precision="fp32", runs=tmp_path, final=True)
    run = fit(transfer_of(tiny_recipe), tiny_dataset, options)
    assert run.info["status"] == "finished"
    assert run.info["data"]["val"] is None
    assert run.journal.rows()[-1]["train/loss"] > 0


def test_muon_learns_behind_the_cut(tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path) -> None:
    run = start(transfer_of(tiny_recipe).replace(optimizer=Muon()), tiny_dataset, tmp_path)
    assert run.info["status"] == "finished"


def test_where_the_disk_is_full_the_run_goes_on_when_there_is_room(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = transfer_of(tiny_recipe)
    whole = content(start(recipe, tiny_dataset, tmp_path / "whole"))
    with monkeypatch.context() as patch, pytest.raises(StorageError, match="make room in"):
        patch.setenv("XDG_CACHE_HOME", str(full_disk))
        start(recipe, tiny_dataset, tmp_path / "runs")
    assert content(resume(open_run(tmp_path / "runs" / "run"), tiny_dataset)) == whole


def test_the_row_of_the_best_epoch_is_what_the_saved_weights_answer(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_CHECKPOINT_SECONDS", 0.0)
    run = start(transfer_of(tiny_recipe), tiny_dataset, tmp_path)
    best = next(row for row in run.journal.rows() if row["epoch"] == run.info["best_epoch"])
    assert run.info["val"]["accuracy"]["value"] == pytest.approx(best["val/accuracy"], abs=0.05)
