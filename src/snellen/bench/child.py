"""A process timed and weighed from outside: from its start to its end, with its largest memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from snellen.errors import RunError

_KIB = 1024
_RSS_UNIT = 1 if sys.platform == "darwin" else _KIB  # getrusage(2): bytes there, KiB on Linux


@dataclass(frozen=True)
class Finished:
    """How a process went.

    Attributes:
        out: what it wrote to stdout.
        seconds: from its start to its end.
        peak_bytes: largest resident memory of the process itself, or None where the system does not say.
        line_seconds: for each line of stdout, when it arrived, in seconds after the start.
    """

    out: str
    seconds: float
    peak_bytes: int | None
    line_seconds: tuple[float, ...]


def run_python(arguments: Sequence[str], *, timeout_seconds: float | None = None) -> Finished:
    """Run this Python with `arguments` and wait for its end; stderr is shown only where it fails.

    Args:
        arguments: such as ("-m", "snellen", "--help").
        timeout_seconds: after which the process is ended; None waits for as long as it takes.

    Raises:
        RunError: it ended with another exit code than 0; the message holds the end of its stderr.
    """
    with tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True)
        alarm = threading.Timer(timeout_seconds or 0.0, process.kill)
        if timeout_seconds is not None:
            alarm.start()
        lines, arrivals = [], []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            arrivals.append(time.perf_counter() - started)
        process.stdout.close()
        code, peak = _wait(process)
        seconds = time.perf_counter() - started
        alarm.cancel()
        if code != 0:
            errors.seek(0)
            last = errors.read().strip().splitlines()[-1:] or ["nothing on stderr"]
            raise RunError(f"python {' '.join(arguments[:3])} … ended with code {code}: {last[0]}")
    return Finished("".join(lines), seconds, peak, tuple(arrivals))


def _wait(process: subprocess.Popen[str]) -> tuple[int, int | None]:
    """Exit code and peak memory of this one child; `resource` would give the largest of all children so far."""
    if not hasattr(os, "wait4"):
        return process.wait(), None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for: Popen must not do so again
    return process.returncode, usage.ru_maxrss * _RSS_UNIT
