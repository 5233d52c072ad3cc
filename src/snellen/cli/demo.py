"""`snellen demo`: the whole pipeline once, in about five minutes on two CPU cores."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from snellen.errors import DataError, DataNotFound

if TYPE_CHECKING:
    from snellen.data.dataset import Dataset
    from snellen.show.progress import Progress

_TRAINING_SECONDS = 210.0  # leaves room for loading, measuring and grading inside five minutes
_PATIENCE_SECONDS = 20.0
_LONGEST_DOWNLOAD_SECONDS = 180.0


@dataclass(frozen=True)
class Args:
    """What `snellen demo` takes."""

    data: Path | None = None
    """Where CIFAR-10 is; else $SNELLEN_DATA, ./data and the cache are searched, then it is fetched."""
    runs: Path = Path("runs")
    """Folder that holds the run folders."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    seed: int = 0
    """Of initialisation, order and augmentation."""
    json: bool = False
    """Print the result as JSON on stdout."""


def run(args: Args) -> int:
    """Train, grade and show."""
    from snellen.recipes.catalog import default_recipe
    from snellen.show.progress import Progress
    from snellen.show.terminal import show_run
    from snellen.train.budget import fit_into
    from snellen.train.fit import fit

    progress = Progress(quiet=args.json)
    dataset = _cifar10_or_eyechart(args, progress)
    recipe = default_recipe(dataset.name)
    fitted = fit_into(
        recipe, dataset, seconds=_TRAINING_SECONDS, device=args.device, precision="auto", progress=progress
    )
    if fitted.epochs < recipe.epochs:
        recipe = fitted
    finished = fit(
        recipe, dataset, seed=args.seed, device=args.device, runs=args.runs, name="demo", progress=progress
    )  # fmt: skip
    show_run(finished.folder, as_json=args.json)
    return 0


def _cifar10_or_eyechart(args: Args, progress: Progress) -> Dataset:
    from snellen.data.catalog import load

    try:
        return load("cifar10", data=args.data)
    except DataNotFound:
        if args.data is not None:  # named by hand, so a typo rather than a wish for letters
            raise
    progress.say("CIFAR-10 is not here; fetching it (170 MB) …")
    try:
        return load("cifar10", download=True, progress=_impatient(progress.download))
    except DataError as error:
        progress.say(f"[dim]{error}[/dim]")
    progress.say("CIFAR-10 is not at hand and cannot be fetched now: eyechart, the built-in letters, instead.")
    return load("eyechart")


def _impatient(show: Callable[[int, int | None], None]) -> Callable[[int, int | None], None]:
    """`show`, giving up on a host that would take longer than the demo itself; what came is kept for the next try."""
    started = time.monotonic()

    def progress(done: int, total: int | None) -> None:
        show(done, total)
        seconds = time.monotonic() - started
        if total and seconds > _PATIENCE_SECONDS and seconds * total / max(done, 1) > _LONGEST_DOWNLOAD_SECONDS:
            minutes = seconds * (total - done) / max(done, 1) / 60
            raise DataNotFound(
                f"The host is slow: {minutes:.0f} minutes to go. Later, it goes on where it stopped: "
                "snellen data download cifar10"
            )

    return progress
