"""`snellen demo`: the whole pipeline once, on the built-in letters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from snellen.cli.options import AsJson


@dataclass(frozen=True, kw_only=True)
class Args(AsJson):
    """What `snellen demo` takes."""

    runs: Path = Path("runs")
    """Folder that holds the run folders."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    seed: int = 0
    """Of initialisation, order and augmentation."""


def run(args: Args) -> int:
    """Train, grade and show."""
    from snellen.data.catalog import load
    from snellen.data.default_recipe import default_recipe
    from snellen.show.progress import Progress
    from snellen.show.terminal import show_run
    from snellen.train.fit import FitOptions, fit

    progress = Progress(quiet=args.json)
    dataset = load("eyechart")
    options = FitOptions(seed=args.seed, device=args.device, runs=args.runs, name="demo")
    finished = fit(default_recipe(dataset).recipe, dataset, options, progress)
    show_run(finished.folder, as_json=args.json)
    progress.say("with CIFAR-10: snellen data download cifar10, then snellen train cifar10 --budget 5m", style="dim")
    return 0
