"""One run folder and several workers: the first writes it, the others train in folders that are thrown away."""

from __future__ import annotations

import base64
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from snellen.errors import DataError, RunError, SnellenError
from snellen.recipes.recipe import Recipe
from snellen.runs.atomic import write_bytes
from snellen.runs.run import Run, open_run
from snellen.train.ddp import Workers
from snellen.train.setup import TrainingSetup

_NEEDED = ("recipe.json", "run.json", "metrics.jsonl", "resume/state.safetensors")  # to begin, or to go on


def hand_out(run: Run, workers: Workers) -> None:
    """Send the others what `folder_of_its_own` waits for; the first worker calls it, holding the run's lock."""
    if workers.count > 1:
        files = {name: (run.folder / name).read_bytes() for name in _NEEDED if (run.folder / name).exists()}
        workers.told_json({name: base64.b64encode(content).decode() for name, content in files.items()})


@contextmanager
def folder_of_its_own(workers: Workers) -> Iterator[Run]:
    """A throw-away run folder that begins as the first worker's stands, on whatever machine this is."""
    with tempfile.TemporaryDirectory(prefix="snellen-worker-") as folder:
        run = Run(Path(folder))
        for name, content in workers.told_json(None).items():
            write_bytes(run.folder / name, base64.b64decode(content))
        yield run


def begun_by(workers: Workers, runs: Path, recipe: Recipe, seed: int) -> Run | None:
    """The unfinished run that these workers had begun before torchrun started them again, or None."""
    found = ""
    if workers.first and workers.restarts:
        for path in runs.glob("*/run.json"):
            try:
                run = open_run(path.parent)
                mine = run.info.get("workers", {}).get("launch") == workers.launch
                if mine and (run.recipe, run.info["seed"]) == (recipe, seed) and run.info["status"] != "finished":
                    found = str(run.folder)
            except SnellenError:  # somebody else's, and broken
                continue
    found = workers.told_json(found) if workers.restarts else ""
    return open_run(Path(found)) if found else None


def require_same(job: TrainingSetup, run: Run) -> None:
    """Raise unless this worker would train what the first one trains.

    Raises:
        DataError: the pictures on this machine are others.
        RunError: the recipe or the seed is another.
    """
    first, here = run.info["data"]["train"]["fingerprint"], job.splits.train.fingerprint
    if first != here:
        raise DataError(
            f"On {platform.node()} {job.source} holds {here[:12]}…, and where the first worker is {first[:12]}…. "
            "Give all machines the same data."
        )
    if (run.recipe, run.info["seed"]) != (job.recipe, job.seed):
        raise RunError(
            f"On {platform.node()} the recipe or the seed is not that of the first worker. Start all machines with the "
            "same command and the same version of Snellen."
        )
