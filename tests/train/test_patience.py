"""Early stopping: it waits as long as the recipe says, counts what it saw, and a resumed run ends where it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snellen.data.dataset import Dataset
from snellen.data.splits import split
from snellen.errors import InvalidSetting
from snellen.models.weights import weights_hash
from snellen.recipes.recipe import SGD, Recipe, Schedule
from snellen.runs.run import Run, open_run
from snellen.show.progress import Progress
from snellen.train import fit as fit_file
from snellen.train.cross_validate import cross_validate
from snellen.train.fit import FitOptions, fit, resume
from snellen.train.schedules import out_of_patience
from snellen.train.setup import prepare


@given(seen=st.lists(st.integers(0, 5), min_size=1, max_size=30), patience=st.integers(0, 6), every=st.integers(1, 4))
def test_it_ends_at_the_first_look_that_is_no_better_than_patience_epochs_ago(
    seen: list[int], patience: int, every: int
) -> None:
    recipe = Recipe(
        name="patient", model="small_cnn", epochs=len(seen), batch_size=10, patience=patience, evaluate_every=every
    )
    looks = {epoch: seen[epoch - 1] for epoch in range(every, len(seen) + 1, every)}
    expected = next(
        (
            now
            for now in looks
            if patience and max(looks[e] for e in looks if e <= now) in [looks[e] for e in looks if e <= now - patience]
        ),
        None,
    )
    best, best_epoch, ended = -1, 0, None
    for epoch in range(1, len(seen) + 1):
        if looks.get(epoch, -1) > best:
            best, best_epoch = looks[epoch], epoch
        if ended is None and out_of_patience(recipe, epoch, best_epoch, 100):
            ended = epoch
    assert ended == expected


@pytest.fixture
def stuck(tiny_recipe: Recipe) -> Recipe:
    """A recipe that learns nothing, so that its first look stays the best."""
    return tiny_recipe.replace(optimizer=SGD(lr=1e-12), schedule=Schedule(), epochs=9.0, patience=2)


class Steps(Progress):
    """Also keeps how many steps were made."""

    made = 0

    def advance(self, step: int) -> None:
        self.made = step
        super().advance(step)


def start(recipe: Recipe, dataset: Dataset, runs: Path, **more: Any) -> Run:
    return fit(recipe, dataset, FitOptions(device="cpu", precision="fp32", runs=runs, name="run"), **more)


def test_a_training_ends_early_and_says_of_how_many_epochs_it_is_the_best(
    stuck: Recipe, tiny_dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = Steps()
    run = start(stuck, tiny_dataset, tmp_path, progress=steps)
    assert [row["epoch"] for row in run.journal.rows()] == [1, 2, 3]
    assert steps.made == run.journal.rows()[-1]["step"]  # and not one step of the fourth
    assert (run.info["status"], run.info["best_epoch"], run.info["stopped_after_epoch"]) == ("finished", 1, 3)
    assert run.info["val"]["best_of"] == 3
    said = "Ended after epoch 3 of the 9 that its schedule is made for: the last 2 brought no better val accuracy."
    assert said in capsys.readouterr().err
    assert "stopped_after_epoch" not in start(stuck.replace(patience=0, epochs=3.0), tiny_dataset, tmp_path).info


def test_stopped_after_its_end_it_trains_no_further(
    stuck: Recipe, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fit_file, "grade", stop)
        start(stuck, tiny_dataset, tmp_path / "stopped")
    resumed = resume(open_run(tmp_path / "stopped" / "run"), tiny_dataset)
    whole = start(stuck, tiny_dataset, tmp_path / "whole")
    assert [row["step"] for row in resumed.journal.rows()] == [8, 16, 24]
    assert weights_hash(resumed) == weights_hash(whole)
    assert (resumed.info["val"], resumed.info["stopped_after_epoch"]) == (whole.info["val"], 3)


def test_where_nothing_is_chosen_patience_is_refused(stuck: Recipe, tiny_dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="patience=2 has no effect where nothing is kept as val"):
        prepare(stuck, tiny_dataset, seed=0, final=True)
    with pytest.raises(InvalidSetting, match="patience=2 chooses on val, and --folds chooses nothing"):
        cross_validate(stuck, tiny_dataset, 2, FitOptions(runs=tmp_path), Progress(quiet=True))
    assert split(tiny_dataset).val is not None
