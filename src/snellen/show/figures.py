"""The look of every picture of numbers, and the way it reaches the disk.

Figures are built with matplotlib's object interface: no global state, no window, safe in threads and servers.
Colours are told apart by lightness as well as hue, so they survive colour blindness and a grey printer. Matplotlib
takes most of a second to import, so it is imported where a picture is drawn and nowhere else.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from snellen.runs.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
FAINT = "#7b8794"
HAIRLINE = "#d9dee4"
PAPER = "#ffffff"
RIGHT = "#3b6ea5"
WRONG = "#c8553d"


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of `width` x `height` inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor=PAPER, layout="constrained")


def calm(axes: Axes) -> None:
    """Take away what carries no information: the frame, the tick marks, the black."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, colors=INK, labelsize=9)
    axes.set_axisbelow(True)


def title(axes: Axes, headline: str, detail: str) -> None:
    """A bold headline flush with the axes' left edge and one quiet line of detail under it."""
    axes.set_title(headline, loc="left", fontsize=12, color=INK, fontweight="bold", pad=24)
    axes.annotate(
        detail, (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points", fontsize=9.5, color=FAINT
    )


def save_png(figure: Figure, path: Path) -> None:
    """Write as PNG in one rename; the same figure gives the same bytes.

    Raises:
        StorageError: the file could not be written.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
