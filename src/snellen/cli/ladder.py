"""`snellen ladder DATA`: which part of a recipe is worth what, over seeds, with a verdict on every rung."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from snellen.cli.options import AboutData
from snellen.errors import InvalidSetting, UsageError
from snellen.show.text import print_json

if TYPE_CHECKING:
    from snellen.ladder.rungs import Ladder


@dataclass(frozen=True, kw_only=True)
class Args(AboutData):
    """What `snellen ladder` takes."""

    dataset: Annotated[str | None, tyro.conf.Positional] = None
    """cifar10, eyechart, or your own pictures: a folder of class folders, or a table (.csv, .parquet)."""
    preset: str | None = None
    """lesson (the default), lesson-split, regularizers or leave-one-out."""
    rungs: tuple[str, ...] = ()
    """Instead of a preset, your own recipes, lowest rung first: names or .json files."""
    seeds: int = 3
    """Runs per rung; 3 is the least that can decide. More later are added to what is there."""
    set: tuple[str, ...] = ()
    """Change fields on every rung: --set epochs=30 widths=[16,16,32,32]. The table says so."""
    reuse: tuple[Path, ...] = ()
    """Folders of other ladders: what they trained with the same recipe, seed, data and precision is copied."""
    test: bool = False
    """At the end, open the sealed test set once for all rungs together, through the ledger."""
    ledger: Path | None = None
    """The ledger's file for --test; else $SNELLEN_LEDGER, else ledger.jsonl in --runs."""
    device: str = "auto"
    """auto, cpu, cuda or mps; chosen once for all runs."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto takes bf16 where it is measured to be faster; chosen once for all runs."""
    engine: Literal["local", "ray"] = "local"
    """local trains here, one run after the other; ray on the workers of a cluster, many at once (docs/scale.md)."""
    address: str | None = None
    """Of a Ray cluster, such as auto or HOST:6379; without it, Ray is started on this machine for the ladder."""
    download: bool = False
    """Fetch the data set if it is nowhere, into --data or else into the cache."""
    runs: Path = Path("runs")
    """Folder that holds the ladder's folder."""
    name: str | None = None
    """The folder is RUNS/ladder-NAME; by default DATA-PRESET, with the settings."""


def run(args: Args) -> int:
    """Train what is lacking, and show the table; returns the exit code."""
    if args.dataset is None:
        raise UsageError("Which data? snellen ladder cifar10 --preset lesson, or snellen ladder eyechart.")
    if args.ledger is not None and not args.test:
        raise UsageError("--ledger has no effect without --test: a ladder sees val only. Leave it out.")
    if args.address is not None and args.engine != "ray":
        raise UsageError("--address has no effect without --engine ray. Leave it out, or add --engine ray.")
    from snellen.ladder.rungs import choose_ladder, require_one_test_view, require_seeds

    require_seeds(args.seeds)
    ladder = choose_ladder(args.preset, args.rungs, args.set)
    if args.test:
        require_one_test_view(ladder.rungs)
    return _run(args, args.dataset, ladder)


def _run(args: Args, dataset_name: str, ladder: Ladder) -> int:
    from rich.text import Text

    from snellen.ladder.results import open_test, read_results, results_json
    from snellen.ladder.run import plan_ladder, run_ladder
    from snellen.ladder.table import print_table, write_results
    from snellen.show.progress import Progress
    from snellen.show.text import new_console

    folder = args.runs / _folder_name(args, dataset_name, ladder.title)
    progress = Progress(quiet=args.json)
    dataset = args.load(
        dataset_name, progress, side=max(rung.recipe.side for rung in ladder.rungs), download=args.download
    )
    progress.about(dataset.about)
    if args.test and dataset.test is None:
        raise UsageError(f"{dataset_name} has no test set of its own; leave --test out.")
    plan = plan_ladder(ladder, dataset, folder, seeds=args.seeds, device=args.device, precision=args.precision)
    plan = run_ladder(plan, dataset, reuse=args.reuse, on=args.engine, address=args.address, quiet=args.json)
    results = read_results(plan)
    if args.test:
        results = replace(results, test=open_test(plan, ledger=args.ledger, data=args.data, device=args.device))
    write_results(results)
    if args.json:
        print_json(results_json(results))
        return 0
    console = new_console()
    console.print()
    print_table(console, results)
    console.print(Text(f"\nfiles    {folder}: ladder.md, curves.png, curves.json, results.json"), soft_wrap=True)
    return 0


def _folder_name(args: Args, dataset_name: str, title: str) -> str:
    from snellen.ladder.rungs import slug

    if args.name is not None:
        if slug(args.name) != args.name:
            raise InvalidSetting(
                f"--name {args.name} is not possible: small letters, digits, '.' and '-', such as {slug(args.name)}."
            )
        return f"ladder-{args.name}"
    return f"ladder-{slug('-'.join((dataset_name, title, *args.set)), longest=120)}"
