"""`snellen train DATA`: train a recipe, grade it on val, say what comes next."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import tyro

from snellen.cli.options import ToTrain
from snellen.errors import UsageError
from snellen.recipes.recipe import Recipe
from snellen.show.text import print_json


@dataclass(frozen=True, kw_only=True)
class Args(ToTrain):
    """What `snellen train` takes."""

    budget: str | None = None
    """Fit the schedule into this time, such as 5m, 90s or 1h: speed is measured first."""
    folds: int = 0
    """Cross-validation, for few pictures: each of so many parts is val once, then all pictures train the last model."""
    seeds: int = 1
    """Train with so many seeds, 0, 1, 2, …, for a mean with its interval; a ladder of one rung (docs/ladder.md)."""
    final: bool = False
    """Train on train + val with the fixed schedule, and choose nothing: for the last number."""
    download: bool = False
    """Fetch the data set if it is nowhere, into --data or else into the cache."""
    weights: str | None = None
    """Begin with this .safetensors file, or "pretrained": what timm or torchvision publish for their models."""
    runs: Path = Path("runs")
    """Folder that holds the run folders."""
    name: str | None = None
    """Name of the run folder; by default DATA-RECIPE-sSEED."""
    track: tuple[str, ...] = ()
    """Who follows it: tensorboard, wandb, mlflow; on this machine, unless told otherwise (docs/track.md)."""
    resume: Path | None = None
    """Go on with this interrupted run; takes nothing else but --data, --code and --track."""
    continue_: Annotated[Path | None, tyro.conf.arg(name="continue")] = None
    """Train this finished run on as a new one: --set epochs=+20; the old one stays as it is (docs/recipes.md)."""
    dry_run: bool = False
    """Print the resolved recipe and stop."""


def run(args: Args) -> int:
    """Train, or resume; returns the exit code."""
    began = time.monotonic()
    if args.resume is not None or args.continue_ is not None:
        return _go_on(args)
    if args.dataset is None:
        raise UsageError(
            "Which data? snellen train cifar10, snellen train ./my-pictures, or snellen train eyechart (built in)."
        )
    recipe, why = args.chosen_recipe(args.dataset)
    if args.dry_run and args.budget:
        raise UsageError("--budget has no effect with --dry-run, which measures nothing. Leave one of them out.")
    if args.dry_run:
        print_json(recipe, indent=2)
        return 0
    if args.seeds != 1:
        return _train_seeds(args, args.dataset, recipe)
    return _train(args, args.dataset, recipe, why, began)


def _train_seeds(args: Args, dataset_name: str, recipe: Recipe) -> int:
    from snellen.cli import ladder
    from snellen.ladder.rungs import Ladder, Rung

    if args != replace(args, seed=0, budget=None, folds=0, final=False, weights=None, track=()):
        raise UsageError(
            "--seeds trains seeds 0, 1, 2, … of one recipe side by side: leave --seed, --budget, --folds, --final, "
            "--weights and --track out."
        )
    shared = {each.name for each in fields(args)} & {each.name for each in fields(ladder.Args)} - {"recipe"}
    taken = ladder.Args(**{name: getattr(args, name) for name in shared})
    return ladder.climb(taken, dataset_name, Ladder(recipe.name, (Rung(recipe.name, recipe),), args.set))


def _train(args: Args, dataset_name: str, recipe: Recipe, why: str, began: float) -> int:
    from snellen.runs.run import require_place
    from snellen.show.progress import Progress
    from snellen.show.terminal import show_run
    from snellen.trackers.tracker import targets
    from snellen.train.budget import fit_into, parse_duration
    from snellen.train.cross_validate import cross_validate
    from snellen.train.ddp import launched
    from snellen.train.fit import FitOptions, fit

    workers = launched()
    targets(args.track, live=True)  # a slip should be known before the data are read
    require_place(args.runs)
    seconds = parse_duration(args.budget) if args.budget else None
    if seconds is not None and workers.count > 1:
        raise UsageError("--budget measures the speed of one process; with several workers give --set epochs=…")
    if args.folds and (args.final or args.budget or workers.count > 1):
        raise UsageError(
            "--folds ends with a final training, and is for few pictures and one process: leave --final, --budget and "
            "torchrun out."
        )
    options = FitOptions(
        seed=args.seed, final=args.final, device=args.device, precision=args.precision, weights=args.weights,
        runs=args.runs, name=args.name, track=args.track,
    )  # fmt: skip
    progress = Progress(quiet=args.json or not workers.first)
    with workers.one_before_the_others():
        dataset = args.load(dataset_name, progress, side=recipe.side, download=args.download)
    progress.about([*dataset.about, *([f"recipe    {recipe.name}: {why}"] if why else [])])
    if seconds is not None:
        recipe = fit_into(recipe, dataset, options, seconds=seconds, since=began, progress=progress)
    if args.folds:
        finished = cross_validate(recipe, dataset, args.folds, options, progress)
    else:
        finished = fit(recipe, dataset, options, progress)
    if workers.first:
        show_run(finished.folder, as_json=args.json)
    return 0


def _go_on(args: Args) -> int:
    """With an interrupted run, or from a finished one as a new one."""
    from snellen.data.run_images import images_of
    from snellen.runs.run import open_run, require_place
    from snellen.show.progress import Progress
    from snellen.show.terminal import show_run
    from snellen.train.ddp import launched
    from snellen.train.fit import resume
    from snellen.train.longer import longer

    common = Args(data=args.data, code=args.code, track=args.track, json=args.json)
    workers, before = launched(), args.resume or args.continue_
    assert before is not None
    if args.resume is not None and args != replace(common, resume=args.resume):
        raise UsageError(
            "--resume goes on with the run as it was begun; besides it only --data, --code, --track and --json apply."
        )
    if args.resume is None and args != replace(common, continue_=args.continue_, set=args.set, name=args.name):
        raise UsageError(
            "--continue takes the run's recipe, seed and place; besides it only --set, --name, --data, --code, "
            "--track and --json apply."
        )
    if args.resume is None and workers.count > 1:
        raise UsageError("--continue begins with one process. Begin without torchrun, stop it, and --resume with it.")
    run = open_run(before)
    require_place(before)
    progress = Progress(quiet=args.json or not workers.first)
    with workers.one_before_the_others():
        dataset = images_of(run, args.data, decoding=progress.decoding).dataset
    if args.resume is None:
        run, consequence = longer(run, args.set, name=args.name)
        progress.about([consequence])
    finished = resume(run, dataset, progress, track=args.track)
    if workers.first:
        show_run(finished.folder, as_json=args.json)
    return 0
