"""Ctrl-C, SIGTERM, SIGHUP: the first asks, the second does not wait, and real processes say so by their exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors import safe_open

from snellen.runs.run import Run
from snellen.show.progress import Progress
from snellen.train.interrupt import Interrupted, StopRequest, signals_deferred

SCRIPT = Path(__file__).parents[1] / "small_eyechart.py"


@pytest.fixture(autouse=True)
def a_terminal_can_hang_up() -> Iterator[None]:
    """Also where the tests themselves run under nohup, whose processes would ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_first_signal_is_noted_and_raised_when_asked(number: signal.Signals, exit_code: int) -> None:
    with StopRequest() as stop:
        stop.raise_if_requested()
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        with pytest.raises(Interrupted) as raised:
            stop.raise_if_requested()
    assert raised.value.exit_code == exit_code
    assert str(raised.value) == number.name


def test_the_second_signal_does_not_wait() -> None:
    with StopRequest():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted) as raised:
            signal.raise_signal(signal.SIGTERM)
    assert raised.value.exit_code == 143


def test_a_closed_terminal_that_says_so_twice_is_waited_for_like_one_signal() -> None:
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(Interrupted) as raised:
            stop.raise_if_requested()
    assert raised.value.exit_code == 129


def test_work_that_may_be_left_at_once_is_and_what_follows_it_is_not() -> None:
    reached = []
    with StopRequest() as stop:
        with pytest.raises(Interrupted), stop.at_once():
            signal.raise_signal(signal.SIGINT)
            reached.append("after the signal")
        with pytest.raises(Interrupted), stop.at_once():
            reached.append("begun after it")
    with StopRequest() as stop:
        with stop.at_once():
            pass
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
    assert reached == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_deferred_comes_at_the_end_and_once(number: signal.Signals) -> None:
    reached = []
    with StopRequest() as stop, pytest.raises(Interrupted) as raised, stop.at_once(), signals_deferred():
        signal.raise_signal(number)
        signal.raise_signal(number)
        reached.append("the end")
    assert reached == ["the end"]
    assert raised.value.exit_code == 128 + number


def test_deferring_where_nothing_comes_changes_nothing() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with signals_deferred():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_other_peoples_handlers_of_errors_do_not_swallow_a_stop() -> None:
    assert not issubclass(Interrupted, Exception)


def test_afterwards_signals_do_what_they_did_before() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(ZeroDivisionError), StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before[1]
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in numbers] == before


def test_under_nohup_a_training_goes_on_without_its_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.requested
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def enter() -> None:
        with StopRequest() as stop:
            seen.append((signal.getsignal(signal.SIGTERM), stop.requested))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(before, False)]


def stop_after_rows(command: list[str], folder: Path, rows: int, number: signal.Signals) -> tuple[int, str, float]:
    """Run a command, send a signal once the journal has so many rows; exit code, stderr, seconds in between."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        deadline = time.monotonic() + 240
        while len(Run(folder).journal.rows()) < rows and process.poll() is None:
            assert time.monotonic() < deadline, "the training did not get so far"
            time.sleep(0.05)
        sent = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors, time.monotonic() - sent
    finally:
        process.kill()


@pytest.mark.processes
def test_a_real_training_stops_with_143_goes_on_and_stops_with_130(tmp_path: Path) -> None:
    snellen, folder = [sys.executable, str(SCRIPT)], tmp_path / "runs" / "run"
    train = ["train", "eyechart", "--set", "epochs=10000", "widths=[4,4,4]", "--precision", "fp32", "--device", "cpu"]
    code, errors, seconds = stop_after_rows(
        [*snellen, *train, "--runs", str(tmp_path / "runs"), "--name", "run"], folder, 1, signal.SIGTERM
    )
    assert code == 143, errors
    assert seconds < 5
    assert "Stopped by SIGTERM; the run is saved and can be resumed" in errors
    assert "Traceback" not in errors
    rows = len(Run(folder).journal.rows())
    assert Run(folder).info["status"] == "interrupted"

    code, errors, seconds = stop_after_rows(
        [*snellen, "train", "--resume", str(folder)], folder, rows + 1, signal.SIGINT
    )
    assert code == 130, errors
    assert seconds < 5
    assert "Stopped by SIGINT" in errors
    assert "Traceback" not in errors
    epochs = [row["epoch"] for row in Run(folder).journal.rows()]
    assert epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) > rows
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.processes
@pytest.mark.parametrize("shell", [[], ["bash", "--norc", "-i", "-c"]], ids=["alone", "in a shell"])
def test_a_training_whose_terminal_is_closed_saves_and_can_be_resumed(shell: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "run"
    # So few epochs that one which goes on without its terminal comes to an end.
    train = [
        sys.executable, str(SCRIPT), "train", "eyechart", "--set", "epochs=400", "widths=[4,4,4]",
        "--precision", "fp32", "--device", "cpu", "--runs", str(tmp_path / "runs"), "--name", "run",
    ]  # fmt: skip
    command = [*shell, f"{shlex.join(train)}; true"] if shell else train  # else the shell becomes the training
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads: nothing but exec follows
        process, terminal = pty.fork()
    if process == 0:
        os.execvp(command[0], command)
    os.set_blocking(terminal, False)
    try:
        wait_until(lambda: len(Run(folder).journal.rows()) > 0, terminal)
    finally:
        os.close(terminal)
        _, status = os.waitpid(process, 0)
    if not shell:
        assert os.waitstatus_to_exitcode(status) == 129
    wait_until(lambda: Run(folder).info["status"] == "interrupted", seconds=30)
    with safe_open(folder / "resume" / "state.safetensors", framework="pt") as state:
        saved = json.loads(state.metadata()["state"])["steps_done"]
    assert saved >= Run(folder).journal.rows()[-1]["step"]


def wait_until(reached: Callable[[], bool], terminal: int | None = None, *, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "the training did not get so far"
        with contextlib.suppress(BlockingIOError):  # what is not read stops whoever writes
            if terminal is not None:
                os.read(terminal, 65_536)
        time.sleep(0.05)


class Screen(io.StringIO):
    """A terminal, until it is closed."""

    gone = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)

    def flush(self) -> None:
        if self.gone:
            raise OSError(errno.EIO, "Input/output error")


def test_a_terminal_that_is_closed_while_the_bar_is_drawn_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    progress = Progress()
    progress.begin(steps=4, done=0, images_per_step=8)
    progress.say("Is anyone there?")
    assert "Is anyone there?" in screen.getvalue()
    screen.gone = True
    progress.say("And now?")
    progress.advance(1)
    progress.end()
    assert "img/s" in screen.getvalue()
    assert "And now?" not in screen.getvalue()


def test_without_stderr_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    progress = Progress()
    progress.begin(steps=4, done=0, images_per_step=8)
    progress.end()
