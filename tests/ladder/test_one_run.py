"""Runs of another ladder are taken over where the training is the same one, and only there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from snellen.data.dataset import Dataset
from snellen.errors import RunError, StorageError, UsageError
from snellen.ladder import one_run
from snellen.ladder.one_run import checked_run, copy_trained, is_done, train_one
from snellen.ladder.rungs import Plan, Rung
from snellen.models.weights import weights_hash
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run, open_run
from snellen.show.progress import Progress
from snellen.train import fit as fitting
from snellen.train.fit import FitOptions

Up = Callable[..., Plan]


def renamed(rung: Rung) -> Rung:
    """The same training as part of another ladder, under other names."""
    return replace(rung, name=f"{rung.name} (there)", recipe=rung.recipe.replace(name="elsewhere", note="other words"))


def test_a_rung_of_another_name_with_the_same_training_is_copied_and_not_trained(
    tmp_path: Path, finished_ladder: Plan, up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    rungs = tuple(renamed(rung) for rung in finished_ladder.rungs)
    monkeypatch.setattr(fitting, "train", lambda *_: pytest.fail("what another ladder had was trained again"))
    plan = up(tmp_path / "ladder-other", rungs, 2, reuse=(finished_ladder.folder,))
    for rung, original in zip(plan.rungs, finished_ladder.rungs, strict=True):
        run = checked_run(plan, rung, 1)
        there = open_run(finished_ladder.folder / finished_ladder.run_name(original, 1))
        assert weights_hash(run) == weights_hash(there)
        assert run.recipe == rung.recipe
        assert run.info["copied_from"] == f"{finished_ladder.folder.name}/{there.name}"


def test_a_run_is_trained_as_the_plan_says_and_found_again(
    tmp_path: Path, finished_ladder: Plan, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung, asked = finished_ladder.rungs[1], []

    def trains(recipe: Recipe, dataset: Dataset, options: FitOptions, progress: Progress) -> None:
        asked.append((recipe, dataset, options))
        shutil.copytree(finished_ladder.folder / finished_ladder.run_name(rung, 1), options.runs / str(options.name))

    monkeypatch.setattr(one_run, "fit", trains)
    elsewhere = replace(finished_ladder, folder=tmp_path, device="cuda", precision="bf16")
    assert not is_done(elsewhere, rung, 1)
    trained = train_one(elsewhere, rung, 1, tiny_dataset, (), Progress())
    options = FitOptions(seed=1, device="cuda", precision="bf16", runs=tmp_path, name="crop-and-flip-s1")
    assert asked == [(rung.recipe, tiny_dataset, options)]
    assert (trained.rung, trained.seed, trained.run.name, trained.reused) == (rung, 1, "crop-and-flip-s1", False)
    again = train_one(replace(finished_ladder, folder=tmp_path), rung, 1, tiny_dataset, (), Progress())
    assert (again.reused, len(asked)) == (True, 1)
    for status, done in (("finished", True), ("diverged", True), ("training", False)):
        trained.run.update_info(status=status)
        assert is_done(elsewhere, rung, 1) is done


def test_of_a_run_that_is_copied_pages_locks_and_checkpoints_stay_behind(tmp_path: Path, own_ladder: Plan) -> None:
    rung = own_ladder.rungs[0]
    there = own_ladder.folder / own_ladder.run_name(rung, 0)
    (there / "resume").mkdir(exist_ok=True)
    left = {".lock", "report.html", "weights.tmp", "resume"}
    for name in (*left - {"resume"}, "resume/state.safetensors"):
        (there / name).write_text("left")
    here = replace(own_ladder, folder=tmp_path / "new")
    assert copy_trained(here, rung, 0, [own_ladder.folder])
    copied = {path.name for path in (here.folder / own_ladder.run_name(rung, 0)).iterdir()}
    assert copied == {path.name for path in there.iterdir()} - left


def test_another_training_is_not_taken_over(tmp_path: Path, finished_ladder: Plan) -> None:
    here = replace(finished_ladder, folder=tmp_path)
    rung = finished_ladder.rungs[0]
    longer = replace(rung, recipe=rung.recipe.replace(epochs=3))
    assert not copy_trained(here, longer, 0, [finished_ladder.folder])
    assert not copy_trained(here, rung, 2, [finished_ladder.folder])
    assert not copy_trained(replace(here, precision="bf16"), rung, 0, [finished_ladder.folder])
    assert not copy_trained(replace(here, device="cuda"), rung, 0, [finished_ladder.folder])
    assert not copy_trained(replace(here, fingerprints=("other", "images")), rung, 0, [finished_ladder.folder])
    assert list(tmp_path.iterdir()) == []
    assert copy_trained(here, rung, 0, [finished_ladder.folder])


def test_a_run_that_is_not_what_the_plan_says_is_refused(own_ladder: Plan) -> None:
    rung, data = own_ladder.rungs[0], own_ladder.fingerprints
    checked_run(replace(own_ladder, fingerprints=(data[0], "other")), rung, 0)  # val pictures change no training
    run = Run(own_ladder.folder / own_ladder.run_name(rung, 0))
    for change in ({"precision": "bf16"}, {"fingerprints": ("other", data[1])}):
        with pytest.raises(RunError, match="was not trained as this ladder's 'baseline' with seed 0"):
            checked_run(replace(own_ladder, **change), rung, 0)
    for told in ({"seed": 5}, {"final": True}):
        before = {name: run.info[name] for name in told}
        run.update_info(**told)
        with pytest.raises(RunError, match="was not trained as this ladder's 'baseline' with seed 0"):
            checked_run(own_ladder, rung, 0)
        assert not copy_trained(replace(own_ladder, folder=own_ladder.folder / "new"), rung, 0, [own_ladder.folder])
        run.update_info(**before)


def test_an_unfinished_or_damaged_run_is_not_taken_over(tmp_path: Path, own_ladder: Plan) -> None:
    here, rung = replace(own_ladder, folder=tmp_path / "new"), own_ladder.rungs[0]
    first, second = (own_ladder.folder / own_ladder.run_name(rung, seed) for seed in (0, 1))
    open_run(first).update_info(status="training")
    (second / "recipe.json").write_text("{")
    assert not copy_trained(here, rung, 0, [own_ladder.folder])
    assert not copy_trained(here, rung, 1, [own_ladder.folder])


def test_runs_of_another_version_are_refused_and_not_silently_trained_again(tmp_path: Path, own_ladder: Plan) -> None:
    here, rung = replace(own_ladder, folder=tmp_path / "new"), own_ladder.rungs[0]
    Run(own_ladder.folder / own_ladder.run_name(rung, 0)).update_info(format=1)
    with pytest.raises(RunError, match="was made by an older version of Snellen"):
        copy_trained(here, rung, 0, [own_ladder.folder])


def test_a_folder_that_is_none_is_refused(tmp_path: Path, finished_ladder: Plan) -> None:
    with pytest.raises(UsageError, match="is not a folder of runs"):
        copy_trained(finished_ladder, finished_ladder.rungs[0], 0, [tmp_path / "nowhere"])


def test_a_copy_that_fails_leaves_nothing_behind(
    tmp_path: Path, finished_ladder: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", full)
    with pytest.raises(StorageError, match="No space left"):
        copy_trained(replace(finished_ladder, folder=tmp_path), finished_ladder.rungs[0], 0, [finished_ladder.folder])
    assert list(tmp_path.iterdir()) == []
