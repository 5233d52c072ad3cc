"""`snellen runs [FOLDER]`: which runs there are, what each was made of, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from snellen.cli.options import AsJson
from snellen.show.text import print_json

_REST = 39  # columns that the numbers take


@dataclass(frozen=True, kw_only=True)
class Args(AsJson):
    """What `snellen runs` takes."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("runs")
    """The folder that holds them; those of a ladder in it are listed as well."""


def run(args: Args) -> int:
    """List; a run that cannot be read is named, and does not cost the others."""
    from snellen.runs.list import list_runs

    found, problems = list_runs(args.folder)
    if args.json:
        print_json({"folder": str(args.folder), "runs": found, "problems": problems})
    else:
        _print(args.folder, found, problems)
    return 0


def _print(folder: Path, found: list[dict[str, Any]], problems: list[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from snellen.show.text import new_console

    console = new_console()
    if not found and not problems:
        console.print(Text(f"There are no runs in {folder}. Train one: snellen train eyechart"), soft_wrap=True)
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    wide = max(24, console.width - _REST)
    names = [str(one["folder"].relative_to(folder)) for one in found]
    longest = min(max(map(len, names), default=0), wide // 2)
    table.add_column("run", max_width=longest, overflow="fold")
    table.add_column("data, recipe: changes", max_width=wide - longest, overflow="fold")
    for name in ("val, %", "min", "date"):
        table.add_column(name, no_wrap=True, justify="right")
    for name, one in zip(names, found, strict=True):
        minutes = "" if one["seconds"] is None else f"{one['seconds'] / 60:.1f}"
        table.add_row(Text(name), Text(_made_of(one)), _grade(one), minutes, one["started"][:10])
    console.print(table)
    for problem in problems:
        console.print(Text(problem, style="red"), soft_wrap=True)


def _made_of(one: dict[str, Any]) -> str:
    """Such as "birds, transfer, seed 0: epochs 6 → 12"."""
    from snellen.recipes.json_form import first_few

    changed = ["a recipe of its own"] if one["changes"] is None else [first_few(one["changes"])][: len(one["changes"])]
    changed += [f"corrections {one['corrections']}"] if one["corrections"] else []
    whole = f"{one['data']}, {one['recipe']}, seed {one['seed']}"
    return f"{whole}: {'; '.join(changed)}" if changed else whole


def _grade(one: dict[str, Any]) -> str:
    from snellen.metrics.intervals import Rate

    if one["val"] is None:
        return "–" if one["status"] == "finished" else str(one["status"])
    return Rate(**one["val"]).share().replace(" %", "")
