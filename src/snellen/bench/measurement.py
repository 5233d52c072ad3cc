"""One line of a benchmark: what was measured, its figures, how it was timed and under which conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from snellen.bench.protocol import Comparison, Conditions, Timing
from snellen.runs.environment import describe_environment, redact_paths
from snellen.serialize import to_json

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
    return (
        f"[{conditions.machine}; {conditions.device}, {conditions.threads} threads, torch {conditions.torch}, {load}]"
    )


def _number(value: float | None) -> str:
    if value is None:
        return NOT_MEASURED
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3g}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
