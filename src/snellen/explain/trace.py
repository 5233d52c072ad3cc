"""One picture at every stop of the tour: what it is there, which function made it, and whether NumPy agrees.

The order is that of `docs/tour.md`. Nothing is simulated: each stop calls what training or evaluation calls, and lays
the same thing done by hand beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from snellen.explain.context import Context, Side, find
from snellen.explain.network_stages import network_stages
from snellen.explain.picture_stages import picture_stages
from snellen.explain.stage import Stage
from snellen.show import figures

_ROW, _WORDS, _SIGN = 1.0, 2.9, 0.5  # inches on the sheet
_MOST = 6  # pictures in a row of it


@dataclass(frozen=True, eq=False)
class Trace:
    """One picture's way: `image` is its id, `name` what to call it; `epoch`, from 0, has the draws shown."""

    run: str
    data: str
    split: Side
    image: int
    name: str
    label: str
    epoch: int
    stages: tuple[Stage, ...]
    json_also: ClassVar = ("passed",)

    @property
    def failed(self) -> list[str]:
        """Titles of the stops whose two results differ."""
        return [stage.title for stage in self.stages if not stage.check.passed]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.failed


def trace(context: Context, *, image: int | str | None = None, split: Side = "val", epoch: int = 0) -> Trace:
    """Take one picture through all stops, on the CPU.

    Args:
        context: the run and its data.
        image: its id or name, as in `LabeledImages`; None takes the first of the split.
        split: "val" or "train".
        epoch: of the training, from 0: which augmentation to show.

    Raises:
        InvalidSetting: there is no such image or epoch.
        RunError: the run kept no val images.
    """
    found = find(context, image=image, split=split, epoch=epoch)
    stages = (*picture_stages(found), *network_stages(found))
    about = context.run.name, found.images.name, split, found.image_id, found.name, found.label, epoch
    return Trace(*about, stages)


def write_png(path: Path, traced: Trace) -> None:
    """All pictures as one sheet: a row for each stop, its words on the left, its verdict on the right.

    Raises:
        StorageError: the file could not be written.
    """
    width, height = _WORDS + _MOST * _ROW + _SIGN, len(traced.stages) * _ROW + 0.5
    figure = figures.new_figure(width, height)
    axes = figure.add_subplot()
    axes.set_axis_off()
    headline = f"{traced.label}, {traced.split} {traced.name}"
    axes.text(0, height - 0.2, headline, fontsize=13, fontweight="bold", color=figures.INK, va="center")
    axes.text(_WORDS, height - 0.2, f"{traced.run}, epoch {traced.epoch}", fontsize=9, color=figures.FAINT, va="center")
    for number, stage in enumerate(traced.stages):
        middle = height - 0.5 - (number + 0.5) * _ROW
        array = f"{stage.values.dtype}  {'x'.join(map(str, stage.values.shape))}"
        sign, colour = ("✓", figures.RIGHT) if stage.check.passed else ("✗", figures.WRONG)
        axes.text(0, middle + 0.13, stage.title, fontsize=10.5, color=figures.INK, va="center")
        axes.text(0, middle - 0.13, array, fontsize=8.5, color=figures.FAINT, va="center")
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
