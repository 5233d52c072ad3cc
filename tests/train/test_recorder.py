"""What a recorder writes down and when, by a clock that a test turns."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.train.one_training import training_of

from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run, create_run
from snellen.show.progress import Progress
from snellen.trackers.callbacks import TrackerCallbacks
from snellen.train import recorder as room
from snellen.train.recorder import Recorder
from snellen.train.training import Training, train

COUNT, BATCH, PER_EPOCH = 32, 4, 8


class Told(Progress):
    """Keeps where it was told to begin."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.begun: list[dict[str, int]] = []

    def begin(self, **numbers: int) -> None:
        self.begun.append(numbers)
        super().begin(**numbers)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps after which a checkpoint was saved, by a clock that goes on by 30 s at each look at it."""
    looks, steps, save = iter(range(0, 30_000, 30)), [], room.save_checkpoint

    def noted(training: Training, path: Path) -> None:
        steps.append(training.steps_done)
        save(training, path)

    monkeypatch.setattr(room, "time", SimpleNamespace(monotonic=lambda: next(looks)))
    monkeypatch.setattr(room, "save_checkpoint", noted)
    return steps


def recorded(recipe: Recipe, run: Run, *, steps: int, stop_after: int | None = None) -> Told:
    training, told = training_of(recipe.replace(batch_size=BATCH), count=COUNT), Told()
    training.steps = steps
    with TrackerCallbacks(run, (), told.say) as nobody:
        recorder = Recorder(training, run, told, nobody)
        if stop_after is not None:
            real = recorder.after_step

            def after_step() -> None:
                real()
                if training.steps_done == stop_after:
                    raise KeyError("killed")

            recorder.after_step = after_step  # type: ignore[method-assign]
        train(training, recorder)
    return told


@pytest.fixture
def run(tmp_path: Path, tiny_recipe: Recipe) -> Run:
    info: dict[str, Any] = {"status": "training"}
    return create_run(tmp_path, "run", tiny_recipe, info, {})


def test_a_checkpoint_is_saved_when_more_than_a_minute_is_over_and_the_clock_is_in_the_row(
    tiny_recipe: Recipe, run: Run, saved: list[int]
) -> None:
    recorded(tiny_recipe, run, steps=PER_EPOCH)
    # A look when it begins, then one after each step: the third is 90 s later, and a pause takes three looks.
    assert saved == [3, 5, 7, 8]
    (row,) = run.journal.rows()
    seconds = 120 + 90 + 90 + 60  # up to the first look in each pause
    assert row["images_per_second"] == pytest.approx(COUNT / seconds)
    assert row["seconds"] == seconds + 30  # and closing the epoch


def test_a_training_that_was_killed_is_shown_to_go_on_from_its_last_checkpoint(
    tiny_recipe: Recipe, run: Run, saved: list[int]
) -> None:
    with pytest.raises(KeyError, match="killed"):
        recorded(tiny_recipe, run, steps=3 * PER_EPOCH, stop_after=PER_EPOCH + 4)
    last = saved[-1]
    assert PER_EPOCH < last <= PER_EPOCH + 4
    told = recorded(tiny_recipe, run, steps=3 * PER_EPOCH)
    assert told.begun == [{"steps": 3 * PER_EPOCH, "done": last, "images_per_step": BATCH}]
    assert [row["epoch"] for row in run.journal.rows()] == [1, 2, 3]
