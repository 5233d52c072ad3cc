"""`snellen ladder DATA`: which part of a recipe is worth what, over seeds, with a verdict on every rung."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from snellen.cli.options import ToTrainMany
from snellen.errors import UsageError
from snellen.show.text import print_json

if TYPE_CHECKING:
    from snellen.ladder.rungs import Ladder


@dataclass(frozen=True, kw_only=True)
class Args(ToTrainMany):
    """What `snellen ladder` takes."""

    preset: str | None = None
    """lesson (the default), lesson-split, regularizers or leave-one-out."""
    rungs: tuple[str, ...] = ()
    """Instead of a preset, your own recipes, lowest rung first: names or .json files."""
    grid: tuple[str, ...] = ()
    """Instead, every combination of some fields' values: --grid optimizer.lr=0.05,0.1 epochs=10,20"""
    seeds: int = 3
    """Runs per rung; 3 is the least that can decide. More later are added to what is there."""
    reuse: tuple[Path, ...] = ()
    """Folders of other ladders: what they trained with the same recipe, seed, data and precision is copied."""
    test: bool = False
    """At the end, open the sealed test set once for all rungs together, through the ledger."""
    ledger: Path | None = None
    """The ledger's file for --test; else $SNELLEN_LEDGER, else ledger.jsonl in --runs."""


def run(args: Args) -> int:
    """Train what is lacking, and show the table; returns the exit code."""
    if args.dataset is None:
        raise UsageError("Which data? snellen ladder cifar10 --preset lesson, or snellen ladder eyechart.")
    if args.ledger is not None and not args.test:
        raise UsageError("--ledger has no effect without --test: a ladder sees val only. Leave it out.")
    return climb(args, args.dataset, _chosen(args, args.dataset))


def _chosen(args: Args, dataset: str) -> Ladder:
    from snellen.ladder.rungs import choose_ladder, grid

    if not args.grid:
        if args.recipe is not None:
            raise UsageError("--recipe has no effect without --grid, which changes it. Recipes side by side: --rungs")
        return choose_ladder(args.preset, args.rungs, args.set)
    if args.preset is not None or args.rungs:
        raise UsageError("--grid makes rungs of its own: leave --preset and --rungs out.")
    return grid(args.chosen_recipe(dataset)[0], args.grid, args.set)


def climb(args: Args, dataset_name: str, ladder: Ladder) -> int:
    """Train what is lacking of a ladder, and show its table; returns the exit code."""
    from rich.text import Text

    from snellen.ladder.results import open_test, read_results, results_json
    from snellen.ladder.run import plan_ladder, run_ladder
    from snellen.ladder.rungs import require_one_test_view, require_seeds
    from snellen.ladder.table import print_table, write_results
    from snellen.show.progress import Progress
    from snellen.show.text import new_console

    require_seeds(args.seeds)
    if args.test:
        require_one_test_view(ladder.rungs)
    folder = args.folder("ladder", dataset_name, ladder.title)
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
