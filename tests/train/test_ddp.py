"""Two processes share a training: the same numbers as one, each image once, and none of it lost when one is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.train.test_resume import EVERYTHING, numbers

import snellen
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.errors import DataError, InvalidSetting, RunError
from snellen.models.weights import weights_hash
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import DataPruning, Recipe
from snellen.runs.run import Run, open_run
from snellen.serialize import to_json
from snellen.train.batches import Batch
from snellen.train.ddp import ALONE, Workers, launched, require_same
from snellen.train.fit import FitOptions, fit, resume
from snellen.train.setup import prepare
from snellen.train.training import Training

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(snellen.__file__).resolve().parents[1]  # the Snellen that is under test, which may be a copy


@pytest.fixture(scope="module")
def letters() -> Dataset:
    return make_eyechart(seed=0, train=300, test=60)


@pytest.fixture
def everything(tiny_recipe: Recipe) -> Recipe:
    """Freezes, Muon, lookahead, EMA, growing images, mixes: 10 steps in 2.5 epochs, batch norms in every block."""
    return tiny_recipe.replace(**EVERYTHING)


def torchrun(recipe: Recipe, runs: Path, *signal: str, restarts: int = 0) -> subprocess.CompletedProcess[str]:
    file = runs / "recipe.json"
    file.write_text(json.dumps(to_json(recipe)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["--max-restarts", str(restarts), str(ROOT / "tests/train/one_worker.py"), str(file), str(runs), *signal]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{SOURCE}{os.pathsep}{ROOT}"}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)


def shared(recipe: Recipe, runs: Path, *signal: str, restarts: int = 0) -> Run:
    runs.mkdir()
    finished = torchrun(recipe, runs, *signal, restarts=restarts)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("finished") == 2, "both workers return the whole run"
    return open_run(runs / "run")


def alone(recipe: Recipe, letters: Dataset, runs: Path) -> Run:
    return fit(recipe, letters, FitOptions(device="cpu", precision="fp32", runs=runs, name="run"))


@pytest.mark.parametrize(
    "data_pruning",
    [
        pytest.param(None, marks=pytest.mark.processes),
        pytest.param(DataPruning(after=0.5), id="pruned", marks=pytest.mark.torchrun),
    ],
)
def test_two_workers_without_batch_norm_train_what_one_trains(
    data_pruning: DataPruning | None, tiny_recipe: Recipe, letters: Dataset, tmp_path: Path
) -> None:
    # 32 and 31 images a worker; of a thinned batch 23 and 22
    recipe = tiny_recipe.replace(model="mlp", widths=(64,), batch_size=63, epochs=2.0, data_pruning=data_pruning)
    one, two = alone(recipe, letters, tmp_path / "one"), shared(recipe, tmp_path / "two")
    for mine, theirs in zip(numbers(one), numbers(two), strict=True):
        assert theirs == pytest.approx(mine, rel=1e-5)
    answers = [Predictions.load(run.folder / "predictions_val.npz") for run in (one, two)]
    np.testing.assert_allclose(answers[1].logits, answers[0].logits, atol=1e-4)
    np.testing.assert_array_equal(answers[1].ids, answers[0].ids)


@pytest.mark.processes
def test_batch_norms_of_half_a_batch_move_the_first_epochs_loss_by_less_than_five_percent(
    everything: Recipe, letters: Dataset, tmp_path: Path
) -> None:
    recipe = everything.replace(epochs=1.0)
    one, two = alone(recipe, letters, tmp_path / "one"), shared(recipe, tmp_path / "two")
    losses = [run.journal.rows()[0]["train/loss"] for run in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[1] != losses[0], "then nothing was shared"


@pytest.mark.processes
def test_a_killed_worker_is_started_again_and_the_run_ends_as_if_nothing_had_happened(
    everything: Recipe, tmp_path: Path
) -> None:
    whole = shared(everything, tmp_path / "whole")
    killed = shared(everything, tmp_path / "killed", "kill", "1", "7", restarts=1)
    assert [path.name for path in (tmp_path / "killed").glob("*/run.json")] == ["run.json"], "one run, not two"
    assert numbers(killed) == numbers(whole)
    assert weights_hash(killed) == weights_hash(whole)


@pytest.mark.processes
def test_a_signal_to_one_worker_stops_both_and_one_process_can_go_on(
    everything: Recipe, letters: Dataset, tmp_path: Path
) -> None:
    torchrun(everything, tmp_path, "term", "1", "6")
    stopped = open_run(tmp_path / "run")
    assert stopped.info["status"] == "interrupted"
    assert stopped.info["workers"]["count"] == 2
    assert resume(stopped, letters).info["status"] == "finished"


@pytest.mark.processes
def test_where_a_worker_is_gone_the_other_says_so_in_a_sentence(everything: Recipe, tmp_path: Path) -> None:
    finished = torchrun(everything, tmp_path, "kill", "1", "3")
    assert finished.returncode != 0
    assert f"--resume {tmp_path / 'run'}" in finished.stderr


def test_all_shares_together_hold_each_image_once() -> None:
    shares = [Workers(rank, 3).share(np.arange(10)) for rank in range(3)]
    assert sorted(np.concatenate(shares)) == list(range(10))
    assert max(map(len, shares)) - min(map(len, shares)) == 1


def test_shares_of_a_batch_make_the_batch(tiny_recipe: Recipe, letters: Dataset) -> None:
    setup = prepare(tiny_recipe.replace(batch_size=63), letters, seed=0, device="cpu", precision="fp32")

    def late_batch(workers: Workers = ALONE) -> Batch:
        training = Training(setup, workers)
        training.steps_done = training.per_epoch + 2
        return next(training.batches())

    batch, shares = late_batch(), [late_batch(Workers(rank, 2)) for rank in range(2)]
    for rank, share in enumerate(shares):
        assert torch.equal(share.images, batch.images[rank::2])
        assert torch.equal(share.targets, batch.targets[rank::2])
        assert torch.equal(share.positions, batch.positions)


def test_a_batch_too_small_to_share_is_refused(tiny_recipe: Recipe, letters: Dataset) -> None:
    setup = prepare(tiny_recipe.replace(batch_size=7), letters, seed=0, device="cpu", precision="fp32")
    with pytest.raises(InvalidSetting, match="batch of 7 images cannot be shared by 4 workers"):
        Training(setup, Workers(0, 4))


def test_a_worker_with_other_data_or_another_seed_is_refused(
    tiny_recipe: Recipe, letters: Dataset, tmp_path: Path
) -> None:
    run = alone(tiny_recipe.replace(epochs=1.0), letters, tmp_path)
    others = make_eyechart(seed=1, train=300, test=60)
    settings = {"device": "cpu", "precision": "fp32"}
    with pytest.raises(DataError, match="same data"):
        require_same(prepare(run.recipe, others, seed=0, **settings), run)
    with pytest.raises(RunError, match="recipe or the seed"):
        require_same(prepare(run.recipe, letters, seed=1, **settings), run)


def test_a_process_of_its_own_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert launched() is ALONE
    assert ALONE.broadcast("x") == "x"
    assert ALONE.any(True, False) == (True, False)


def test_half_of_torchruns_variables_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidSetting, match="torchrun"):
        launched()
