"""A walk's pictures as one sheet: a row for each stop, its words on the left, its verdict on the right."""

from __future__ import annotations

from pathlib import Path

from snellen.explain.trace import Walk
from snellen.show import figures

_ROW, _WORDS, _SIGN = 1.0, 2.9, 0.5  # inches
_MOST = 6  # pictures in a row


def walk_png(path: Path, walk: Walk) -> None:
    """Write the sheet as PNG in one rename.

    Raises:
        StorageError: the file could not be written.
    """
    width, height = _WORDS + _MOST * _ROW + _SIGN, len(walk.stages) * _ROW + 0.5
    figure = figures.new_figure(width, height)
    axes = figure.add_subplot()
    axes.set_axis_off()
    headline = f"{walk.label}, {walk.split} {walk.image_id}"
    axes.text(0, height - 0.2, headline, fontsize=13, fontweight="bold", color=figures.INK, va="center")
    axes.text(_WORDS, height - 0.2, f"{walk.run}, epoch {walk.epoch}", fontsize=9, color=figures.FAINT, va="center")
    for number, stage in enumerate(walk.stages):
        middle = height - 0.5 - (number + 0.5) * _ROW
        axes.text(0, middle + 0.13, stage.title, fontsize=10.5, color=figures.INK, va="center")
        shape = "x".join(map(str, stage.numbers.shape))
        axes.text(
            0, middle - 0.13, f"{stage.numbers.dtype}  {shape}", fontsize=8.5, color=figures.FAINT, va="center"
        )  # fmt: skip
        sign, colour = ("✓", figures.RIGHT) if stage.check.passed else ("✗", figures.WRONG)
        axes.text(width - 0.25, middle, sign, fontsize=14, color=colour, va="center", ha="center")
        for place, picture in enumerate(stage.pictures[:_MOST]):
            high, wide = picture.pixels.shape[:2]
            scale = 0.74 * _ROW / max(high, wide / 3)  # the planes of a picture side by side are three times as wide
            left, bottom = _WORDS + place * _ROW, middle - scale * high / 2 + 0.07
            box = (left, left + scale * wide, bottom, bottom + scale * high)
            axes.imshow(picture.pixels, extent=box, interpolation="nearest")
            axes.text(left, bottom - 0.03, picture.caption, fontsize=5.5, color=figures.FAINT, va="top")
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    figures.save_png(figure, path)
