"""A process timed and weighed from outside: from its start to its end, with its largest memory.

A process begins its life as a copy of its parent, and Linux counts that into its largest memory. So what is to be
weighed is started by a small process of its own, not by this one, which may hold gigabytes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from snellen.errors import RunError

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, KiB on Linux
_SCALE = """
import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
_, status, usage = os.wait4(pid, 0)
os.write(int(sys.argv[1]), str(usage.ru_maxrss).encode())
code = os.waitstatus_to_exitcode(status)
os._exit(code if code >= 0 else 128 - code)
"""


@dataclass(frozen=True)
class Finished:
    """How a process went.

    Attributes:
        out: what it wrote to stdout.
        seconds: from its start to its end.
        peak_bytes: its largest resident memory, or None where that was not asked for or the system does not say.
        line_seconds: for each line of stdout, when it arrived, in seconds after the start.
    """

    out: str
    seconds: float
    peak_bytes: int | None
    line_seconds: tuple[float, ...]


def run_python(arguments: Sequence[str], *, weigh: bool = False, timeout_seconds: float | None = None) -> Finished:
    """Run this Python with `arguments` and wait for its end; stderr is shown only where it fails.

    Args:
        arguments: such as ("-m", "snellen", "--help").
        weigh: find the largest memory; costs about 10 ms in `seconds`.
        timeout_seconds: after which the process is ended; None waits for as long as it takes.

    Raises:
        RunError: it ended with another exit code than 0; the message holds the end of its stderr.
    """
    weigh = weigh and hasattr(os, "fork")
    peak_out, peak_in = os.pipe()
    scale = ["-I", "-S", "-c", _SCALE, str(peak_in)] if weigh else []
    with tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *scale, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            pass_fds=(peak_in,) if weigh else (),
            start_new_session=True,  # so that a process that takes too long is ended together with its scale
        )
        os.close(peak_in)
        alarm = threading.Timer(timeout_seconds or 0.0, _end, [process])
        if timeout_seconds is not None:
            alarm.start()
        lines, arrivals = _read(process, started)
        code = process.wait()
        seconds = time.perf_counter() - started
        alarm.cancel()
        with open(peak_out, "rb") as pipe:
            peak = pipe.read()
        if code != 0:
            errors.seek(0)
            last = errors.read().strip().splitlines()[-1:] or ["nothing on stderr"]
            raise RunError(f"python {' '.join(arguments[:3])} … ended with code {code}: {last[0]}")
    return Finished("".join(lines), seconds, int(peak) * _RSS_UNIT if peak else None, tuple(arrivals))


def _read(process: subprocess.Popen[str], started: float) -> tuple[list[str], list[float]]:
    lines, arrivals = [], []
    assert process.stdout is not None
    with process.stdout as out:
        for line in out:
            lines.append(line)
            arrivals.append(time.perf_counter() - started)
    return lines, arrivals


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
