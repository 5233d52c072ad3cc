"""A finished run, gone on with: what a longer training would have been, and the old run untouched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, RunError, UsageError
from snellen.recipes.recipe import Average, Recipe, Schedule
from snellen.runs.run import Run
from snellen.train import fit as fit_file
from snellen.train.fit import FitOptions, fit, resume
from snellen.train.longer import longer

CLOCKS = {"seconds", "images_per_second"}


def trained(recipe: Recipe, dataset: Dataset, runs: Path, name: str) -> Run:
    return fit(recipe, dataset, FitOptions(device="cpu", precision="fp32", runs=runs, name=name))


def files(run: Run) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}


def state(run: Run) -> dict[str, bytes]:
    """The last weights and all that optimizer and average remember."""
    tensors = load_file(run.folder / "resume" / "state.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def numbers(run: Run) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in CLOCKS} for row in run.journal.rows()]


@pytest.mark.parametrize("epochs", [2.0, 1.5])
def test_with_a_constant_rate_it_is_the_longer_training_to_the_bit(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, epochs: float
) -> None:
    constant = tiny_recipe.replace(schedule=Schedule(), ema_decay=0.8)
    whole = trained(constant.replace(epochs=epochs + 1), tiny_dataset, tmp_path, "whole")
    short = trained(constant.replace(epochs=epochs), tiny_dataset, tmp_path, "short")
    before = files(short)
    new, consequence = longer(short, ["epochs=+1"])
    run = resume(new, tiny_dataset)
    assert (run.folder, run.recipe) == (tmp_path / f"short-{epochs + 1:g}epochs", whole.recipe)
    assert state(run) == state(whole)
    assert numbers(run)[-1] == numbers(whole)[-1]
    assert run.info["continues"] == {"run": "short", "epochs": epochs}
    assert run.info["val"]["best_of"] == len(run.val_looks)
    assert files(short) == before
    assert "the rate was at 100 % of its peak and goes on at 100 %" in consequence


def test_what_becomes_of_the_rate_is_what_the_journal_then_says(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    linear = tiny_recipe.replace(schedule=Schedule(shape="linear", per="epoch"), average=Average(after=0.5))
    short = trained(linear, tiny_dataset, tmp_path, "short")
    new, consequence = longer(short, ["epochs=5", "optimizer.lr=0.01"], name="on")
    rates = [row["lr"] for row in resume(new, tiny_dataset).journal.rows()]
    assert rates == pytest.approx([0.05, 0.025, 0.006, 0.004, 0.002])  # 1/2 of 0.05, then 3/5 of 0.01
    assert consequence.endswith(
        "of 5 epochs, of which 2 are done: the rate was at 50 % of its peak and goes on at 60 %."
    )


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ([], UsageError, r"2 epochs are trained. Say how many more: --set epochs=\+2"),
        (["epochs=2"], UsageError, "2 epochs are trained"),
        (["epochs=+0"], UsageError, "2 epochs are trained"),
        (["epochs=+some"], InvalidSetting, r"epochs must be a number, got '\+some'"),
        (["epochs=+1", "batch_size=16"], InvalidSetting, "cannot change batch_size"),
        (["epochs=+1", "optimizer.kind=adamw"], InvalidSetting, "cannot change optimizer: the state"),
        (["epochs=+1", "epoch=4"], InvalidSetting, "Did you mean 'epochs'"),
    ],
)
def test_what_would_be_another_training_is_refused_and_leaves_nothing(
    own_run: Run, settings: list[str], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind, match=words):
        longer(own_run, settings)
    assert [path for path in own_run.folder.parent.iterdir() if path.is_dir()] == [own_run.folder]


def test_patience_that_has_run_out_is_said(own_run: Run) -> None:
    own_run.update_info(best_epoch=1)
    with pytest.raises(UsageError, match="patience=1 has run out already: the best epoch of 2 is 1"):
        longer(own_run, ["epochs=+1", "patience=1"])


def test_without_its_last_state_nothing_goes_on(
    own_run: Run, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, _ = longer(own_run, ["epochs=+1"])
    (new.folder / "resume" / "state.safetensors").unlink()  # as a kill before the last copy leaves it
    monkeypatch.setattr(fit_file, "train", lambda *_: pytest.fail("it began at random"))
    with pytest.raises(RunError, match="Train again with --weights, or --continue, as it was"):
        resume(new, tiny_dataset)
    (own_run.folder / "resume" / "state.safetensors").unlink()
    with pytest.raises(RunError, match=r"has no resume/state\.safetensors"):
        longer(own_run, ["epochs=+1"])
    own_run.update_info(status="interrupted")
    with pytest.raises(RunError, match="is not finished"):
        longer(own_run, ["epochs=+1"])
