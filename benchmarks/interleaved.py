"""Trainings of two processes in turns, ours, the peer's, ours …: a slow spell of the machine meets both.

A *trainer* is a Python process that prints one JSON line with `seconds` after each training, and waits for a line on
stdin before each but the first. Its first training is cold: the wait for it begins with the process.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snellen.bench.process import kill, peak_bytes, require_success, spelled, start_python
from snellen.bench.protocol import Conditions, Timing
from snellen.errors import RunError


@dataclass(frozen=True)
class Trained:
    """What a trainer did.

    Attributes:
        lines: what it told after each training.
        cold_seconds: from the start of the process to the end of its first training.
        peak_bytes: its largest resident memory, or None where the system does not say.
    """

    lines: tuple[dict[str, Any], ...]
    cold_seconds: float
    peak_bytes: int | None

    def warm(self, conditions: Conditions) -> Timing | None:
        """The later trainings by their own clock; None where there was but one."""
        seconds = tuple(float(line["seconds"]) for line in self.lines[1:])
        return Timing(seconds, conditions) if seconds else None


class Trainer:
    """A trainer's process, timed from its start. As a context it ends with the block, killed where it still runs.

    Args:
        arguments: of Python, such as ("-m", "benchmarks.seeds", …).
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = arguments
        self._open = ExitStack()
        self._peak = Path(self._open.enter_context(tempfile.TemporaryDirectory())) / "peak"
        self._errors = self._open.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115 - closed with the context
        self._lines: list[dict[str, Any]] = []
        self._cold_seconds = 0.0
        self._started = time.perf_counter()
        self._process = start_python(arguments, weigh_into=self._peak, stderr=self._errors)

    def __enter__(self) -> Trainer:
        return self

    def __exit__(self, *_: object) -> None:
        kill(self._process)
        self._open.close()

    def ask(self) -> None:
        """Ask for one training and wait until it is done; the first needs no asking.

        Raises:
            RunError: the process has ended, or told no seconds.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._lines:
            with contextlib.suppress(BrokenPipeError):  # it has ended; the next line, which is none, says so
                self._process.stdin.write("\n")
                self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not self._lines:
            self._cold_seconds = time.perf_counter() - self._started
        if not line:
            self.finish()  # raises what the process died of, where it failed
            raise RunError(f"{spelled(self._arguments)} ended before it had told of the training asked for.")
        try:
            told = dict(json.loads(line))
            float(told["seconds"])
        except (ValueError, TypeError, KeyError):
            raise RunError(
                f"{spelled(self._arguments)} printed {line.strip()[:80]!r}, which is no JSON object with seconds. "
                "A trainer prints one such line after each training and nothing else on stdout."
            ) from None
        self._lines.append(told)

    def finish(self) -> Trained:
        """Close stdin and wait for the end.

        Raises:
            RunError: it ended with another exit code than 0; the message holds the end of its stderr.
        """
        self._process.communicate()
        self._errors.seek(0)
        require_success(self._process, self._arguments, self._errors.read())
        return Trained(tuple(self._lines), self._cold_seconds, peak_bytes(self._peak))


def train_interleaved(trainers: Sequence[tuple[Sequence[str], int]]) -> list[Trained]:
    """Let trainers take turns, one training each, in order, until each has done its number.

    Args:
        trainers: arguments of a Python process, and how many trainings to ask of it.

    Raises:
        RunError: a process failed, or told no seconds. The others are ended.
    """
    started: list[Trainer] = []
    with ExitStack() as stack:
        for turn in range(max(count for _, count in trainers)):
            for at, (arguments, count) in enumerate(trainers):
                if turn == 0:
                    started.append(stack.enter_context(Trainer(arguments)))
                if turn < count:
                    started[at].ask()
        return [trainer.finish() for trainer in started]
