"""What is said meanwhile: one line per run, and how long the rest takes."""

from __future__ import annotations

import pytest

from snellen.ladder.run import LadderProgress, Work, seconds_left
from snellen.show.progress import clock


def test_the_rest_takes_as_long_per_epoch_as_the_same_rung_did() -> None:
    done = [Work("plain", 10, 100.0), Work("augmented", 10, 140.0)]
    assert seconds_left(done, [Work("plain", 10), Work("augmented", 20)]) == pytest.approx(100 + 280)


def test_a_rung_that_was_not_timed_goes_by_the_mean_of_all() -> None:
    done = [Work("plain", 10, 100.0), Work("augmented", 10, 140.0)]
    assert seconds_left(done, [Work("new", 5)]) == pytest.approx(5 * 12)


def test_before_the_first_run_nothing_is_known() -> None:
    assert seconds_left([], [Work("plain", 10)]) is None


def test_at_the_end_nothing_is_left() -> None:
    assert seconds_left([], []) == 0.0


def test_what_is_on_disk_already_takes_no_time() -> None:
    done = [Work("plain", 10, 100.0, ready=True)]
    assert seconds_left(done, [Work("plain", 10, ready=True), Work("plain", 10)]) == pytest.approx(100)
    assert seconds_left([], [Work("plain", 10, ready=True)]) == 0.0


def test_where_nothing_is_left_to_train_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LadderProgress([Work("plain", 2, ready=True), Work("+ flip", 2, ready=True)])
    progress.run_done("plain", seed=0, seconds=30.0, val_accuracy=0.5, reused=True)
    assert capsys.readouterr().err == "[1/2] plain, seed 0: val 50.00 %, done before; nothing left to train\n"


def test_each_run_gives_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LadderProgress([Work("baseline", 2, ready=True), Work("+ flip", 2), Work("baseline", 2)])
    progress.run_done("baseline", seed=0, seconds=30.0, val_accuracy=0.5, reused=True)
    progress.run_done("+ flip", seed=0, seconds=50.0, val_accuracy=None, reused=False)
    progress.run_done("baseline", seed=1, seconds=30.0, val_accuracy=0.512, reused=False)
    assert capsys.readouterr().err.splitlines() == [
        "[1/3] baseline, seed 0: val 50.00 %, done before; about 1m00s left",
        "[2/3] + flip, seed 0: diverged, 50 s; about 30 s left",
        "[3/3] baseline, seed 1: val 51.20 %, 30 s; that was the last",
    ]


def test_runs_side_by_side_come_in_any_order_and_share_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    progress = LadderProgress([Work("a", 2), Work("b", 2), Work("a", 2), Work("b", 2)], at_once=3)
    progress.run_done("b", seed=0, seconds=30.0, val_accuracy=0.5, reused=False)
    progress.run_done("a", seed=1, seconds=30.0, val_accuracy=0.5, reused=False)
    progress.run_done("a", seed=0, seconds=30.0, val_accuracy=0.5, reused=False)
    assert [line.partition("; ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "about 30 s left", "about 30 s left", "about 30 s left",
    ]  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.6, "1m00s"), (372, "6m12s"), (11100, "3h05m")])
def test_a_clock_is_as_exact_as_its_length_deserves(seconds: float, text: str) -> None:
    assert clock(seconds) == text
