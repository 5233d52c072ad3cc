"""Ctrl-C, SIGTERM, SIGHUP: the first asks, the second does not wait, and real processes say so by their exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from snellen.runs.run import Run
from snellen.train.interrupt import Interrupted, StopRequest
from snellen.train.progress import Progress

SCRIPT = Path(__file__).parents[1] / "small_eyechart.py"


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


def test_a_real_training_stops_with_143_goes_on_and_stops_with_130(tmp_path: Path) -> None:
    snellen, folder = [sys.executable, str(SCRIPT)], tmp_path / "runs" / "run"
    train = ["train", "eyechart", "--set", "epochs=10000", "widths=[4,4,4,4]", "--precision", "fp32", "--device", "cpu"]
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


def test_a_training_whose_terminal_is_closed_stops_with_129_and_can_be_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "run"
    train = [
        "train", "eyechart", "--set", "epochs=10000", "widths=[4,4,4,4]", "--precision", "fp32", "--device", "cpu",
        "--runs", str(tmp_path / "runs"), "--name", "run",
    ]  # fmt: skip
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, str(SCRIPT), *train])
    os.set_blocking(terminal, False)
    deadline = time.monotonic() + 240
    try:
        while len(Run(folder).journal.rows()) < 1:
            assert time.monotonic() < deadline, "the training did not get so far"
            with contextlib.suppress(BlockingIOError):  # what is not read stops whoever writes
                os.read(terminal, 65_536)
            time.sleep(0.05)
    finally:
        os.close(terminal)
        _, status = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(status) == 129
    assert Run(folder).info["status"] == "interrupted"
    assert (folder / "resume" / "state.safetensors").exists()


def test_what_nobody_listens_to_ends_no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

        def flush(self) -> None:
            raise OSError(errno.EIO, "Input/output error")

    progress = Progress()
    monkeypatch.setattr(sys, "stderr", Gone())
    progress.begin(steps=4, done=0, images_per_step=8)
    progress.advance(1)
    progress.say("Is anyone there?")
    progress.end()


def test_it_is_drawn_on_the_terminal_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    progress = Progress()
    progress.begin(steps=4, done=0, images_per_step=8)
    progress.advance(1)
    progress.end()
    assert "img/s" in screen.getvalue()
