"""Processes timed and weighed from outside."""

from __future__ import annotations

import time

import pytest

from snellen.bench.process import run_python
from snellen.errors import RunError


def test_a_process_is_timed_and_what_it_printed_is_kept() -> None:
    finished = run_python(["-c", "import time; print('now', flush=True); time.sleep(0.2); print('then')"])
    assert finished.out == "now\nthen\n"
    first, last = finished.line_seconds
    assert first < last <= finished.seconds
    assert last - first > 0.15


def test_the_peak_memory_is_that_of_the_process_and_not_of_its_parent() -> None:
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])  # touched, so that this process is large
    large = run_python(["-c", "x = b'x' * 200_000_000"], weigh=True).peak_bytes
    small = run_python(["-c", "pass"], weigh=True).peak_bytes
    assert large is not None
    assert small is not None
    assert 200e6 < large < 250e6
    assert small < 50e6


def test_a_process_that_is_not_weighed_has_no_memory_to_tell() -> None:
    assert run_python(["-c", "pass"]).peak_bytes is None


@pytest.mark.parametrize("weigh", [False, True])
def test_a_process_that_fails_says_its_last_words(weigh: bool) -> None:
    with pytest.raises(RunError, match="code 3: the disk is gone"):
        run_python(["-c", "import sys; print('the disk is gone', file=sys.stderr); sys.exit(3)"], weigh=weigh)


@pytest.mark.parametrize("weigh", [False, True])
def test_a_process_that_takes_too_long_is_ended(weigh: bool) -> None:
    started = time.monotonic()
    with pytest.raises(RunError, match="code -9"):
        run_python(["-c", "import time; time.sleep(60)"], weigh=weigh, timeout_seconds=0.3)
    assert time.monotonic() - started < 30
