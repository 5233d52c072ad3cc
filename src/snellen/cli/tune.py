"""`snellen tune DATA`: find better values of a recipe's fields, and compare the best with it over fresh seeds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from snellen.cli.options import ToTrainMany
from snellen.errors import UsageError
from snellen.parts import as_options
from snellen.paths import typed
from snellen.show.text import print_json

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Args(ToTrainMany):
    """What `snellen tune` takes."""

    space: tuple[str, ...] = ()
    """What is searched: --space optimizer.lr=log:1e-3:1 epochs=5:20 augment.flip=none,random"""
    trials: int = 20
    """Trainings of one seed, those of earlier sittings too; weak ones are given up on their way."""
    budget: str | None = None
    """Time for this sitting, such as 1h: no trial is begun that would not end in it, with the comparison."""
    confirm: int = 3
    """Seeds with which recipe and best are compared at the end; 0 leaves that out."""


def run(args: Args) -> int:
    """Search, and show what was found; returns the exit code."""
    if args.dataset is None or not args.space:
        raise UsageError("What is to be searched? For example: snellen tune eyechart --space optimizer.lr=log:1e-3:1")
    from snellen.recipes.json_form import changes
    from snellen.show.progress import Progress
    from snellen.show.terminal import show_comparison, show_paragraph, show_rows
    from snellen.show.text import new_console
    from snellen.train.budget import parse_duration
    from snellen.tune.search import search

    seconds = parse_duration(args.budget) if args.budget else None
    progress, (recipe, _) = Progress(quiet=args.json), args.chosen_recipe(args.dataset)
    folder = args.folder("tune", args.dataset, " ".join((recipe.name, *args.space)))
    dataset = args.load(args.dataset, progress, side=recipe.side, download=args.download)
    progress.about(dataset.about)
    found = search(
        recipe, args.space, dataset, folder, trials=args.trials, seconds=seconds, confirm=args.confirm,
        device=args.device, precision=args.precision, on=args.engine, address=args.address, quiet=args.json,
    )  # fmt: skip
    if args.json:
        print_json(found)
        return 0
    console = new_console()
    best_first = sorted(found.trials, key=lambda each: -each.accuracy.hits if each.accuracy else 1)
    rows = [
        [" ".join(each.settings), str(each.number), each.accuracy.share() if each.accuracy else each.state]
        for each in best_first[:_SHOWN]
    ]
    console.print()
    show_rows(console, ["with", "trial", "val, %"], rows)
    console.print()
    states = ", ".join(f"{count} {state}" for state, count in Counter(each.state for each in found.trials).items())
    show_paragraph(console, f"{len(found.trials)} trials: {states}. All of them: snellen runs {folder}")
    if found.found is None or found.best is None:
        return 0
    show_paragraph(console, f"Trial {found.found.number} is the best of all their epochs on val: {found.accuracy}.")
    console.print()
    if found.comparison is not None:
        show_comparison(console, found.comparison)
    elif not changes(recipe, found.best):
        show_paragraph(console, "No trial was better than the recipe itself.")
    words = typed(args.dataset, "--recipe", str(folder / "best.json"), *as_options())
    show_paragraph(console, f"next     snellen train {words}")
    return 0
