"""Interrupted or killed anywhere, a run ends as it would have ended: weights, numbers and predictions to the bit."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.errors import DataError, RunError
from snellen.models.device import threads
from snellen.models.weights import weights_hash
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import Augment, Average, DataPruning, Freeze, Muon, Recipe, Resolution, Schedule
from snellen.runs.run import Run, open_run
from snellen.train import ddp, recorder
from snellen.train import fit as fit_file
from snellen.train.batches import Batch
from snellen.train.fit import FitOptions, fit, resume
from snellen.train.interrupt import Interrupted
from snellen.train.training import Training

CLOCKS = {"seconds", "images_per_second"}

SGD_ONLY: dict[str, Any] = {"batch_size": 64, "epochs": 2.5}
EVERYTHING: dict[str, Any] = SGD_ONLY | {
    "model": "sprint_net",
    "widths": (24, 24, 24),
    "optimizer": Muon(weight_decay=1e-3),
    "schedule": Schedule(shape="linear", tail_fraction=0.2, floor=0.05),
    "resolutions": (Resolution(side=24, until=0.3), Resolution(side=28, until=0.6)),
    "freezes": (Freeze(prefix="net.whiten.bias", after=0.3), Freeze(prefix="net.block1.conv1", after=0.55)),
    "average": Average(after=0.4, every_steps=2),
    "augment": Augment(crop_pixels=2, randaugment=1, erase=0.3, mixup=0.2, cutmix=1.0),
    "ema_decay": 0.8,
}  # 4 steps an epoch, 10 in all
PRUNED: dict[str, Any] = EVERYTHING | {
    "augment": Augment(crop_pixels=2, flip="alternate"),
    "data_pruning": DataPruning(after=0.2, until=0.9),
}


class Killed(BaseException):
    """Stands for kill -9: nothing is caught, nothing is saved."""


@pytest.fixture(params=["sgd", "everything", "pruned"])
def recipe(request: pytest.FixtureRequest, tiny_recipe: Recipe) -> Recipe:
    return tiny_recipe.replace(**{"sgd": SGD_ONLY, "everything": EVERYTHING, "pruned": PRUNED}[request.param])


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the n-th update of the next training end with a signal, or with `Killed`."""
    real = Training.step

    def arm(step: int, *, killed: bool = False) -> None:
        calls: list[int] = []

        def step_and_stop(training: Training, batch: Batch) -> Any:
            calls.append(1)
            loss = real(training, batch)
            if len(calls) == step:
                if killed:
                    raise Killed
                signal.raise_signal(signal.SIGTERM)
            return loss

        monkeypatch.setattr(Training, "step", step_and_stop)

    return arm


def start(recipe: Recipe, dataset: Dataset, runs: Path) -> Run:
    return fit(recipe, dataset, FitOptions(device="cpu", precision="fp32", runs=runs, name="run"))


def interrupted(recipe: Recipe, dataset: Dataset, runs: Path, kind: type[BaseException] = Interrupted) -> Run:
    with pytest.raises(kind):
        start(recipe, dataset, runs)
    return open_run(runs / "run")


def numbers(run: Run) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in CLOCKS} for row in run.journal.rows()]


_UNINTERRUPTED: dict[Recipe, tuple[str, list[dict[str, Any]], bytes, bytes, dict[str, Any]]] = {}


def content(run: Run) -> tuple[str, list[dict[str, Any]], bytes, bytes, dict[str, Any]]:
    predictions = Predictions.load(run.folder / "predictions_val.npz")
    return (
        weights_hash(run),
        numbers(run),
        predictions.logits.tobytes(),
        predictions.with_tta().logits.tobytes(),
        {key: run.info[key] for key in ("val", "best_epoch", "data", "statistics", "status")},
    )


@pytest.fixture
def uninterrupted(recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path) -> Any:
    """What the run is when nobody stops it; trained once for each recipe."""
    if recipe not in _UNINTERRUPTED:
        _UNINTERRUPTED[recipe] = content(start(recipe, tiny_dataset, tmp_path / "whole"))
    return _UNINTERRUPTED[recipe]


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(1, id="first step", marks=pytest.mark.slow),
        pytest.param(4, id="end of an epoch"),
        pytest.param(6, id="inside an epoch"),
        pytest.param(10, id="last step", marks=pytest.mark.slow),
    ],
)
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(
    recipe: Recipe,
    tiny_dataset: Dataset,
    tmp_path: Path,
    stop_at: Callable[..., None],
    uninterrupted: Any,
    step: int,
) -> None:
    stop_at(step)
    run = interrupted(recipe, tiny_dataset, tmp_path / "runs")
    assert run.info["status"] == "interrupted"
    assert content(resume(run, tiny_dataset)) == uninterrupted


def test_a_run_goes_on_on_its_own_number_of_threads_and_the_program_afterwards_on_its_own(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, stop_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, step = torch.get_num_threads(), Training.step
    used: list[int] = []
    stop_at(2)
    with threads(before + 1):
        run = interrupted(recipe, tiny_dataset, tmp_path / "runs")
    monkeypatch.setattr(
        Training, "step", lambda training, batch: used.append(torch.get_num_threads()) or step(training, batch)
    )
    resume(run, tiny_dataset)
    assert set(used) == {before + 1}
    assert torch.get_num_threads() == before


def test_being_stopped_again_and_again_changes_nothing(
    recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, stop_at: Callable[..., None], uninterrupted: Any
) -> None:
    stop_at(2)
    run = interrupted(recipe, tiny_dataset, tmp_path / "runs")
    for further in (1, 3):
        stop_at(further)
        with pytest.raises(Interrupted):
            resume(run, tiny_dataset)
    assert content(resume(run, tiny_dataset)) == uninterrupted


@pytest.mark.parametrize("step", [pytest.param(3, marks=pytest.mark.slow), 5, pytest.param(9, marks=pytest.mark.slow)])
def test_a_run_that_was_killed_goes_on_from_its_last_checkpoint(
    recipe: Recipe,
    tiny_dataset: Dataset,
    tmp_path: Path,
    stop_at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    uninterrupted: Any,
    step: int,
) -> None:
    monkeypatch.setattr(recorder, "_CHECKPOINT_SECONDS", 0.0)
    stop_at(step, killed=True)
    run = interrupted(recipe, tiny_dataset, tmp_path / "runs", Killed)
    assert run.info["status"] == "training"
    assert content(resume(run, tiny_dataset)) == uninterrupted


_STOPS = st.lists(st.tuples(st.integers(1, 10), st.booleans()), min_size=1, max_size=3)


@pytest.mark.slow
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stops=_STOPS, checkpoint_every_step=st.booleans())
@example(stops=[(8, False), (1, True)], checkpoint_every_step=False)
def test_stops_and_kills_at_any_steps_of_any_epochs_change_nothing(
    recipe: Recipe,
    tiny_dataset: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
    stop_at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    uninterrupted: Any,
    stops: list[tuple[int, bool]],
    checkpoint_every_step: bool,
) -> None:
    monkeypatch.setattr(recorder, "_CHECKPOINT_SECONDS", 0.0 if checkpoint_every_step else 60.0)
    runs, run = tmp_path_factory.mktemp("stops"), None
    for step, killed in [*stops, (1_000, False)]:  # the last one never comes
        stop_at(step, killed=killed)
        try:
            run = start(recipe, tiny_dataset, runs) if run is None else resume(run, tiny_dataset)
            break  # it came to its end before the stop
        except (Interrupted, Killed):
            run = open_run(runs / "run")
    assert run is not None
    assert content(run) == uninterrupted


def test_rows_written_after_the_last_checkpoint_are_not_doubled(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, stop_at: Callable[..., None]
) -> None:
    stop_at(9, killed=True)  # one epoch is in the journal, no checkpoint has been written yet
    run = interrupted(tiny_recipe, tiny_dataset, tmp_path / "runs", Killed)
    assert [row["epoch"] for row in run.journal.rows()] == [1]
    resume(run, tiny_dataset)
    assert [row["epoch"] for row in run.journal.rows()] == [1, 2]


def test_a_row_that_the_checkpoint_owed_is_not_doubled_by_a_kill_after_it(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, stop_at: Callable[..., None]
) -> None:
    stop_at(8)  # the last step of an epoch: its look at val is not waited for
    run = interrupted(tiny_recipe, tiny_dataset, tmp_path / "runs")
    assert run.journal.rows() == []
    stop_at(1, killed=True)
    with pytest.raises(Killed):
        resume(run, tiny_dataset)
    assert [row["epoch"] for row in run.journal.rows()] == [1]
    resume(run, tiny_dataset)
    assert [row["epoch"] for row in run.journal.rows()] == [1, 2]


def test_a_run_stopped_while_it_was_graded_is_graded_by_resuming_it(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished_run: Run
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fit_file, "grade", stop)
        run = interrupted(tiny_recipe, tiny_dataset, tmp_path / "runs", KeyboardInterrupt)
    resumed = resume(run, tiny_dataset)
    assert weights_hash(resumed) == weights_hash(finished_run)
    first, second = (Predictions.load(each.folder / "predictions_val.npz") for each in (resumed, finished_run))
    np.testing.assert_array_equal(first.logits, second.logits)


@pytest.mark.parametrize("part", ["grade", "check_run"])
def test_a_signal_while_a_run_is_graded_or_judged_ends_it_at_once_and_resuming_does_the_rest(
    tiny_recipe: Recipe,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    finished_run: Run,
    part: str,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fit_file, part, lambda *_, **__: signal.raise_signal(signal.SIGTERM))
        run = interrupted(tiny_recipe, tiny_dataset, tmp_path / "runs")
    assert run.info["status"] == "interrupted"
    assert content(resume(run, tiny_dataset)) == content(finished_run)
    assert run.read("guards.json")["summary"] == finished_run.read("guards.json")["summary"]


def test_a_run_killed_while_it_was_judged_does_not_call_itself_finished(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(fit_file, "check_run", die)
        run = interrupted(tiny_recipe, tiny_dataset, tmp_path / "runs", Killed)
    assert run.info["status"] == "training"
    resume(run, tiny_dataset)
    assert (run.info["status"], (run.folder / "guards.json").exists()) == ("finished", True)


@pytest.mark.parametrize("look", [1, 2])
def test_a_look_at_val_is_not_waited_for_and_is_made_when_the_run_is_resumed(
    recipe: Recipe,
    tiny_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uninterrupted: Any,
    look: int,
) -> None:
    asked, real = [], ddp.predict

    def predict(*arguments: Any, **options: Any) -> Predictions:
        asked.append(1)
        if len(asked) == 2 * look:  # train and val are asked in turns
            signal.raise_signal(signal.SIGTERM)
            raise AssertionError("it was waited for")
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(ddp, "predict", predict)
        run = interrupted(recipe, tiny_dataset, tmp_path / "runs")
    assert len(run.journal.rows()) == look - 1
    assert content(resume(run, tiny_dataset)) == uninterrupted


def test_a_run_whose_given_weights_were_not_taken_over_yet_does_not_go_on_without_them(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished_run: Run
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(fit_file, "train", die)
        weights = finished_run.folder / "weights.safetensors"
        options = FitOptions(device="cpu", precision="fp32", runs=tmp_path / "runs", name="run", weights=weights)
        fit(tiny_recipe, tiny_dataset, options)
    with pytest.raises(RunError, match=r"would go on without them. Train again with --weights"):
        resume(open_run(tmp_path / "runs" / "run"), tiny_dataset)


def test_time_spent_before_and_after_the_stop_is_added_up(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, stop_at: Callable[..., None]
) -> None:
    stop_at(12)
    resumed = resume(interrupted(tiny_recipe, tiny_dataset, tmp_path / "runs"), tiny_dataset)
    assert resumed.info["seconds"] == pytest.approx(sum(row["seconds"] for row in resumed.journal.rows()), abs=1e-3)


def test_going_on_with_other_data_is_refused(
    tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path, stop_at: Callable[..., None]
) -> None:
    stop_at(3, killed=True)
    with pytest.raises(Killed):
        fit(tiny_recipe, tiny_dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path))
    (folder,) = (path.parent for path in tmp_path.glob("*/run.json"))
    with pytest.raises(DataError, match="The train images of made from seed 1 are not those of"):
        resume(open_run(folder), make_eyechart(seed=1, train=300, test=60))
    others = make_eyechart(seed=1, train=1, test=60).test
    with pytest.raises(DataError, match="The test images of"):  # of another test set it would have no grade
        resume(open_run(folder), replace(tiny_dataset, test=others))
