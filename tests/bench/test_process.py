"""Processes timed and weighed from outside, and the two subjects that are whole processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from snellen.bench import process
from snellen.bench.catalog import Settings
from snellen.bench.process import Finished, run_python
from snellen.errors import RunError, UnknownName

Commands = list[Sequence[str]]


@pytest.mark.processes
def test_a_process_is_timed_and_what_it_printed_is_kept() -> None:
    finished = run_python(["-c", "import time; print('now', flush=True); time.sleep(0.2); print('then')"])
    assert finished.out == "now\nthen\n"
    assert finished.seconds > 0.2


@pytest.mark.processes
def test_the_peak_memory_is_that_of_the_process_and_not_of_its_parent() -> None:
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])  # touched, so that this process is large
    large = run_python(["-c", "x = b'x' * 200_000_000"], weigh=True).peak_bytes
    small = run_python(["-c", "pass"], weigh=True).peak_bytes
    assert large is not None
    assert small is not None
    assert 200e6 < large < 250e6
    assert small < 50e6


@pytest.mark.processes
def test_a_process_that_is_not_weighed_has_no_memory_to_tell() -> None:
    assert run_python(["-c", "pass"]).peak_bytes is None


@pytest.mark.processes
@pytest.mark.parametrize("weigh", [False, True])
def test_a_process_that_fails_says_its_last_words(weigh: bool) -> None:
    with pytest.raises(RunError, match="code 3: the disk is gone"):
        run_python(["-c", "import sys; print('the disk is gone', file=sys.stderr); sys.exit(3)"], weigh=weigh)


@pytest.mark.processes
@pytest.mark.parametrize("weigh", [False, True])
def test_a_process_that_takes_too_long_is_ended(weigh: bool) -> None:
    started = time.monotonic()
    with pytest.raises(RunError, match="was ended after 0.3 seconds"):
        run_python(["-c", "import time; time.sleep(60)"], weigh=weigh, timeout_seconds=0.3)
    assert time.monotonic() - started < 30


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The processes that were asked for; none is started."""
    asked: Commands = []

    def run(arguments: Sequence[str], **_: Any) -> Finished:
        asked.append(arguments)
        return Finished("", 2.0, 3_000_000_000)

    monkeypatch.setattr(process, "run_python", run)
    return asked


def test_import_times_whole_processes_in_turns_with_an_empty_one(commands: Commands) -> None:
    lines = list(process.measure_import(Settings(quick=True)))
    assert lines[0].case == "snellen --help"
    assert list(commands[:4]) == [("-m", "snellen", "--help"), ("-c", "pass")] * 2


def test_memory_weighs_a_training_of_a_few_steps(commands: Commands) -> None:
    (line,) = process.measure_memory(Settings(recipe="sprint", dataset="eyechart", device="cpu"))
    assert line.figures == {"peak GB": 3.0, "seconds": 2.0}
    (command,) = commands
    assert " ".join(command).startswith("-m snellen train eyechart --recipe sprint --set epochs=")
    (epochs,) = [word for word in command if word.startswith("epochs=")]
    assert round(float(epochs.removeprefix("epochs=")) * (45_000 // 1536)) == 12


def test_memory_of_a_data_set_that_there_is_not_is_refused_before_a_process_starts(commands: Commands) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'cifar10'"):
        next(process.measure_memory(Settings(dataset="cifar")))
    assert commands == []
