"""From a recipe to a finished run: repeatable, honest about what was chosen, and whole when something fails."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.data.dataset import Dataset
from snellen.data.splits import split
from snellen.errors import RunError, StorageError, TrainingDiverged
from snellen.metrics.classification import hard_cross_entropy
from snellen.models.weights import restore, weights_hash
from snellen.predict.familiarity import features_of, measure_familiarity, stored_familiarity
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.recipes.recipe import SGD, Expect, Recipe, Schedule
from snellen.runs.run import Run, open_run
from snellen.train import ddp, recorder
from snellen.train import fit as fit_module
from snellen.train.batches import Batch
from snellen.train.fit import FitOptions, fit, resume
from snellen.train.training import Training


@pytest.fixture
def trained(tmp_path: Path, tiny_recipe: Recipe, tiny_dataset: Dataset) -> Callable[..., Run]:
    def train(recipe: Recipe = tiny_recipe, **options: Any) -> Run:
        settings = {"device": "cpu", "precision": "fp32", "runs": tmp_path / "runs"} | options
        return fit(recipe, tiny_dataset, FitOptions(**settings))

    return train


def only_run(tmp_path: Path) -> Run:
    (folder,) = [path for path in (tmp_path / "runs").iterdir() if path.is_dir()]
    return open_run(folder)


def numbers(run: Run) -> list[dict[str, Any]]:
    """The journal without what a clock decides."""
    clocks = {"seconds", "images_per_second"}
    return [{key: value for key, value in row.items() if key not in clocks} for row in run.journal.rows()]


def test_a_finished_run_explains_itself(finished_run: Run, tiny_recipe: Recipe) -> None:
    assert finished_run.name == "eyechart-tiny-s0"
    assert finished_run.recipe == tiny_recipe
    assert finished_run.info["status"] == "finished"
    assert finished_run.info["val"]["accuracy"]["n"] == 30
    files = {str(path.relative_to(finished_run.folder)) for path in finished_run.folder.rglob("*") if path.is_file()}
    assert files - {".lock"} >= {
        "recipe.json", "run.json", "environment.json", "metrics.jsonl", "results.csv", "weights.safetensors",
        "predictions_val.npz", "curves.png", "confusion.png", "resume/state.safetensors",
    }  # fmt: skip
    assert not any(name.endswith(".tmp") or "predictions_test" in name for name in files)
    for picture in ("curves.png", "confusion.png"):
        with Image.open(finished_run.folder / picture) as image:
            image.verify()


def test_a_picture_that_cannot_be_drawn_leaves_a_finished_run(
    trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("no such font")

    monkeypatch.setattr(fit_module, "draw_grades", refuse)
    run = trained()
    assert run.info["status"] == "finished"
    assert run.info["val"]["accuracy"]["n"] == 30


def test_each_epoch_has_a_row_with_all_its_numbers(finished_run: Run) -> None:
    rows = finished_run.journal.rows()
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 8), (2, 16)]
    for row in rows:
        assert set(row) == {
            "epoch", "step", "lr", "train/loss", "images_per_second", "seconds",
            "train/accuracy", "train/cross_entropy", "val/accuracy", "val/loss",
        }  # fmt: skip
        assert all(math.isfinite(value) for value in row.values())
        assert 1e-6 < 8 * 32 / row["images_per_second"] < row["seconds"]  # which the look at val is a part of


def test_the_row_of_the_best_epoch_is_what_the_saved_weights_give(finished_run: Run, tiny_dataset: Dataset) -> None:
    val = split(tiny_dataset).val
    assert val is not None
    best = finished_run.journal.rows()[finished_run.info["best_epoch"] - 1]
    answers = predict(restore(finished_run), val)
    assert answers.correct.mean() == best["val/accuracy"]
    assert hard_cross_entropy(answers) == pytest.approx(best["val/loss"], rel=1e-7)  # bf16 differs in the third digit
    stored = Predictions.load(finished_run.folder / "predictions_val.npz")
    assert stored.correct.mean() == best["val/accuracy"]
    assert sorted(stored.ids) == sorted(val.ids)


def test_equal_seeds_give_equal_bits_and_another_seed_does_not(trained: Callable[..., Run], finished_run: Run) -> None:
    same, other = trained(), trained(seed=1)
    assert weights_hash(same) == weights_hash(finished_run)
    assert numbers(same) == numbers(finished_run)
    assert weights_hash(other) != weights_hash(finished_run)


def test_a_training_in_bf16_is_graded_and_measured_in_it(
    trained: Callable[..., Run], tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    run, parts = trained(tiny_recipe.replace(epochs=0.5), precision="bf16", seed=3), split(tiny_dataset)
    assert (run.info["precision"], run.info["seed"], run.name) == ("bf16", 3, "eyechart-tiny-s3")
    assert parts.val is not None
    model, stored, measured = restore(run), stored_predictions(run, "val"), stored_familiarity(run)
    assert stored is not None
    assert hard_cross_entropy(stored) == pytest.approx(run.journal.rows()[-1]["val/loss"], rel=1e-7)
    assert measured is not None
    for bf16 in (True, False):
        features = features_of(model, parts.val, bf16=bf16)
        again = measure_familiarity(model, parts.train, features, seed=3, bf16=bf16)
        assert again is not None
        assert np.array_equal(stored.logits, predict(model, parts.val, bf16=bf16).logits) is bf16
        assert np.array_equal(measured.known, again.known) is bf16
        assert np.array_equal(measured.val, again.val) is bf16


@pytest.mark.parametrize(
    ("low", "high", "changes", "said"),
    [
        (0.7, 0.79, {}, True), (0.7, 0.8, {}, False), (0.9, 0.95, {}, False), (0.91, 0.95, {}, True),
        (0.5, 0.99, {}, False), (0.7, 0.79, {"data": "cifar10"}, False), (0.7, 0.79, {"split": "test"}, False),
    ],
)  # fmt: skip
def test_a_grade_wholly_outside_what_the_recipe_gave_is_called_unexpected(
    tiny_recipe: Recipe, tiny_dataset: Dataset, low: float, high: float, changes: dict[str, str], said: bool
) -> None:
    about: dict[str, Any] = {"data": "eyechart", "split": "val"} | changes
    expect = Expect(accuracy=(0.8, 0.9), minutes=1.0, machine="m", runs=3, evidence="e", **about)
    sentences: list[str] = []
    progress: Any = SimpleNamespace(say=lambda text, **_: sentences.append(text))
    for recipe in (tiny_recipe, tiny_recipe.replace(expect=expect)):
        setup: Any = SimpleNamespace(recipe=recipe, splits=split(tiny_dataset))
        fit_module._compare_with_expectation(setup, {"low": low, "value": (low + high) / 2, "high": high}, progress)
    found = [text.partition(",")[0] for text in sentences]
    assert found == ([f"val accuracy {50 * (low + high):.1f} %"] if said else [])


def test_the_global_random_state_neither_matters_nor_changes(trained: Callable[..., Run], finished_run: Run) -> None:
    torch.manual_seed(12345)
    before = torch.get_rng_state()
    assert weights_hash(trained()) == weights_hash(finished_run)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_name_that_is_taken_is_not_overwritten(trained: Callable[..., Run]) -> None:
    short = {"name": "mine"}
    assert [trained(**short).name for _ in range(2)] == ["mine", "mine-2"]


def test_a_final_training_sees_all_images_chooses_nothing_and_keeps_its_last_weights(
    trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(ddp, "predict", lambda *a, **k: asked.append(a))
    run = trained(final=True)
    assert run.name.endswith("-final")
    assert run.info["final"] is True
    assert run.info["data"]["train"]["count"] == 300
    assert run.info["data"]["val"] is None
    assert run.info["best_epoch"] == 2
    assert "val" not in run.info
    assert asked == []
    assert not (run.folder / "predictions_val.npz").exists()
    assert all("val/accuracy" not in row for row in run.journal.rows())


def test_of_equally_good_epochs_the_first_is_kept(
    trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, tiny_recipe: Recipe
) -> None:
    accuracies: Iterator[float] = iter([0.0, 0.2, 0.0, 0.4, 0.0, 0.4, 0.0, 0.3])
    asked, saved = ddp.predict, []

    def graded(model: torch.nn.Module, images: Any, **options: Any) -> Predictions:
        answers = asked(model, images, **options)
        hits = round(next(accuracies) * len(answers))
        logits = np.zeros_like(answers.logits)
        logits[np.arange(len(answers)), (answers.labels + (np.arange(len(answers)) >= hits)) % 10] = 1.0
        return Predictions(logits, answers.labels, answers.ids, answers.class_names, answers.split)

    save = recorder.save_weights
    monkeypatch.setattr(ddp, "predict", graded)
    monkeypatch.setattr(
        recorder, "save_weights", lambda run, model: (saved.append(len(run.journal.rows())), save(run, model))
    )
    run = trained(tiny_recipe.replace(epochs=4))
    assert [row["val/accuracy"] for row in run.journal.rows()] == [0.2, 0.4, 0.4, 0.3]
    assert run.info["best_epoch"] == 2
    assert saved == [0, 1]  # after the first and the second epoch, never again


def test_only_own_pictures_are_searched_for_copies(
    trained: Callable[..., Run], tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(splits: Any) -> tuple[()]:
        raise AssertionError("what is known of a published data set is in its list")

    monkeypatch.setattr(fit_module, "check_duplicates", search)
    assert trained(tiny_recipe.replace(epochs=1)).info["status"] == "finished"


def test_val_is_looked_at_as_often_as_the_recipe_says_and_at_the_end(
    trained: Callable[..., Run], tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[int] = []
    monkeypatch.setattr(recorder, "return_freed_memory", lambda: given_back.append(1))
    rows = trained(tiny_recipe.replace(epochs=5, evaluate_every=2)).journal.rows()
    assert [row["epoch"] for row in rows if "val/accuracy" in row] == [2, 4, 5]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    assert len(given_back) == 3  # memory, where others than steps take it


def test_where_few_images_make_more_epochs_there_are_no_more_looks(
    trained: Callable[..., Run], tiny_recipe: Recipe
) -> None:
    rows = trained(tiny_recipe.replace(epochs=2, min_steps=40)).journal.rows()  # 8 steps an epoch
    assert len(rows) == 5
    assert [row["epoch"] for row in rows if "val/accuracy" in row] == [3, 5]


@pytest.mark.parametrize(("least", "most", "looked_at"), [(10, 20, 20), (10, 40, 30), (40, 50, 40)])
def test_as_many_training_pictures_are_looked_at_as_val_has_within_bounds(
    trained: Callable[..., Run],
    tiny_recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    least: int,
    most: int,
    looked_at: int,
) -> None:
    seen, look = [], Training.look
    monkeypatch.setattr(recorder, "_LEAST_CLEAN", least)
    monkeypatch.setattr(recorder, "_MOST_CLEAN", most)
    monkeypatch.setattr(Training, "look", lambda self, images: (seen.append(set(images.ids)), look(self, images))[1])
    trained(tiny_recipe.replace(epochs=0.1))
    assert [len(ids) for ids in seen] == [looked_at, 30]
    assert not seen[0] & seen[1]


@pytest.mark.parametrize(("epochs", "steps", "rows"), [(0.1, 1, 1), (0.01, 1, 1), (1.5, 12, 2), (2, 16, 2)])
def test_a_fraction_of_an_epoch_ends_inside_the_last_one(
    trained: Callable[..., Run], tiny_recipe: Recipe, epochs: float, steps: int, rows: int
) -> None:
    found = trained(tiny_recipe.replace(epochs=epochs)).journal.rows()
    assert (len(found), found[-1]["step"], found[-1]["epoch"]) == (rows, steps, rows)


def test_the_rate_in_the_journal_is_the_one_of_the_epochs_last_step(
    trained: Callable[..., Run], tiny_recipe: Recipe
) -> None:
    recipe = tiny_recipe.replace(schedule=Schedule(shape="linear"), epochs=2)
    assert [row["lr"] for row in trained(recipe).journal.rows()] == pytest.approx([0.05 * 9 / 16, 0.05 * 1 / 16])


# What goes wrong


@pytest.mark.parametrize("batch_size", [32, 270], ids=["within an epoch", "by the last update before the look at val"])
def test_a_loss_that_is_no_number_ends_the_training_and_says_so(
    tmp_path: Path, trained: Callable[..., Run], tiny_recipe: Recipe, batch_size: int
) -> None:
    with pytest.raises(
        TrainingDiverged, match=r"The loss became (nan|inf) by step \d+\. No weights are kept\. Lower the"
    ):
        trained(tiny_recipe.replace(optimizer=SGD(lr=1e30), schedule=Schedule(), batch_size=batch_size))
    run = only_run(tmp_path)
    assert run.info["status"] == "diverged"
    json.dumps(run.journal.rows(), allow_nan=False)


def test_one_poisoned_step_is_noticed_at_that_step_and_the_best_weights_stay(
    tmp_path: Path, trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, real = [], Training.step

    def step(training: Training, batch: Batch) -> torch.Tensor:
        calls.append(1)
        loss = real(training, batch)
        if len(calls) == 11:
            training.loss_sum += math.nan
        return loss

    monkeypatch.setattr(Training, "step", step)
    with pytest.raises(TrainingDiverged, match=r"became nan by step 11\. Those of epoch 1, the best so far, are kept"):
        trained()
    run = only_run(tmp_path)
    assert len(calls) == 11
    assert len(run.journal.rows()) == 1
    assert restore(run) is not None


@pytest.mark.parametrize("failing", ["state.safetensors", "weights.safetensors", "results.csv", "predictions_val.npz"])
def test_a_full_disk_is_one_sentence_and_what_was_there_stays(
    tmp_path: Path, trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        if Path(target).name == failing:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(StorageError, match=rf"{failing}: the disk is full"):
        trained()
    monkeypatch.undo()
    run = only_run(tmp_path)
    assert not list(run.folder.rglob("*.tmp"))
    assert run.info["status"] == "training"


def test_after_a_full_disk_the_run_goes_on_and_ends_as_if_nothing_had_happened(
    full_disk: Path, finished_run: Run, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> None:
    with pytest.raises(StorageError, match="the disk is full"):
        fit(tiny_recipe, tiny_dataset, FitOptions(device="cpu", precision="fp32", runs=full_disk / "runs", name="mine"))
    roomy = full_disk.parent / "roomy"
    shutil.copytree(full_disk / "runs", roomy)
    run = resume(open_run(roomy / "mine"), tiny_dataset)
    assert weights_hash(run) == weights_hash(finished_run)
    assert numbers(run) == numbers(finished_run)


def test_a_run_in_use_is_not_trained_by_a_second_process(
    own_run: Run, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_run.update_info(status="interrupted")
    before = hashlib.sha256((own_run.folder / "run.json").read_bytes()).hexdigest()
    with own_run.locked(), pytest.raises(RunError, match="is in use by another process"):
        resume(Run(own_run.folder), tiny_dataset)
    assert hashlib.sha256((own_run.folder / "run.json").read_bytes()).hexdigest() == before


def test_a_finished_run_is_not_resumed(own_run: Run, tiny_dataset: Dataset) -> None:
    with pytest.raises(RunError, match=r"is finished. For longer: snellen train --continue .* --set epochs=\+10"):
        resume(own_run, tiny_dataset)
