"""The learning-rate range test as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from snellen.show import figures


def lr_png(path: Path, rates: Sequence[float], losses: Sequence[float], *, suggested: float, lowest: float) -> None:
    """The smoothed loss against the rate, with the suggested rate and the last useful one marked.

    Args:
        path: of the PNG.
        rates: rising.
        losses: nats per image.
        suggested: rate of the steepest fall.
        lowest: rate of the lowest loss.

    Raises:
        StorageError: the file could not be written.
    """
    figure = figures.new_figure(7, 4)
    axes = figure.add_subplot()
    figures.calm(axes)
    axes.set_xscale("log")
    axes.plot(rates, losses, color=figures.RIGHT, linewidth=2)
    for rate, colour, words in ((suggested, figures.INK, "steepest fall"), (lowest, figures.WRONG, "lowest loss")):
        axes.axvline(rate, color=colour, linewidth=1)
        axes.annotate(
            f" {words}\n {rate:.2g}", (rate, 1), xycoords=("data", "axes fraction"), va="top", fontsize=9, color=colour
        )
    axes.set_xlabel("learning rate", fontsize=9.5, color=figures.INK)
    figures.title(axes, "Learning-rate range test", "training loss per image (nats), smoothed, while the rate rises")
    figures.save_png(figure, path)
