"""The journal as trackers show it."""

from __future__ import annotations

from snellen.runs.run import Run


def curves(run: Run) -> dict[str, list[tuple[int, float]]]:
    """The journal by curve: (step, value)."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in run.journal.rows():
        for name, value in row.items():
            if name != "step":
                found.setdefault(name, []).append((row["step"], value))
    return found
