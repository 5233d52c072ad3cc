"""Training curves as a picture: train solid, val dashed, one colour for each run or recipe; and the range test.

The loss as it was trained on (augmented, perhaps smoothed) is dotted beside the clean ones, with the value below which
smoothing does not let it go. A picture that cannot be written is a StorageError.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snellen.metrics.learning_curves import OVERFIT_GAP, Band, Curve, band
from snellen.show import figures

_COLOURS = ("#2f6f9f", "#c8553d", "#588157", "#7b5ea7", "#b08900", "#444444")  # distinct under colour blindness


def curves_png(path: Path, curves: Sequence[Curve], *, headline: str = "") -> None:
    """Draw accuracy, loss and gap over epochs, each curve as the mean of its seeds inside their range."""
    figure = figures.new_figure(13, 4.4 + 0.25 * bool(headline))
    accuracy, loss, gap = figure.subplots(1, 3)
    alone = len(curves) == 1
    for at, curve in enumerate(curves):
        colour = _COLOURS[at % len(_COLOURS)]
        _line(accuracy, band(curve, "train_accuracy"), colour, "-", curve.name, 100)
        _line(accuracy, band(curve, "val_accuracy"), colour, "--", "", 100)
        _line(loss, band(curve, "train_cross_entropy"), colour, "-", curve.name)
        _line(loss, band(curve, "val_cross_entropy"), colour, "--", "")
        if alone or curve.floor is not None:
            _line(loss, band(curve, "train_loss"), colour, ":", "")
        _line(gap, band(curve, "gap"), colour, "-", curve.name, 100)
    for floor in sorted({curve.floor for curve in curves if curve.floor is not None}):
        _mark(loss, floor, f"floor of the smoothed loss {floor:.3f}")
    _mark(gap, 100 * OVERFIT_GAP, "the overfit guard: 5 points")
    _finish(accuracy, "Accuracy, %", "solid: train, clean images    dashed: val")
    dotted = "    dotted: as trained" if alone or any(curve.floor is not None for curve in curves) else ""
    _finish(loss, "Loss, nats", f"solid: train, clean    dashed: val{dotted}")
    _finish(gap, "Gap, points", "train minus val accuracy")
    _fit_loss_axis(loss, curves)
    _legend(figure, accuracy, curves, headline)
    figures.save_png(figure, path)


def lr_png(path: Path, rates: Sequence[float], losses: Sequence[float], *, suggested: float, lowest: float) -> None:
    """Draw the smoothed loss (nats per image) against the rising rate.

    Marked are the suggested rate, that of the steepest fall, and that of the lowest loss.
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


def _line(axis: Any, drawn: Band, colour: str, style: str, label: str, scale: float = 1.0) -> None:
    if not drawn.epochs:
        return
    low, mean, high = ([scale * value for value in values] for values in (drawn.low, drawn.mean, drawn.high))
    marker = "o" if len(drawn.epochs) == 1 else ""  # a line through one point is invisible
    axis.plot(drawn.epochs, mean, style, color=colour, linewidth=1.6, label=figures.drawn(label) or "_", marker=marker)
    if low != high:
        axis.fill_between(drawn.epochs, low, high, color=colour, alpha=0.15, linewidth=0)


def _mark(axis: Any, height: float, words: str) -> None:
    from matplotlib.patheffects import withStroke

    axis.axhline(height, color=figures.FAINT, linewidth=0.9, linestyle=(0, (1, 2)))
    # On the left, where lines are far from their goal, and with a halo for those that pass.
    axis.annotate(
        words, (0, height), (4, 3), xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=8.5,
        color=figures.FAINT, path_effects=[withStroke(linewidth=3, foreground=figures.PAPER)], zorder=5,
    )  # fmt: skip


def _finish(axis: Any, headline: str, detail: str) -> None:
    figures.title(axis, headline, detail)
    axis.set_xlabel("epoch", color=figures.FAINT)
    figures.calm(axis)
    axis.grid(color=figures.HAIRLINE, linewidth=0.6)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.margins(x=0.01)


def _fit_loss_axis(axis: Any, curves: Sequence[Curve]) -> None:
    """From 0 to what the lines reach most of the time: one spike of one epoch must not flatten everything else."""
    values = sorted(
        value
        for curve in curves
        for series in ("train_cross_entropy", "val_cross_entropy", "train_loss")
        for value in band(curve, series).mean
    )
    if values:
        axis.set_ylim(0, min(1.08 * values[-1], 1.6 * values[int(0.9 * (len(values) - 1))]) or 1.0)


def _legend(figure: Any, axis: Any, curves: Sequence[Curve], headline: str) -> None:
    if headline:
        text = figures.drawn(headline, 200)
        figure.suptitle(text, x=0.012, ha="left", fontsize=13, fontweight="bold", color=figures.INK)
    if len(curves) > 1:
        handles, labels = axis.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside lower left", ncols=min(len(labels), 4), frameon=False, fontsize=9.5,
            labelcolor=figures.INK,
        )  # fmt: skip
