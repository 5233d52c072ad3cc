"""How a time is taken: warm up, wait for the device, repeat, keep every repeat, and never forget the conditions.

The median is the result; the tenth and the ninetieth percentile say how far to believe it. Two subjects are compared
by letting them take turns (A B A B …) and dividing pair by pair: a machine that slows down slows both, and what is
left in the ratio is the difference between them.

A line of a benchmark is a `Measurement`: what was measured, its figures, how it was timed and under which conditions.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
import torch

from snellen.runs.environment import describe_environment, processor_name, processors, redact_paths
from snellen.serialize import to_json
from snellen.version import VERSION

Work = Callable[[], object]
"""Does the work once."""


@dataclass(frozen=True)
class Conditions:
    """Under which circumstances a time was taken.

    Attributes:
        machine: the processor's name, and the accelerator's where it did the work.
        device: "cpu", "cuda" or "mps"; "process" where a whole process was timed from outside.
        threads: that PyTorch uses inside one operation.
        cores: that this process may run on.
        precision: "fp32", "bf16", "auto" where the work chose by itself, or "none" where no model takes part.
        batch: images handled at once; None where that means nothing.
        torch: PyTorch's version.
        snellen: Snellen's version.
        load_average: processes waiting for a core, mean of one minute, (before, after) the measurement; None where
            the system does not say. More than the threads in use means that somebody else was measured as well.
    """

    machine: str
    device: str
    threads: int
    cores: int | None
    precision: str
    batch: int | None
    torch: str
    snellen: str
    load_average: tuple[float | None, float | None]

    def after(self) -> Conditions:
        """The same with the load average at the end."""
        return replace(self, load_average=(self.load_average[0], _load_average()))


def conditions_here(
    *, device: torch.device | None = None, precision: str = "none", batch: int | None = None
) -> Conditions:
    """The circumstances of a measurement that is about to begin here.

    Args:
        device: that does the work; None where a process is timed from outside.
        precision: as in `Conditions`.
        batch: images handled at once.
    """
    gpu = f"{torch.cuda.get_device_name(device)}, " if device is not None and device.type == "cuda" else ""
    return Conditions(
        machine=gpu + processor_name(),
        device="process" if device is None else device.type,
        threads=torch.get_num_threads(),
        cores=processors(),
        precision=precision,
        batch=batch,
        torch=str(torch.__version__),
        snellen=VERSION,
        load_average=(_load_average(), None),
    )


def _load_average() -> float | None:
    """Processes that ran or waited for a core, mean over the last minute; None where the system does not say."""
    try:
        return round(os.getloadavg()[0], 2)
    except (OSError, AttributeError):
        return None


@dataclass(frozen=True)
class Timing:
    """The times of one piece of work.

    Attributes:
        seconds: of each repeat, in order.
        conditions: under which they were taken.
    """

    json_also: ClassVar[tuple[str, ...]] = ("median", "p10", "p90", "n")

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


@dataclass(frozen=True)
class Comparison:
    """Two pieces of work that took turns.

    Attributes:
        a: times of the first.
        b: times of the second, as many.
    """

    json_also: ClassVar[tuple[str, ...]] = ("ratio", "spread", "ratios")

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


def time_repeatedly(
    work: Work, *, warmup: int, repeats: int, synchronize: Callable[[], None] = lambda: None, conditions: Conditions
) -> Timing:
    """Time one piece of work.

    Args:
        work: what is timed.
        warmup: untimed calls before; the first ones pay for caches, kernels and memory.
        repeats: timed calls.
        synchronize: waits until the device has done all that was asked of it; called before each look at the clock.
        conditions: of this measurement; the load average at the end is added.
    """
    for _ in range(warmup):
        work()
    times = [_once(work, synchronize) for _ in range(repeats)]
    return Timing(tuple(times), conditions.after())


def compare(
    a: Work,
    b: Work,
    *,
    warmup: int,
    repeats: int,
    synchronize: Callable[[], None] = lambda: None,
    conditions: tuple[Conditions, Conditions],
) -> Comparison:
    """Time two pieces of work in turns, A B A B …, so that both meet the same machine.

    Args:
        a: the first subject, usually ours.
        b: the second, usually the peer.
        warmup: untimed calls of each, in turns too.
        repeats: pairs.
        synchronize: as in `time_repeatedly`.
        conditions: of a and of b.
    """
    for _ in range(warmup):
        a()
        b()
    pairs = [(_once(a, synchronize), _once(b, synchronize)) for _ in range(repeats)]
    first, second = zip(*pairs, strict=True)
    return Comparison(Timing(first, conditions[0].after()), Timing(second, conditions[1].after()))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` per cent of the values stay under, by linear interpolation."""
    return float(np.percentile(np.asarray(values, dtype=np.float64), percent))


def _once(work: Work, synchronize: Callable[[], None]) -> float:
    synchronize()
    started = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - started


NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Measurement:
    """One case of one subject.

    Attributes:
        subject: such as "step".
        case: what distinguishes this line from the subject's others, such as "small_cnn bf16".
        figures: numbers by name; the name ends in the unit. None stands for "not measured".
        conditions: under which they were taken.
        timing: the times behind the figures, where there is one series.
        comparison: the paired times, where two subjects took turns.
        note: what a reader must know besides, or why it was not measured.
        details: more, for the JSON.
    """

    subject: str
    case: str
    figures: Mapping[str, float | None]
    conditions: Conditions
    timing: Timing | None = None
    comparison: Comparison | None = None
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def document(measurements: Sequence[Measurement], *, quick: bool) -> dict[str, Any]:
    """All lines with the environment, JSON-able; it names no folder of this machine."""
    content = {"environment": describe_environment(), "quick": quick, "measurements": to_json(measurements)}
    return redact_paths(content)  # type: ignore[no-any-return]


def table(measurements: Sequence[Measurement]) -> str:
    """All lines as text: one table per subject and set of figures, the conditions under each."""
    parts = []
    for (subject, names), group in groupby(measurements, lambda one: (one.subject, tuple(one.figures))):
        lines = list(group)
        rows = [(subject, *names)]
        rows += [(one.case, *(_number(one.figures[name]) for name in names)) for one in lines]
        parts.append(_aligned(rows))
        parts += [f"  {one.case}: {one.note}" for one in lines if one.note]
        parts += [f"  {words}" for words in dict.fromkeys(_common(one.conditions) for one in lines)]
        parts.append("")
    return "\n".join(parts)


def _common(conditions: Conditions) -> str:
    """The conditions that the case's own name does not say already."""
    loads = [load for load in conditions.load_average if load is not None]
    load = f"load up to {max(loads):.0f}" if loads else "load unknown"
    device = f"{conditions.device}, {conditions.threads} threads"
    return f"[{conditions.machine}; {device}, torch {conditions.torch}, {load}]"


def _number(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "\n".join("  ".join([name.ljust(first), *map(str.rjust, cells, others)]).rstrip() for name, *cells in rows)
