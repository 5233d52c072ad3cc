"""How a time is taken: warm up, wait for the device, repeat, keep every repeat, and never forget the conditions.

The median is the result; the tenth and the ninetieth percentile say how far to believe it. Two subjects are compared
by letting them take turns (A B A B …) and dividing pair by pair: a machine that slows down slows both, and what is
left in the ratio is the difference between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from snellen.bench.conditions import Conditions
from snellen.errors import InvalidSetting

Subject = Callable[[], object]
"""Does the work once."""


@dataclass(frozen=True)
class Timing:
    """The times of one subject.

    Attributes:
        seconds: of each repeat, in order.
        conditions: under which they were taken.
    """

    seconds: tuple[float, ...]
    conditions: Conditions

    @property
    def median(self) -> float:
        """Seconds."""
        return percentile(self.seconds, 50)

    @property
    def p10(self) -> float:
        """Seconds that a tenth of the repeats stayed under."""
        return percentile(self.seconds, 10)

    @property
    def p90(self) -> float:
        """Seconds that a tenth of the repeats went over."""
        return percentile(self.seconds, 90)

    @property
    def n(self) -> int:
        """Number of repeats."""
        return len(self.seconds)

    def to_json(self) -> dict[str, Any]:
        """Median, spread, every repeat and the conditions; seconds throughout."""
        return {
            "median_seconds": self.median,
            "p10_seconds": self.p10,
            "p90_seconds": self.p90,
            "n": self.n,
            "seconds": list(self.seconds),
            "conditions": self.conditions.to_json(),
        }

    def __str__(self) -> str:
        return (
            f"{1e3 * self.median:.1f} ms (p10 {1e3 * self.p10:.1f}, p90 {1e3 * self.p90:.1f}, n={self.n}), "
            f"{self.conditions}"
        )


@dataclass(frozen=True)
class Comparison:
    """Two subjects that took turns.

    Attributes:
        a: times of the first.
        b: times of the second, as many.
    """

    a: Timing
    b: Timing

    @property
    def ratios(self) -> tuple[float, ...]:
        """Seconds of b divided by seconds of a, pair by pair: above 1, a is that many times as fast."""
        return tuple(late / early for early, late in zip(self.a.seconds, self.b.seconds, strict=True))

    @property
    def ratio(self) -> float:
        """Median of the ratios."""
        return percentile(self.ratios, 50)

    @property
    def spread(self) -> tuple[float, float]:
        """Tenth and ninetieth percentile of the ratios."""
        return percentile(self.ratios, 10), percentile(self.ratios, 90)

    def to_json(self) -> dict[str, Any]:
        """Both timings and the ratio with its spread."""
        low, high = self.spread
        ratio = {"median": self.ratio, "p10": low, "p90": high, "n": len(self.ratios), "means": "seconds of b / of a"}
        return {"a": self.a.to_json(), "b": self.b.to_json(), "ratio": ratio}


def time_repeatedly(
    subject: Subject,
    *,
    warmup: int,
    repeats: int,
    synchronize: Callable[[], None],
    conditions: Conditions,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time one subject.

    Args:
        subject: does the work once.
        warmup: untimed calls before; the first ones pay for caches, kernels and memory.
        repeats: timed calls.
        synchronize: waits until the device has done all that was asked of it; called before each look at the clock.
        conditions: of this measurement; the load average at the end is added.
        clock: seconds; another one in tests.

    Raises:
        InvalidSetting: no repeat, or a negative warm-up.
    """
    _require_counts(warmup, repeats)
    for _ in range(warmup):
        subject()
    times = [_once(subject, synchronize, clock) for _ in range(repeats)]
    return Timing(tuple(times), conditions.after())


def compare(
    a: Subject,
    b: Subject,
    *,
    warmup: int,
    repeats: int,
    synchronize: Callable[[], None],
    conditions: tuple[Conditions, Conditions],
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Time two subjects in turns, A B A B …, so that both meet the same machine.

    Args:
        a: the first subject, usually ours.
        b: the second, usually the peer.
        warmup: untimed calls of each, in turns too.
        repeats: pairs.
        synchronize: as in `time_repeatedly`.
        conditions: of a and of b.
        clock: as in `time_repeatedly`.

    Raises:
        InvalidSetting: no repeat, or a negative warm-up.
    """
    _require_counts(warmup, repeats)
    for _ in range(warmup):
        a()
        b()
    pairs = [(_once(a, synchronize, clock), _once(b, synchronize, clock)) for _ in range(repeats)]
    first, second = zip(*pairs, strict=True)
    return Comparison(Timing(first, conditions[0].after()), Timing(second, conditions[1].after()))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` per cent of the values stay under, by linear interpolation."""
    return float(np.percentile(np.asarray(values, dtype=np.float64), percent))


def _once(subject: Subject, synchronize: Callable[[], None], clock: Callable[[], float]) -> float:
    synchronize()
    started = clock()
    subject()
    synchronize()
    return clock() - started


def _require_counts(warmup: int, repeats: int) -> None:
    if repeats < 1 or warmup < 0:
        raise InvalidSetting(f"warmup={warmup}, repeats={repeats} is not possible: at least 0 and 1.")
