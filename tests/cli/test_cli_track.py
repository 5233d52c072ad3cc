"""`snellen track`, and `snellen train --track`: rows where they were asked for, or one sentence."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snellen.runs.run import Run, open_run
from snellen.trackers.tracker import TRACKERS
from snellen.train import fit

pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install 'snellen[tensorboard]'")

Snellen = Callable[..., Any]
QUICK = ("--set", "epochs=0.5", "widths=[4,4,4]", "batch_size=64", "--device", "cpu", "--precision", "fp32")


@pytest.fixture(autouse=True)
def _empty_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("curves_png", "draw_grades"):
        monkeypatch.setattr(fit, name, lambda *_, **__: None)


def event_files(run: Run) -> list[Path]:
    return list(run.folder.glob("tensorboard/events.out.tfevents.*"))


def test_several_runs_are_handed_over_at_once(snellen: Snellen, own_run: Run, tmp_path: Path) -> None:
    other = Run(Path(shutil.copytree(own_run.folder, tmp_path / "runs" / "other")))
    answer = snellen("track", own_run.folder, other.folder, "--to", "tensorboard")
    assert (answer.code, answer.err) == (0, "")
    for run, line in zip((own_run, other), answer.out.splitlines(), strict=True):
        assert f"{run.name}: 2 rows to {run.folder / 'tensorboard'}; look: tensorboard --logdir" in line
        assert len(event_files(run)) == 1


def test_with_json_stdout_is_the_answer(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("track", own_run.folder, "--to", "tensorboard", "--json")
    (line,) = answer.json
    assert (line["run"], line["tracker"], line["rows"], line["sent"]) == ("tiny", "tensorboard", 2, True)


def test_a_training_says_where_its_rows_go_as_well(snellen: Snellen) -> None:
    answer = snellen("train", "eyechart", *QUICK, "--track", "tensorboard", "--name", "mine")
    assert answer.code == 0
    assert "tensorboard: runs/mine/tensorboard; look: tensorboard --logdir runs" in answer.err
    run = open_run(Path("runs/mine"))
    assert run.info["trackers"] == ["tensorboard"]
    assert len(event_files(run)) == 1


def test_a_resume_takes_trackers_and_goes_on_with_those_before(snellen: Snellen, own_run: Run) -> None:
    own_run.update_info(status="interrupted")
    assert snellen("train", "--resume", own_run.folder, "--track", "tensorboard", "--json").code == 0
    assert len(event_files(own_run)) == 1
    event_files(own_run)[0].unlink()
    own_run.update_info(status="interrupted")
    assert snellen("train", "--resume", own_run.folder, "--json").code == 0
    assert len(event_files(own_run)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("track",), 2, "Which run? snellen track runs/NAME --to tensorboard"),
        (("track", "RUN"), 2, "To what? tensorboard (event files in the run folder); wandb ("),
        (("track", "RUN", "--to", "tensorbord"), 2, "Did you mean 'tensorboard'? List them: snellen track --help"),
        (("track", "gone", "--to", "tensorboard"), 1, "There is no run at gone."),
        (("track", "RUN", "--to", "tensorboard", "--yes"), 2, "are for hub:OWNER/NAME. Leave them out."),
        (("track", "RUN", "RUN", "--to", "hub:a/b"), 2, "hub:a/b takes one run"),
        (("train", "eyechart", "--track", "mlfow"), 2, "Unknown tracker 'mlfow'. Did you mean 'mlflow'?"),
        (("train", "eyechart", "--track", "hub:a/b"), 2, "only a finished run is uploaded"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    snellen: Snellen, own_run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, words: str
) -> None:
    for name, kind in TRACKERS.items():
        monkeypatch.setitem(TRACKERS, name, dataclasses.replace(kind, packages=()))
    answer = snellen(*(own_run.folder if part == "RUN" else part for part in arguments))
    assert (answer.code, words in answer.sentence) == (code, True), answer.sentence


def test_a_run_without_rows_is_one_sentence(snellen: Snellen, own_run: Run) -> None:
    own_run.journal.path.unlink()
    answer = snellen("track", own_run.folder, "--to", "tensorboard")
    assert (answer.code, "has no epoch to hand over yet" in answer.sentence) == (1, True)


def test_a_missing_extra_is_refused_before_the_training(snellen: Snellen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRACKERS, "wandb", dataclasses.replace(TRACKERS["wandb"], packages=("no_such_package_here",)))
    answer = snellen("train", "eyechart", *QUICK, "--track", "wandb")
    assert answer.code == 1
    assert "no_such_package_here, not installed here: pip install 'snellen[wandb]'" in answer.sentence
    assert not Path("runs").exists()
