"""Which classes are taken for which: the matrix, its worst pairs, and three ways to look at it.

Rows are the true class, columns the predicted one. A pair merges both directions, because "cats and dogs are
mixed up" is one fact; the two directions stay visible beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.metrics.classification import require_labels
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions
from snellen.serialize import to_json
from snellen.show import figures

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

# One lightness, rising colour: legible under white figures on dark and on light terminals alike.
_SHADES = ("#716a66", "#8c6650", "#a65a2e", "#b8480a")
_DIAGONAL = "#3f5a75"


@dataclass(frozen=True)
class ConfusedPair:
    """Two classes and how often either is taken for the other.

    Attributes:
        first: the class that comes first in class order.
        second: the other one.
        first_as_second: images of `first` that were called `second`.
        second_as_first: images of `second` that were called `first`.
        share_of_errors: part of all errors that this pair makes up, a fraction.
        rate: errors of this pair among all images of the two classes.
    """

    json_also: ClassVar[tuple[str, ...]] = ("count",)

    first: str
    second: str
    first_as_second: int
    second_as_first: int
    share_of_errors: float
    rate: Rate

    @property
    def count(self) -> int:
        """Errors in both directions."""
        return self.first_as_second + self.second_as_first

    def __str__(self) -> str:
        share = 100 * self.share_of_errors
        return (
            f"{self.first} ↔ {self.second}: {self.count} errors, {share:.{0 if share > 9.95 else 1}f} % of all "
            f"({self.first_as_second} {self.first} as {self.second}, {self.second_as_first} the other way)"
        )


def confusion_matrix(predictions: Predictions) -> NDArray[np.int64]:
    """(K, K) int64: entry [t, p] counts the images of true class t that were called p.

    Raises:
        UsageError: no image, or images without label.
    """
    require_labels(predictions)
    classes = len(predictions.class_names)
    cells = np.bincount(predictions.labels * classes + predictions.predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def worst_pairs(
    matrix: NDArray[np.int64], class_names: Sequence[str], *, limit: int | None = None
) -> tuple[ConfusedPair, ...]:
    """The pairs of classes that are mixed up, most errors first; pairs without errors are left out.

    Args:
        matrix: (K, K) int64 from `confusion_matrix`.
        class_names: the K names.
        limit: how many pairs at most; None for all.
    """
    errors = int(matrix.sum() - np.trace(matrix))
    both = matrix + matrix.T
    support = matrix.sum(axis=1)
    rows, columns = np.triu_indices(len(matrix), k=1)
    counts = both[rows, columns]
    # Stable, so that equal counts stay in class order and the list is the same on every machine.
    ranked = [i for i in np.argsort(-counts, kind="stable") if counts[i] > 0][:limit]
    return tuple(
        ConfusedPair(
            first=class_names[a],
            second=class_names[b],
            first_as_second=int(matrix[a, b]),
            second_as_first=int(matrix[b, a]),
            share_of_errors=int(both[a, b]) / errors,
            rate=Rate(int(both[a, b]), int(support[a] + support[b])),
        )
        for a, b in ((int(rows[i]), int(columns[i])) for i in ranked)
    )


def confusion_json(matrix: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, Any]:
    """The matrix as nested lists (rows true, columns predicted) with its pairs, ready for `write_json`."""
    return {
        "class_names": list(class_names),
        "rows": "true",
        "columns": "predicted",
        "matrix": matrix.tolist(),
        "worst_pairs": [to_json(pair) for pair in worst_pairs(matrix, class_names)],
    }


def abbreviate(names: Sequence[str], width: int) -> list[str]:
    """Names of at most `width` characters that are still all different.

    The beginning of each name where that suffices, else its beginning and end, else its number.
    """
    for shorten in (_beginning, _both_ends):
        short = [shorten(name, width) for name in names]
        if len(set(short)) == len(names):
            return short
    return [str(index)[-width:] for index in range(len(names))]


def _beginning(name: str, width: int) -> str:
    return name[:width].rstrip()


def _both_ends(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - width // 2] + name[len(name) - width // 2 :]


def confusion_terminal(matrix: NDArray[np.int64], class_names: Sequence[str], width: int = 80) -> RenderableType:
    """The matrix for a terminal of `width` characters; where it does not fit, its worst pairs instead.

    Without colour nothing is lost: the counts are all there and zeros are dots.
    """
    from rich.table import Table
    from rich.text import Text

    cell = max(4, len(str(int(matrix.max(initial=0)))) + 1)
    label = min(max(4, *(len(name) for name in class_names)), 12)  # 4: the heading, "true"
    spare = width - label - 1 - 7  # 7: the recall column
    if spare < cell * len(matrix):
        return _pairs_table(matrix, class_names, width)
    cell = min(spare // len(matrix), 8)
    table = Table(box=None, padding=0, pad_edge=False, show_edge=False, header_style="", title_justify="left")
    table.add_column(Text("true", style="dim"), width=label + 1, no_wrap=True)
    for name in abbreviate(class_names, cell - 1):
        # Right above the figures, which end in a space; a name that needs the room takes that space too.
        header = f"{name} "[: cell - 1].rjust(cell)
        table.add_column(Text(header), width=cell, no_wrap=True)
    table.add_column(Text("recall", style="dim"), width=7, justify="right", no_wrap=True)
    strength = _strength(matrix)
    for row, name in enumerate(abbreviate(class_names, label)):
        cells = [
            _cell(int(matrix[row, column]), cell, None if row == column else strength[row, column])
            for column in range(len(matrix))
        ]
        support = int(matrix[row].sum())
        recall = f"{100 * matrix[row, row] / support:.1f}" if support else "–"
        table.add_row(Text(name), *cells, Text(recall, style="dim"))
    return table


def _cell(count: int, width: int, strength: float | None) -> Text:
    """One entry; `strength` in [0, 1] as from `_strength`, None on the diagonal."""
    from rich.text import Text

    # The gap between cells stays bare, so that neighbouring shades read as separate figures.
    gap, figure = " ", f"{count} "[: width - 1].rjust(width - 1)
    if strength is None:
        return Text.assemble(gap, (figure, f"#ffffff on {_DIAGONAL}"))
    if count == 0:
        return Text.assemble(gap, ("· ".rjust(width - 1), "dim"))
    level = int(len(_SHADES) * strength)
    return Text.assemble(gap, (figure, f"#ffffff on {_SHADES[level - 1]}" if level else ""))


def _strength(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, K) float64 in [0, 1]: share of the row lost to each wrong class, square-rooted, 1 for the worst cell.

    Shares instead of counts, so that a rare class is not painted as harmless. The root keeps small errors visible.
    """
    support = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, support, out=np.zeros(matrix.shape), where=support > 0)
    np.fill_diagonal(shares, 0)
    return np.asarray(np.sqrt(shares / max(shares.max(), 1e-9)))


def _pairs_table(matrix: NDArray[np.int64], class_names: Sequence[str], width: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    pairs = worst_pairs(matrix, class_names, limit=15)
    if not pairs:
        return Text(f"No errors among {int(matrix.sum())} images.")
    name_width = max(8, (width - 44) // 2)
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", title_justify="left")
    table.title = Text(f"The {len(pairs)} worst pairs of {len(class_names)} classes", style="bold")
    table.add_column("errors", justify="right")
    table.add_column("share", justify="right")
    table.add_column("these two", max_width=name_width, no_wrap=True, overflow="ellipsis")
    table.add_column("", max_width=name_width, no_wrap=True, overflow="ellipsis")
    table.add_column("→", justify="right")
    table.add_column("←", justify="right")
    for pair in pairs:
        share = f"{100 * pair.share_of_errors:.1f} %"
        forth, back = str(pair.first_as_second), str(pair.second_as_first)
        table.add_row(str(pair.count), share, Text(pair.first), Text(pair.second), forth, back)
    return table


def confusion_png(path: Path, matrix: NDArray[np.int64], class_names: Sequence[str], *, title: str = "") -> None:
    """The matrix as a picture: errors in orange on a logarithmic scale, the diagonal muted, counts printed.

    Args:
        path: the PNG to write.
        matrix: (K, K) int64 from `confusion_matrix`.
        class_names: the K names.
        title: what was graded, such as "resnet18, val"; the accuracy is added below it.

    Raises:
        StorageError: the file could not be written.
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
    rate = f"{Rate(n - errors, n)} right" if n else "no images"
    figures.title(axes, title, rate)
    lines = [str(pair) for pair in worst_pairs(matrix, class_names, limit=2)]
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
    size = 9 if len(class_names) <= 20 else max(4.0, 180 / len(class_names))
    if max(len(name) for name in class_names) <= 4 and len(class_names) <= 20:
        axes.set_xticks(positions, list(class_names))
    else:
        axes.set_xticks(positions, list(class_names), rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(positions, list(class_names))
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
