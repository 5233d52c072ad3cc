"""`snellen ledger`: when the test set was looked at, for which runs and why."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snellen.cli.options import AsJson
from snellen.data.ledger import Ledger
from snellen.errors import UsageError
from snellen.metrics.intervals import Rate, level_among, mean_over_seeds
from snellen.paths import user_path
from snellen.show.text import print_json


@dataclass(frozen=True, kw_only=True)
class Args(AsJson):
    """What `snellen ledger` takes."""

    ledger: Path | None = None
    """The ledger's file; else $SNELLEN_LEDGER, else runs/ledger.jsonl."""
    merge: Path | None = None
    """Take over the lines of this other ledger, from another machine or folder."""


def run(args: Args) -> int:
    """List, check, merge; exit code 1 when the chain of lines is broken."""
    ledger = Ledger(args.ledger or user_path(os.environ.get("SNELLEN_LEDGER") or "runs/ledger.jsonl"))
    if args.merge is not None:
        if not args.merge.is_file():
            raise UsageError(f"There is no ledger at {args.merge}.")
        added = ledger.merge(Ledger(args.merge))
        if not args.json:
            print(f"{added} new lines from {args.merge}")
    problems = ledger.problems()
    if args.json:
        lines = [line.content for line in ledger.lines()]
        print_json({"ledger": str(ledger.path), "lines": lines, "problems": problems})
    else:
        _print(ledger, problems)
    return int(bool(problems))


def _print(ledger: Ledger, problems: list[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    from snellen.show.text import new_console

    console = new_console()
    everything, numbers = ledger.lines(), ledger.look_numbers()
    lines = [line for line in everything if line.kind == "intent"]
    if not lines:
        console.print(f"Nobody has looked at a test set, as far as {ledger.path} knows.", soft_wrap=True)
    results = {line.content["intent"]: line.content["results"] for line in everything if line.kind == "result"}
    columns = ("look", "when", "test set", "recipe", "runs", "plain", "with TTA", "why")
    table = Table(*columns, box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for line in lines:
        recipe_of = {candidate["weights"]: candidate["recipe"] for candidate in line.content["candidates"]}
        for recipe in dict.fromkeys(recipe_of.values()):
            look = numbers[line.hash]
            graded = [result for result in results.get(line.hash, []) if recipe_of.get(result["weights"]) == recipe]
            table.add_row(
                str(look),
                line.content["time"][:10],
                Text(f"{line.content['test_set']['name']} {line.content['test_set']['fingerprint'][:8]}"),
                Text(recipe),
                str(sum(name == recipe for name in recipe_of.values())),
                _accuracy(graded, "hits", level_among(look)),
                _accuracy(graded, "hits_tta", level_among(look)),
                Text("; ".join(filter(None, (line.content["reason"], line.content.get("note"))))),
            )
    if lines:
        console.print(table)
        if any(numbers[line.hash] > 1 for line in lines):
            console.print(
                "From the second look on intervals are wider: at look k they hold at 1 - 5 %/k.", soft_wrap=True
            )
    for problem in problems:
        console.print(Text(f"not whole: {problem}", style="red"), soft_wrap=True)


def _accuracy(graded: Sequence[Mapping[str, int]], hits: str, level: float) -> str:
    """One model: share with its interval over images. Several seeds: mean with its interval over seeds."""
    if not graded:
        return "opened, no result"
    if len(graded) == 1:
        return Rate(graded[0][hits], graded[0]["n"]).text(level=level)
    return str(mean_over_seeds([result[hits] / result["n"] for result in graded], level=level))
