"""The picture of `scale.py`: what grows with what. One column per axis, time above, memory below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from snellen.bench.protocol import Measurement
from snellen.show import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PREPARING, _TRAINING = figures.RIGHT, figures.WRONG


def scale_png(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write the picture of these lines of `scale`: seconds of preparing, µs of a training step per image, peak memory.

    Raises:
        StorageError: the file could not be written.
    """
    by_axis: dict[str, list[Measurement]] = {}
    for line in measurements:
        by_axis.setdefault(str(line.details["axis"]), []).append(line)
    figure = figures.new_figure(3.2 * len(by_axis), 5.6)
    panels = figure.subplots(2, len(by_axis), squeeze=False, sharey="row")
    for column, (axis, lines) in enumerate(by_axis.items()):
        where = [float(line.details[axis]) for line in lines]
        above, below = panels[0][column], panels[1][column]
        seconds = [_sum(line.figures, "split s", "statistics s") for line in lines]
        step = [1e6 / rate if (rate := line.figures["training images/s"]) else None for line in lines]
        _draw(above, where, seconds, _PREPARING, "split and statistics, s")
        _draw(above, where, step, _TRAINING, "training step, µs per image")
        _draw(below, where, [line.figures["peak GB"] for line in lines], figures.INK, "peak memory, GB")
        figures.title(above, axis, "all else as it was")
        for panel in (above, below):
            figures.calm(panel)
            panel.set_xscale("log")
            panel.grid(color=figures.HAIRLINE)
            panel.set_xticks(where, [f"{value:,.0f}" for value in where])
            panel.minorticks_off()
        above.set_yscale("log")
        above.minorticks_off()
        below.set_ylim(bottom=0)
        below.set_xlabel(axis, color=figures.INK)
    for row in panels[:, 0]:
        row.legend(frameon=False, fontsize=8.5)
    figures.save_png(figure, path)


def _draw(axes: Axes, where: Sequence[float], values: Sequence[float | None], colour: str, label: str) -> None:
    known = [(place, value) for place, value in zip(where, values, strict=True) if value is not None]
    axes.plot([place for place, _ in known], [value for _, value in known], "o-", color=colour, label=label)


def _sum(found: Mapping[str, float | None], *names: str) -> float | None:
    values = [found[name] for name in names]
    return None if None in values else sum(value for value in values if value is not None)
