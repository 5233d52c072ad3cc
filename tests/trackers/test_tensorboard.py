"""TensorBoard's own reader finds the journal in the event files, each step once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from tests.trackers.curves import curves

from snellen.runs.run import Run
from snellen.trackers.callbacks import send
from snellen.trackers.tracker import Target, make

pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'snellen[tensorboard]'")


def read(run: Run) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(run.folder / "tensorboard"), size_guidance={"scalars": 0, "tensors": 0}).Reload()


def test_every_number_of_the_journal_is_a_point_over_steps(trained: Callable[..., Run]) -> None:
    run = trained(track=("tensorboard",))
    assert "trackers_lost" not in run.info
    events, expected = read(run), curves(run)
    assert set(events.Tags()["scalars"]) == set(expected)
    for name, points in expected.items():
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert found == [(step, float(np.float32(value))) for step, value in points]


def test_handed_over_twice_no_step_is_there_twice_and_times_are_those_of_the_training(own_run: Run) -> None:
    for _ in range(2):
        target = Target("tensorboard")
        assert send(own_run, target, make(target)) == 2
    events = read(own_run)
    rows = own_run.journal.rows()
    points = events.Scalars("val/accuracy")
    assert [point.step for point in points] == [row["step"] for row in rows]
    started = datetime.fromisoformat(own_run.read("environment.json")["started"]).timestamp()
    seconds = np.cumsum([row["seconds"] for row in rows])
    np.testing.assert_allclose([point.wall_time - started for point in points], seconds, atol=1e-5)


def test_an_open_reader_forgets_what_was_written_before(own_run: Run) -> None:
    target = Target("tensorboard")
    send(own_run, target, make(target))
    events = read(own_run)
    send(own_run, target, make(target))
    steps = [point.step for point in events.Reload().Scalars("train/loss")]
    assert steps == [row["step"] for row in own_run.journal.rows()]


def test_recipe_and_outcome_stand_beside_the_curves(own_run: Run) -> None:
    target = Target("tensorboard")
    send(own_run, target, make(target))
    events = read(own_run)
    texts = {tag: events.Tensors(tag)[-1].tensor_proto.string_val[0].decode() for tag in events.Tags()["tensors"]}
    assert "| optimizer.lr | 0.05 |" in texts["recipe/text_summary"]
    assert "| seed | 0 |" in texts["conditions/text_summary"]
    assert f"| result/val_accuracy | {own_run.info['val']['accuracy']['value']} |" in texts["outcome/text_summary"]


def test_other_files_in_its_folder_stay(own_run: Run) -> None:
    (own_run.folder / "tensorboard").mkdir()
    (own_run.folder / "tensorboard" / "notes.txt").write_text("mine")
    target = Target("tensorboard")
    send(own_run, target, make(target))
    assert (own_run.folder / "tensorboard" / "notes.txt").read_text() == "mine"
