"""`snellen explain RUN`: one image at every stop of the pipeline, each step done again by hand."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from snellen.cli.options import WithCode
from snellen.show.text import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from snellen.explain.stage import Stage
    from snellen.explain.trace import Trace

_WIDEST = 100
_INDENT, _NAMES = 5, 9  # columns: left of everything below a title, and of the names there


@dataclass(frozen=True, kw_only=True)
class Args(WithCode):
    """What `snellen explain` takes."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run folder with weights."""
    image: str | None = None
    """The image's file name, or its id, the position in the source file; by default the first of the split."""
    split: Literal["val", "train"] = "val"
    """Test images stay sealed."""
    epoch: int = 0
    """Of the training, from 0: whose augmentation is shown."""
    out: Path | None = None
    """Also write the pictures of all stops as one PNG."""
    data: Path | None = None
    """Where the data are, if not where they were."""


def run(args: Args) -> int:
    """Trace the picture; exit code 1 if a step and its NumPy counterpart disagree."""
    from snellen.data.run_images import images_of
    from snellen.explain.context import context_of
    from snellen.explain.trace import trace, write_png
    from snellen.runs.run import open_run

    run = open_run(args.run)
    context = context_of(run, images_of(run, args.data))
    image = int(args.image) if args.image is not None and args.image.isdecimal() else args.image
    traced = trace(context, image=image, split=args.split, epoch=args.epoch)
    if args.out is not None:
        write_png(args.out, traced)
    if args.json:
        print_json(traced)
    else:
        _print(traced, args.out)
    return 0 if traced.passed else 1


def _print(traced: Trace, out: Path | None) -> None:
    from rich.text import Text

    from snellen.show.text import new_console

    console = new_console()
    console.print(Text(f"{traced.label}, {traced.split} {traced.name}", style="bold"))
    console.print(Text(f"{traced.run}, {traced.data}, epoch {traced.epoch}", style="dim"))
    for number, stage in enumerate(traced.stages, start=1):
        _print_stage(console, number, stage)
    total, failed = len(traced.stages), traced.failed
    console.print()
    if failed:
        sentence = f"✗ {len(failed)} of {total} steps come out otherwise by hand: {'; '.join(failed)}"
        _print_row(console, "", sentence, "bold red", left=0)
    else:
        _print_row(console, "", f"✓ All {total} steps come out the same by hand.", "bold", left=0)
    if out is not None:
        console.print(Text(f"pictures {out}"), soft_wrap=True)


def _print_stage(console: Console, number: int, stage: Stage) -> None:
    from rich.text import Text

    check, array = stage.check, stage.array
    sign, style = ("✓", "green") if check.passed else ("✗", "bold red")
    allowed = "must be 0" if check.tolerance == 0 else f"up to {check.tolerance:.2g} is rounding"
    low, high, mean, std = (f"{array[name]:.4g}" for name in ("min", "max", "mean", "std"))
    console.print()
    console.print(Text.assemble((f"{number:>2} ", "dim"), (sign, style), (f" {stage.title}", "bold")))
    _print_row(console, "", stage.says, left=_INDENT)
    _print_row(console, "array", f"{array['dtype']} {array['shape']}: {array['layout']}", "cyan")
    _print_row(console, "values", f"{low} to {high}, mean {mean}, std {std}")
    if stage.facts:  # in one row, since their names may be as long as class names
        _print_row(console, "here", "; ".join(f"{name}: {value}" for name, value in stage.facts.items()))
    for name, called in (("code", stage.production), ("by hand", stage.by_hand)):
        _print_row(console, name, f"{called.name}  {called.place}", "dim")
        for line in called.code.splitlines():
            _print_row(console, "", line, "yellow", hang=4)
    _print_row(console, "apart by", f"{check.difference:.2g} ({allowed})", "" if check.passed else "bold red")


def _print_row(
    console: Console, name: str, value: str, style: str = "", *, hang: int = 0, left: int = _INDENT + _NAMES
) -> None:
    """One line as several: those after the first keep its indentation, and stand `hang` columns further right."""
    from rich.text import Text

    from snellen.paths import visible

    inner = len(value) - len(value.lstrip())
    begin = f"{'':<{_INDENT}}{name}".ljust(left + inner)
    lines = textwrap.wrap(
        visible(value.lstrip()),
        min(console.width, _WIDEST),
        initial_indent=begin,
        subsequent_indent=" " * (left + inner + hang),
        break_on_hyphens=False,
    )
    for line in map(str.rstrip, lines):
        console.print(Text.assemble((line[:left], "dim"), (line[left:], style)))
