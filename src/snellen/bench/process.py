"""A process timed and weighed from outside: from its start to its end, with its largest memory.

A process begins its life as a copy of its parent, and Linux counts that into its largest memory. So what is to be
weighed is started by a small process of its own, not by this one, which may hold gigabytes.
"""

from __future__ import annotations

import contextlib
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


class Child:
    """A Python process that is timed from its start; stdin and stdout are lines, stderr is kept for its last words.

    As a context it ends with the block, killed where it has not ended by itself.

    Args:
        arguments: such as ("-m", "snellen", "--help").
        weigh: find the largest memory; costs about 10 ms.
    """

    def __init__(self, arguments: Sequence[str], *, weigh: bool = False) -> None:
        weigh = weigh and hasattr(os, "fork")
        self._arguments = arguments
        self._peak, peak_in = os.pipe()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the context
        self._weighed = False
        scale = ["-I", "-S", "-c", _SCALE, str(peak_in)] if weigh else []
        self._lines: list[str] = []
        self._arrivals: list[float] = []
        self._started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *scale, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            pass_fds=(peak_in,) if weigh else (),
            start_new_session=True,  # so that a process that takes too long is ended together with its scale
        )
        os.close(peak_in)

    def ask(self) -> None:
        """Send an empty line, on which the process may be waiting."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; `read_line` says so
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def read_line(self) -> str | None:
        """The next line of stdout, waited for; None at its end."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return None
        self._lines.append(line)
        self._arrivals.append(time.perf_counter() - self._started)
        return line

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()
        if not self._weighed:
            os.close(self._peak)

    def kill(self) -> None:
        """Kill it, with its scale."""
        if self._process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    def finish(self) -> Finished:
        """Close stdin, read what is left and wait for the end.

        Raises:
            RunError: it ended with another exit code than 0; the message holds the end of its stderr.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        while self.read_line() is not None:
            pass
        code = self._process.wait()
        seconds = time.perf_counter() - self._started
        self._weighed = True
        with open(self._peak, "rb") as pipe:
            peak = pipe.read()
        self._errors.seek(0)
        last = self._errors.read().strip().splitlines()[-1:] or ["nothing on stderr"]
        if code != 0:
            raise RunError(f"python {' '.join(self._arguments[:3])} … ended with code {code}: {last[0]}")
        return Finished(
            "".join(self._lines), seconds, int(peak) * _RSS_UNIT if peak else None, tuple(self._arrivals)
        )  # fmt: skip


def run_python(arguments: Sequence[str], *, weigh: bool = False, timeout_seconds: float | None = None) -> Finished:
    """Run this Python with `arguments` and wait for its end; stderr is shown only where it fails.

    Args:
        arguments: such as ("-m", "snellen", "--help").
        weigh: find the largest memory; costs about 10 ms in `seconds`.
        timeout_seconds: after which the process is ended; None waits for as long as it takes.

    Raises:
        RunError: it ended with another exit code than 0; the message holds the end of its stderr.
    """
    with Child(arguments, weigh=weigh) as child:
        alarm = threading.Timer(timeout_seconds or 0.0, child.kill)
        if timeout_seconds is not None:
            alarm.start()
        try:
            return child.finish()
        finally:
            alarm.cancel()
