"""Trainings of two processes in turns, ours, the peer's, ours …: a slow spell of the machine meets both.

A *trainer* is a Python process that prints one JSON line with `seconds` after each training, and waits for a line on
stdin before each but the first. Its first training is cold: the wait for it begins with the process.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from snellen.bench.conditions import Conditions
from snellen.bench.process import Child, Finished
from snellen.bench.protocol import Timing
from snellen.errors import RunError


@dataclass(frozen=True)
class Trained:
    """What a trainer did.

    Attributes:
        lines: what it told after each training.
        finished: its process.
    """

    lines: tuple[dict[str, Any], ...]
    finished: Finished

    @property
    def cold_seconds(self) -> float:
        """From the start of the process to the end of its first training."""
        return self.finished.line_seconds[0]

    def warm(self, conditions: Conditions) -> Timing | None:
        """The later trainings by their own clock; None where there was but one."""
        seconds = tuple(float(line["seconds"]) for line in self.lines[1:])
        return Timing(seconds, conditions) if seconds else None


def train_in_turns(trainers: Sequence[tuple[Sequence[str], int]]) -> list[Trained]:
    """Let trainers take turns, one training each, in order, until each has done its number.

    Args:
        trainers: arguments of a Python process, and how many trainings to ask of it.

    Raises:
        RunError: a process failed, or told no seconds. The others are ended.
    """
    children: dict[int, Child] = {}
    lines: list[list[dict[str, Any]]] = [[] for _ in trainers]
    with ExitStack() as stack:
        for turn in range(max(count for _, count in trainers)):
            for at, (arguments, count) in enumerate(trainers):
                if turn == 0:
                    children[at] = stack.enter_context(Child(arguments, weigh=True))
                elif turn < count:
                    children[at].ask()
                if turn < count:
                    lines[at].append(_told(children[at], arguments))
        done = [children[at].finish() for at in range(len(trainers))]
    return [Trained(tuple(told), finished) for told, finished in zip(lines, done, strict=True)]


def _told(child: Child, arguments: Sequence[str]) -> dict[str, Any]:
    line = child.read_line()
    if line is None:
        child.finish()  # raises what the process died of, where it failed
        raise RunError(f"python {' '.join(arguments[:3])} … ended before it had told of the training asked for.")
    try:
        told = json.loads(line)
        float(told["seconds"])
    except (ValueError, TypeError, KeyError):
        raise RunError(
            f"python {' '.join(arguments[:3])} … printed {line.strip()[:80]!r}, which is no JSON object with seconds. "
            "A trainer prints one such line after each training and nothing else on stdout."
        ) from None
    return dict(told)
