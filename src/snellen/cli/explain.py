"""`snellen explain RUN`: one image at every stop of the pipeline, each step done again by hand."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from rich.console import Console

    from snellen.explain.stage import Numbers, Stage
    from snellen.explain.trace import Walk

_WIDEST = 100
_INDENT, _NAMES = 5, 9  # columns: of everything below a title, and of the names on the left


@dataclass(frozen=True)
class Args:
    """What `snellen explain` takes."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run folder with weights."""
    image: int | None = None
    """The image's id, its position in the source file; by default the first of the split."""
    split: Literal["val", "train"] = "val"
    """Test images stay sealed."""
    epoch: int = 0
    """Of the training, from 0: whose augmentation is shown."""
    out: Path | None = None
    """Also write the pictures of all stops as one PNG."""
    data: Path | None = None
    """Where the data are, if not where they were."""
    json: bool = False
    """Print as JSON."""


def run(args: Args) -> int:
    """Walk; exit code 1 if a step and its NumPy counterpart disagree."""
    from snellen.data.catalog import load_again
    from snellen.explain.context import context_of
    from snellen.explain.trace import walk
    from snellen.runs.run import open_run

    run = open_run(args.run)
    ground = context_of(run, load_again(run.info["data"], data=args.data))
    walked = walk(ground, image_id=args.image, split=args.split, epoch=args.epoch)
    if args.out is not None:
        from snellen.explain.sheet import walk_png

        walk_png(args.out, walked)
    if args.json:
        print(json.dumps(walked.to_json(), ensure_ascii=False))
    else:
        _print(walked, args.out)
    return 0 if walked.passed else 1


def _print(walked: Walk, out: Path | None) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text.assemble((f"{walked.label}, {walked.split} {walked.image_id}", "bold")))
    console.print(Text(f"{walked.run}, {walked.data}, epoch {walked.epoch}", style="dim"))
    for number, stage in enumerate(walked.stages, start=1):
        _print_stage(console, number, stage)
    failed = [stage.title for stage in walked.stages if not stage.check.passed]
    total = len(walked.stages)
    console.print()
    if failed:
        sentence = f"{len(failed)} of {total} steps come out otherwise by hand: {'; '.join(failed)}"
        console.print(Text(f"✗ {sentence}", style="bold red"))
    else:
        console.print(Text(f"✓ All {total} steps come out the same by hand.", style="bold"))
    if out is not None:
        console.print(Text(f"pictures {out}"), soft_wrap=True)


def _print_stage(console: Console, number: int, stage: Stage) -> None:
    from rich.text import Text

    sign, style = ("✓", "green") if stage.check.passed else ("✗", "bold red")
    console.print()
    console.print(Text.assemble((f"{number:>2} ", "dim"), (sign, style), (f" {stage.title}", "bold")))
    width = min(console.width, _WIDEST)
    for line in textwrap.wrap(stage.says, max(20, width - _INDENT), break_on_hyphens=False):
        console.print(Text(f"{'':<{_INDENT}}{line}"))
    _print_row(console, width, "array", array_words(stage.numbers), "cyan")
    _print_row(console, width, "values", value_words(stage.numbers))
    for name, value in _facts_in_rows(stage):
        _print_row(console, width, name, value)
    for name, quoted in (("code", stage.production), ("by hand", stage.by_hand)):
        _print_row(console, width, name, quoted.code, "yellow")
        _print_row(console, width, "", quoted.place, "dim")
    difference = f"{stage.check.difference:.2g} (up to {stage.check.tolerance:.2g} is rounding)"
    if stage.check.tolerance == 0:
        difference = f"{stage.check.difference:.2g} (must be 0)"
    _print_row(console, width, "apart by", difference, "" if stage.check.passed else "bold red")


def array_words(numbers: Numbers) -> str:
    """Number format, shape and axes on one line."""
    return f"{numbers.dtype} {numbers.shape}: {numbers.layout}"


def value_words(numbers: Numbers) -> str:
    """Smallest to largest value, mean and standard deviation on one line, four digits each."""
    low, high, mean, std = (f"{value:.4g}" for value in (numbers.low, numbers.high, numbers.mean, numbers.std))
    return f"{low} to {high}, mean {mean}, std {std}"


def _facts_in_rows(stage: Stage) -> list[tuple[str, str]]:
    """Facts in one row, since their names may be as long as class names."""
    facts = "; ".join(f"{name}: {value}" for name, value in stage.facts)
    return [("here", facts)] if facts else []


def _print_row(console: Console, width: int, name: str, value: str, style: str = "") -> None:
    from rich.text import Text

    lines = textwrap.wrap(value, max(20, width - _INDENT - _NAMES), break_on_hyphens=False) or [""]
    for at, line in enumerate(lines):
        head = name if at == 0 else ""
        console.print(Text.assemble((f"{'':<{_INDENT}}{head:<{_NAMES}}", "dim"), (line, style)))
