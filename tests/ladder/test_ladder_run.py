"""Running a ladder: resumable run by run, the same start on every rung, nothing trained twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snellen.data.dataset import Dataset
from snellen.errors import InvalidSetting, RunError, TrainingDiverged
from snellen.ladder.results import read_results, results_json
from snellen.ladder.rungs import Plan, Rung
from snellen.runs.run import Run, open_run
from snellen.train import fit as fitting
from snellen.train.interrupt import Interrupted

Up = Callable[..., Plan]


def without_clock(content: Any) -> Any:
    """A table without what may differ between two sittings: time, place, and how many tables came before."""
    if isinstance(content, dict):
        left_out = ("seconds", "folder", "seed_counts")
        return {key: without_clock(value) for key, value in content.items() if key not in left_out}
    return [without_clock(item) for item in content] if isinstance(content, list) else content


def table(plan: Plan) -> Any:
    return without_clock(json.loads(json.dumps(results_json(read_results(plan)))))


def test_every_rung_and_seed_is_an_ordinary_run_folder(finished_ladder: Plan) -> None:
    names = {path.parent.name for path in finished_ladder.folder.glob("*/run.json")}
    assert names == {f"{rung.slug}-s{seed}" for rung in finished_ladder.rungs for seed in (0, 1)}
    assert all(open_run(finished_ladder.folder / name).info["status"] == "finished" for name in names)


def test_one_seed_starts_all_rungs_alike_and_another_seed_otherwise(finished_ladder: Plan) -> None:
    starts = {
        seed: {open_run(finished_ladder.folder / finished_ladder.run_name(rung, seed)).info["initial_weights_sha256"]
               for rung in finished_ladder.rungs}
        for seed in finished_ladder.seeds
    }  # fmt: skip
    assert [len(hashes) for hashes in starts.values()] == [1, 1]
    assert starts[0] != starts[1]


def test_the_same_command_again_trains_nothing(
    own_ladder: Plan, tiny_rungs: tuple[Rung, ...], up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "train", lambda *_: pytest.fail("a finished run was trained again"))
    assert table(up(own_ladder.folder, tiny_rungs, 2)) == table(own_ladder)


def test_killed_between_two_runs_it_ends_as_if_it_had_not_been(
    tmp_path: Path, finished_ladder: Plan, tiny_rungs: tuple[Rung, ...], up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, trained = tmp_path / "ladder-tiny", []
    train = fitting.train

    def dies_before_the_third(training: Any, recorder: Any) -> Any:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(recorder.run.name)
        return train(training, recorder)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "train", dies_before_the_third)
        with pytest.raises(KeyboardInterrupt):
            up(folder, tiny_rungs, 2)
    assert table(up(folder, tiny_rungs, 2)) == table(finished_ladder)


def test_killed_inside_a_run_it_goes_on_from_the_checkpoint(
    tmp_path: Path, finished_ladder: Plan, tiny_rungs: tuple[Rung, ...], up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snellen.train.interrupt import StopRequest
    from snellen.train.training import Training

    folder, steps, real = tmp_path / "ladder-tiny", [], Training.step

    def stops_in_the_second_epoch(*args: Any, **settings: Any) -> Any:
        steps.append(1)
        return real(*args, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", stops_in_the_second_epoch)
        # 270 images in batches of 64: 4 steps an epoch. The second run is stopped at its sixth of eight.
        patch.setattr(StopRequest, "requested", property(lambda _: len(steps) >= 14))
        patch.setattr(StopRequest, "raise_if_requested", lambda self, **_: _stop() if self.requested else None)
        with pytest.raises(Interrupted):
            up(folder, tiny_rungs, 1)
    stopped = open_run(folder / "crop-and-flip-s0")
    assert stopped.info["status"] == "interrupted"
    assert (stopped.folder / "resume" / "state.safetensors").exists()
    assert table(up(folder, tiny_rungs, 2)) == table(finished_ladder)


def _stop() -> None:
    raise Interrupted(15)


def test_a_folder_that_holds_something_else_is_left_alone(
    own_ladder: Plan, tiny_rungs: tuple[Rung, ...], up: Up
) -> None:
    victim = own_ladder.folder / own_ladder.run_name(tiny_rungs[0], 1)
    (victim / "run.json").unlink()
    with pytest.raises(RunError, match=r"baseline-s1 has no run\.json"):
        up(own_ladder.folder, tiny_rungs, 2)
    assert (victim / "weights.safetensors").exists()


def test_a_run_that_was_trained_otherwise_is_no_part_of_it(
    own_ladder: Plan, tiny_rungs: tuple[Rung, ...], up: Up
) -> None:
    own = Run(own_ladder.folder / own_ladder.run_name(tiny_rungs[1], 0))
    own.write("recipe.json", json.loads((own.folder / "recipe.json").read_text()) | {"label_smoothing": 0.2})
    with pytest.raises(RunError, match="was not trained as this ladder's '\\+ crop and flip' with seed 0"):
        up(own_ladder.folder, tiny_rungs, 2)


def test_another_start_is_found_on_disk_and_refused(own_ladder: Plan) -> None:
    run = Run(own_ladder.folder / own_ladder.run_name(own_ladder.rungs[1], 1))
    run.update_info(initial_weights_sha256="0" * 64)
    with pytest.raises(RunError, match="began with different weights"):
        read_results(own_ladder)


def test_a_second_process_is_turned_away(own_ladder: Plan, tiny_rungs: tuple[Rung, ...], up: Up) -> None:
    with Run(own_ladder.folder).locked(), pytest.raises(RunError, match="in use by another process"):
        up(own_ladder.folder, tiny_rungs, 2)


def test_a_rung_that_diverges_is_a_result_and_the_others_go_on(
    tmp_path: Path, tiny_rungs: tuple[Rung, ...], up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, calls = fitting.train, []

    def diverges_on_the_baseline(training: Any, recorder: Any) -> Any:
        run = recorder.run
        calls.append(run.name)
        if run.name.startswith("baseline"):
            run.update_info(initial_weights_sha256=0)
            raise TrainingDiverged("The loss became nan")
        state = train(training, recorder)
        run.update_info(initial_weights_sha256=0)
        return state

    monkeypatch.setattr(fitting, "train", diverges_on_the_baseline)
    plan = up(tmp_path / "ladder-x", tiny_rungs)
    _, above = read_results(plan).rungs
    assert above.verdict is not None
    assert above.verdict.word == "undecided"
    assert "baseline-s0 became NaN" in above.verdict.reason
    up(tmp_path / "ladder-x", tiny_rungs)
    assert calls == ["baseline-s0", "crop-and-flip-s0"]  # the same seed would diverge again


def test_a_rung_that_cannot_be_trained_is_refused_before_the_first_run(
    tmp_path: Path, tiny_rungs: tuple[Rung, ...], up: Up
) -> None:
    impossible = replace(tiny_rungs[1], recipe=tiny_rungs[1].recipe.replace(widths=(4,)))
    with pytest.raises(InvalidSetting, match="widths"):
        up(tmp_path / "ladder-x", (tiny_rungs[0], impossible))
    assert not (tmp_path / "ladder-x").exists()


def test_no_run_sees_the_test_set(finished_ladder: Plan, tiny_dataset: Dataset) -> None:
    assert not list(finished_ladder.folder.rglob("predictions_test*"))
    assert not list(finished_ladder.folder.parent.rglob("ledger.jsonl"))
