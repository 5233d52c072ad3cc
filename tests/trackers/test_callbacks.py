"""TrackerCallbacks a training: every row once, whatever happens, and never at the training's cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.trackers.curves import curves

from snellen.data.dataset import Dataset
from snellen.errors import TrackerError, UsageError
from snellen.models.weights import weights_hash
from snellen.runs.run import Row, Run, open_run
from snellen.trackers import callbacks
from snellen.trackers.callbacks import reattach, send
from snellen.trackers.tracker import Facts, Outcome, Target
from snellen.train.fit import resume
from snellen.train.training import Training

Train = Callable[..., Run]


class Notebook:
    """A tracker that keeps everything in memory, and fails where it is told to."""

    def __init__(self, *, keeps: bool = False, fails_in: str = "", fails_at: int = 1) -> None:
        self.keeps, self.fails_in, self.fails_at = keeps, fails_in, fails_at
        self.facts: list[Facts] = []
        self.rows: list[tuple[Row, float]] = []
        self.outcomes: list[Outcome] = []
        self.calls = 0

    def start(self, facts: Facts) -> int:
        self._perhaps_fail("start")
        self.facts.append(facts)
        if not self.keeps:
            self.rows.clear()
        return max((row["step"] for row, _ in self.rows), default=-1)

    def row(self, row: Row, at: float) -> None:
        self._perhaps_fail("row")
        self.rows.append((row, at))

    def finish(self, outcome: Outcome) -> None:
        self._perhaps_fail("finish")
        self.outcomes.append(outcome)

    def where(self) -> str:
        return "in [memory]"

    @property
    def epochs(self) -> list[int]:
        return [row["epoch"] for row, _ in self.rows]

    def _perhaps_fail(self, here: str) -> None:
        if here == self.fails_in:
            self.calls += 1
            if self.calls >= self.fails_at:
                raise RuntimeError("the disk of the\ncurves is full")


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Notebook]:
    """Make every tracker of the next trainings this one."""

    def put(**options: Any) -> Notebook:
        made = Notebook(**options)
        monkeypatch.setattr(callbacks, "make", lambda target: made)
        return made

    return put


def test_it_is_told_every_row_of_the_journal_and_the_outcome(trained: Train, notebook: Any) -> None:
    follower = notebook()
    run = trained(track=("tensorboard",))
    assert [row for row, _ in follower.rows] == run.journal.rows()
    assert [outcome.status for outcome in follower.outcomes] == ["finished"]
    assert follower.outcomes[0].numbers["result/val_accuracy"] == run.info["val"]["accuracy"]["value"]
    started = follower.facts[0].started
    first, second = (row["seconds"] for row in run.journal.rows())
    assert [at - started for _, at in follower.rows] == pytest.approx([first, first + second], abs=1e-5)


def test_a_training_that_is_followed_gives_the_same_bits(trained: Train, notebook: Any, finished_run: Run) -> None:
    notebook()
    assert weights_hash(trained(track=("tensorboard",))) == weights_hash(finished_run)


@pytest.mark.parametrize(
    ("fails_in", "fails_at", "told"), [("start", 1, []), ("row", 1, []), ("row", 2, [1]), ("finish", 1, [1, 2])]
)
def test_one_that_fails_is_left_behind_and_the_training_ends_as_it_would(
    trained: Train, notebook: Any, finished_run: Run, fails_in: str, fails_at: int, told: list[int]
) -> None:
    follower = notebook(fails_in=fails_in, fails_at=fails_at)
    run = trained(track=("mlflow",))
    assert run.info["status"] == "finished"
    assert weights_hash(run) == weights_hash(finished_run)
    assert follower.epochs == told
    assert follower.calls == fails_at  # once it failed it was not asked again
    (sentence,) = run.info["trackers_lost"]
    assert sentence.startswith("mlflow no longer follows run: the disk of the curves is full. The training goes on")
    assert sentence.endswith(f"snellen track {run.folder} --to mlflow")


def test_one_that_fails_does_not_take_the_others_along(trained: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"tensorboard": Notebook(fails_in="row"), "mlflow": Notebook()}
    monkeypatch.setattr(callbacks, "make", lambda target: made[target.name])
    trained(track=("tensorboard", "mlflow"))
    assert (made["tensorboard"].epochs, made["mlflow"].epochs) == ([], [1, 2])


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("keeps", [True, False], ids=["goes on with its rows", "begins anew"])
def test_after_a_kill_no_row_is_there_twice(
    trained: Train,
    notebook: Any,
    tiny_dataset: Dataset,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
    keeps: bool,
) -> None:
    follower = notebook(keeps=keeps)
    real, calls = Training.step, []

    def dies_in_the_second_epoch(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 11:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", dies_in_the_second_epoch)
        patch.setattr(callbacks.TrackerCallbacks, "__exit__", lambda *_: None)
        with pytest.raises(Killed):
            trained(track=("tensorboard",))
    run = open_run(tmp_path / "runs" / "run")
    assert (follower.epochs, run.journal.rows() != []) == ([1], True)  # and no checkpoint: epoch 1 is trained again
    resume(run, tiny_dataset)
    assert follower.epochs == [1, 2]
    assert len({facts.id for facts in follower.facts}) == 1


def test_an_interrupted_training_tells_so(trained: Train, notebook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    follower = notebook()
    monkeypatch.setattr(Training, "step", stopped)
    with pytest.raises(KeyboardInterrupt):
        trained(track=("tensorboard",))
    assert [outcome.status for outcome in follower.outcomes] == ["interrupted"]


def test_a_resume_remembers_who_followed_but_not_a_place_of_its_own(own_run: Run) -> None:
    said: list[str] = []
    own_run.update_info(trackers=["tensorboard", "mlflow:http://far.away", "\x1b[31mred", 3])
    assert reattach(own_run, (), said.append) == (Target("tensorboard"),)
    assert len(said) == 1
    assert said[0].startswith("mlflow followed this run before, at a place of its own.")
    named = (Target("mlflow", "http://far.away"), Target("tensorboard"))
    assert reattach(own_run, named, said.append) == named
    assert len(said) == 1
    for broken in (None, "tensorboard", {"a": 1}, 7):
        own_run.update_info(trackers=broken)
        assert reattach(own_run, (), said.append) == ()


def test_a_slip_in_a_name_is_refused_before_anything_is_made(trained: Train, tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="Unknown tracker 'tensorbord'"):
        trained(track=("tensorbord",))
    assert not (tmp_path / "runs").exists()


def test_a_run_that_nobody_follows_says_nothing_about_trackers(finished_run: Run) -> None:
    assert not {"trackers", "trackers_lost"} & set(finished_run.info)


def test_a_whole_run_is_handed_over_afterwards_and_once_only(own_run: Run) -> None:
    follower, target = Notebook(keeps=True), Target("mlflow")
    assert send(own_run, target, follower) == 2
    assert [row for row, _ in follower.rows] == own_run.journal.rows()
    assert send(own_run, target, follower) == 0
    assert follower.epochs == [1, 2]
    assert set(curves(own_run)) >= {"train/loss", "val/accuracy", "lr", "epoch"}


def test_a_tracker_that_does_not_take_a_run_is_one_sentence(own_run: Run) -> None:
    with pytest.raises(TrackerError, match=r"^mlflow did not take tiny: the disk of the curves is full\.$"):
        send(own_run, Target("mlflow"), Notebook(fails_in="row"))
