"""Training curves as a picture: train solid, val dashed, one colour for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snellen.evaluate import figures

_COLOURS = ("#2f6f9f", "#c8553d", "#588157", "#7b5ea7", "#b08900", "#444444")  # distinct under colour blindness


def curves_png(path: Path, runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Draw loss and accuracy over epochs of one or more runs.

    Args:
        path: the PNG to write.
        runs: name of the run -> rows of its journal.
    """
    figure = figures.new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    for colour, (name, rows) in zip(_COLOURS * (1 + len(runs) // len(_COLOURS)), runs.items(), strict=False):
        label = name if len(runs) > 1 else ""
        _line(left, rows, "train/loss", colour, "-", f"{label} train (augmented, smoothed)".strip(), 1.0)
        _line(left, rows, "val/loss", colour, "--", f"{label} val (hard labels)".strip(), 1.0)
        _line(right, rows, "train/accuracy", colour, "-", f"{label} train (clean images)".strip(), 100.0)
        _line(right, rows, "val/accuracy", colour, "--", f"{label} val".strip(), 100.0)
    for axis, title in ((left, "Loss"), (right, "Accuracy, %")):
        axis.set_title(title, loc="left", color=figures.INK, fontsize=11, fontweight="bold")
        axis.set_xlabel("epoch", color=figures.FAINT)
        figures.calm(axis)
        axis.grid(color=figures.HAIRLINE, linewidth=0.6)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False, fontsize=8, labelcolor=figures.INK)
    figures.save_png(figure, path)


def _line(
    axis: Any, rows: Sequence[Mapping[str, Any]], key: str, colour: str, style: str, label: str, scale: float
) -> None:
    points = [(row["epoch"], row[key] * scale) for row in rows if row.get(key) is not None]
    if points:
        marker = "o" if len(points) == 1 else ""  # a line through one point is invisible
        axis.plot(*zip(*points, strict=True), style, color=colour, linewidth=1.6, label=label, marker=marker)
