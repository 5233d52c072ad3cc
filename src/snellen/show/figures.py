"""The look of every picture of numbers, and the way it reaches the disk.

Figures are built with matplotlib's object interface: no global state, no window, safe in threads and servers.
Colours are told apart by lightness as well as hue, so they survive colour blindness and a grey printer. Matplotlib
takes most of a second to import, so it is imported where a picture is drawn and nowhere else.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from snellen.paths import visible
from snellen.runs.atomic import write_bytes
from snellen.show.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
FAINT = "#7b8794"
HAIRLINE = "#d9dee4"
PAPER = "#ffffff"
RIGHT = "#3b6ea5"
WRONG = "#c8553d"

_OTHER_SCRIPTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei", "PingFang SC", "Hiragino Sans GB",
    "Hiragino Sans", "Yu Gothic", "Meiryo", "Noto Sans CJK KR", "Malgun Gothic", "Apple SD Gothic Neo", "NanumGothic",
    "Noto Sans Devanagari", "Lohit Devanagari", "Nirmala UI", "Kohinoor Devanagari", "Mangal", "Noto Sans Bengali",
    "Noto Sans Tamil", "Noto Sans Thai", "Leelawadee UI", "Noto Sans Arabic", "Noto Sans Hebrew", "Arial Unicode MS",
    "FreeSans", "Unifont", "Noto Emoji", "Segoe UI Emoji", "Symbola",
)  # fmt: skip
"""Families that have what DejaVu Sans, which comes with Matplotlib, lacks; those installed are used."""


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
    axes.set_title(drawn(headline, 60), loc="left", fontsize=12, color=INK, fontweight="bold", pad=24)
    axes.annotate(
        drawn(detail, 200), (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points", fontsize=9.5,
        color=FAINT,
    )  # fmt: skip


def drawn(text: str, longest: int = 32) -> str:
    """Text that is data, for a figure: one line, shortened, dollars as they are, □ for what no font here has."""
    line = shortened(visible(text), longest)
    letters = (each if each.isascii() or any(ord(each) in font for font in _fonts().values()) else "□" for each in line)
    return "".join(letters).replace("$", r"\$")  # what stands between two dollar signs would be read as a formula


def font_file(text: str) -> str:
    """The file of the first font here that has every letter of the text; DejaVu Sans where none has."""
    letters = {ord(letter) for letter in text}
    return _files()[next((family for family, has in _fonts().items() if letters <= has), "DejaVu Sans")]


@cache
def _fonts() -> dict[str, frozenset[int]]:
    """The families to draw with, in the order in which they are asked for a letter, and the letters each has."""
    from matplotlib.font_manager import get_font

    fonts = {family: get_font(file) for family, file in _files().items()}
    return {family: frozenset(font.get_charmap()) for family, font in fonts.items() if font.scalable}


@cache
def _files() -> dict[str, str]:
    from matplotlib.font_manager import fontManager

    upright = [font for font in fontManager.ttflist if font.style == "normal"]
    files = {font.name: font.fname for font in sorted(upright, key=lambda font: -abs(int(font.weight) - 400))}
    return {family: files[family] for family in ("DejaVu Sans", *_OTHER_SCRIPTS) if family in files}


def save_png(figure: Figure, path: Path) -> None:
    """Write as PNG in one rename; the same figure gives the same bytes.

    Raises:
        StorageError: the file could not be written.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_fontfamily(list(_fonts()))
        text.set_usetex(False)  # whatever a matplotlibrc says
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, metadata={"Software": None})
    write_bytes(path, buffer.getvalue())
