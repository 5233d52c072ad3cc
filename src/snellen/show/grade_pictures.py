"""The pictures beside a split's grades: its confusion matrix and its reliability, as PNG files.

A picture that cannot be written is a StorageError.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.errors import SnellenError
from snellen.evaluate.test_set import TestEvaluation
from snellen.metrics.calibration import (
    ReliabilityBin,
    calibration,
    expected_calibration_error,
    fit_temperature,
    reliability_bins,
    rescaled,
)
from snellen.metrics.confusion import confusion_matrix, worst_pairs
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.runs.run import Run
from snellen.show import figures


def draw_grades(predictions: Predictions, folder: Path, *, val: Predictions | None) -> None:
    """Draw both pictures of a split into a run folder; `val` fits the temperature, None where the run kept no val."""
    split, title = predictions.split, f"{folder.name}, {predictions.split}"
    ending = "" if split == "val" else f"_{split}"
    matrix, names = confusion_matrix(predictions), predictions.class_names
    confusion_png(folder / f"confusion{ending}.png", matrix, names, title=title, best_of=predictions.best_of)
    after = None if val is None else rescaled(predictions, fit_temperature(val).temperature)
    reliability_png(folder / f"reliability{ending}.png", predictions, after=after, title=title)


def complete_pictures(runs: Sequence[Run], evaluation: TestEvaluation) -> None:
    """Draw what is missing of an evaluation's pictures; a run folder that cannot be written goes without."""
    for run, predictions in zip(runs, evaluation.predictions, strict=True):
        if not (run.folder / "reliability_test.png").exists():  # the last that `draw_grades` writes
            with suppress(SnellenError), run.locked():
                draw_grades(predictions, run.folder, val=stored_predictions(run, "val"))


def confusion_png(
    path: Path, matrix: NDArray[np.int64], class_names: Sequence[str], *, title: str = "", best_of: int = 1
) -> None:
    """The matrix as a picture: errors in orange on a logarithmic scale, the diagonal muted, counts printed.

    The title says what was graded, such as "resnet18, val"; the accuracy, as the best of so many epochs, stands below.
    """
    classes = len(matrix)
    side = min(max(5.0, 2.0 + 0.58 * classes), 15.0)
    figure = figures.new_figure(side, side)
    axes = figure.add_subplot()
    axes.imshow(_colours(matrix), aspect="equal", interpolation="nearest")
    _name_axes(axes, class_names)
    if classes <= 40:
        _print_counts(axes, matrix)
    errors, n = int(matrix.sum() - np.trace(matrix)), int(matrix.sum())
    rate = f"{Rate(n - errors, n, best_of)} right" if n else "no images"
    figures.title(axes, title, rate)
    lines = [figures.drawn(str(pair), 150) for pair in worst_pairs(matrix, class_names, limit=2)]
    if lines:
        figure.supxlabel("\n".join(lines), fontsize=8.5, color=figures.INK, x=0.02, ha="left")
    figures.save_png(figure, path)


def _colours(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, K, 3) float64 RGB in [0, 1]: near white to deep orange by log(1 + count), the diagonal a pale blue grey."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgb

    scale = LinearSegmentedColormap.from_list("errors", ["#f6f7f9", "#fde3cf", "#f6a871", "#d9621e", "#8f3406"])
    errors = matrix.astype(np.float64).copy()
    np.fill_diagonal(errors, 0)
    # Most cells hold 0 to 5, the worst pair a hundred: linear colour would show one cell and hide the rest.
    depth = np.log1p(errors) / max(math.log1p(errors.max(initial=0)), 1e-9)
    colours = np.asarray(scale(depth))[..., :3].copy()
    colours[np.diag_indices(len(matrix))] = to_rgb("#dde5ee")
    return colours


def _name_axes(axes: Any, class_names: Sequence[str]) -> None:
    positions = range(len(class_names))
    names = [figures.drawn(name) for name in class_names]
    size = 9 if len(class_names) <= 20 else max(4.0, 180 / len(class_names))
    if max(len(name) for name in names) <= 4 and len(class_names) <= 20:
        axes.set_xticks(positions, names)
    else:
        axes.set_xticks(positions, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(positions, names)
    figures.calm(axes)
    axes.tick_params(labelsize=size)
    axes.set_xticks([i - 0.5 for i in positions][1:], minor=True)
    axes.set_yticks([i - 0.5 for i in positions][1:], minor=True)
    axes.grid(which="minor", color=figures.PAPER, linewidth=1.5)
    axes.tick_params(which="minor", length=0)
    axes.set_xlabel("predicted", color=figures.FAINT, fontsize=9)
    axes.set_ylabel("true", color=figures.FAINT, fontsize=9)


def _print_counts(axes: Any, matrix: NDArray[np.int64]) -> None:
    worst = math.log1p(int((matrix - np.diag(np.diag(matrix))).max(initial=0)))
    size = 9.0 if len(matrix) <= 12 else max(4.0, 100 / len(matrix))
    for (row, column), count in np.ndenumerate(matrix):
        if count == 0:
            continue
        dark = row != column and math.log1p(count) > 0.66 * worst
        colour = figures.PAPER if dark else "#52657a" if row == column else figures.INK
        axes.text(column, row, f"{count}", ha="center", va="center", fontsize=size, color=colour)


def reliability_png(path: Path, predictions: Predictions, *, after: Predictions | None = None, title: str = "") -> None:
    """Accuracy against confidence, with Wilson intervals, above the number of images behind each point.

    `after` are the same images with rescaled logits (see `calibration.rescaled`), drawn as a second line.

    Raises:
        UsageError: no image, or images without label.
    """
    report = calibration(predictions)
    figure = figures.new_figure(5.6, 6.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot([0, 1], [0, 1], color=figures.FAINT, linewidth=1, linestyle=(0, (4, 3)))
    turned: dict[str, Any] = {"rotation": 45, "rotation_mode": "anchor", "transform_rotates_text": True}
    upper.text(0.04, 0.06, "as sure as right", color=figures.FAINT, fontsize=8.5, **turned)
    _reliability_line(upper, report.bins, figures.WRONG, f"as trained: ECE {100 * report.ece:.1f} %")
    if after is not None:
        label = f"with temperature: ECE {100 * expected_calibration_error(after):.1f} %"
        _reliability_line(upper, reliability_bins(after), figures.RIGHT, label)
        upper.legend(frameon=False, loc="lower right", fontsize=9, labelcolor=figures.INK)
    ece = f"ECE {100 * report.ece:.1f} % ({100 * report.low:.1f}-{100 * report.high:.1f}, n={report.accuracy.n})"
    null = f"perfect calibration would show {100 * report.null.mean:.1f} %"
    figures.title(upper, title, f"{ece}; {null}")
    upper.set_ylabel("right", color=figures.FAINT, fontsize=9)
    upper.set_ylim(0, 1.04)
    shares = [100 * row.count / len(predictions) for row in report.bins]
    centres = [(row.low + row.high) / 2 for row in report.bins]
    lower.bar(centres, shares, width=0.9 / len(shares), color=figures.HAIRLINE)
    lower.set_ylabel("% of images", color=figures.FAINT, fontsize=9)
    lower.set_xlabel("confidence of the answer", color=figures.FAINT, fontsize=9)
    lower.set_xlim(0, 1.02)
    for axes in (upper, lower):
        figures.calm(axes)
        axes.grid(color=figures.HAIRLINE, linewidth=0.6)
    figures.save_png(figure, path)


def _reliability_line(axes: Any, bins: tuple[ReliabilityBin, ...], colour: str, label: str) -> None:
    points = [(row.confidence, row.accuracy) for row in bins if row.confidence is not None and row.accuracy]
    x, y = [confidence for confidence, _ in points], [accuracy.value for _, accuracy in points]
    # Area follows the number of images: a bin of three should not shout as loud as one of three thousand.
    total = sum(row.count for row in bins)
    sizes = [12 + 150 * accuracy.n / total for _, accuracy in points]
    low, high = [accuracy.low for _, accuracy in points], [accuracy.high for _, accuracy in points]
    axes.vlines(x, low, high, color=colour, linewidth=3, alpha=0.2)
    axes.plot(x, y, color=colour, linewidth=1, alpha=0.7)
    axes.scatter(x, y, s=sizes, color=colour, linewidths=0, zorder=3, label=label)
