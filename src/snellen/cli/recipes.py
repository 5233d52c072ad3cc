"""`snellen recipes [NAME]`: list them, or show one in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from snellen.cli.options import AsJson
from snellen.recipes.catalog import RECIPES, find_recipe
from snellen.recipes.recipe import Expect
from snellen.show.text import print_json


@dataclass(frozen=True, kw_only=True)
class Args(AsJson):
    """What `snellen recipes` takes."""

    name: Annotated[str | None, tyro.conf.Positional] = None
    """Show this one in full, as the JSON that --recipe FILE.json reads."""


def run(args: Args) -> int:
    """List or show."""
    if args.name is not None:
        print_json(find_recipe(args.name), indent=2)
        return 0
    if args.json:
        print_json(list(RECIPES.values()), indent=2)
        return 0
    from rich.table import Table

    from snellen.show.text import new_console

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("recipe", "model", "epochs", "measured, one view", "for what"):
        table.add_column(column, no_wrap=column in ("recipe", "model"))
    for recipe in RECIPES.values():
        table.add_row(recipe.name, recipe.model, f"{recipe.epochs:g}", _measured(recipe.expect), recipe.note)
    new_console().print(table)
    return 0


def _measured(expect: Expect | None) -> str:
    if expect is None:
        return "not yet"
    low, high = (100 * value for value in expect.accuracy)
    return f"{low:.1f}-{high:.1f} % {expect.split}, {expect.minutes:g} min on {expect.machine} (n={expect.runs})"
