"""One run of a ladder: found finished, resumed, copied from another ladder, or trained, whichever comes first.

A training is decided by recipe, seed, data, device and precision. A finished run of another folder in which these are
equal is copied, weights and journal and all, and notes where it came from.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snellen.data.dataset import Dataset
from snellen.errors import RunError, SnellenError, StorageError, TrainingDiverged, UsageError
from snellen.ladder.rungs import Plan, Rung
from snellen.recipes.json_form import recipe_hash
from snellen.runs.run import Run, open_run, require_version
from snellen.serialize import to_json
from snellen.show.progress import Progress
from snellen.train.fit import FitOptions, fit, resume


@dataclass(frozen=True)
class Trained:
    """A run of a ladder that has ended, finished or diverged or given up; `reused` if it was there before."""

    rung: Rung
    seed: int
    run: Run
    reused: bool


class Weak(KeyboardInterrupt):
    """A training that somebody has given up; like every training that was stopped it could be resumed."""


def is_done(plan: Plan, rung: Rung, seed: int) -> bool:
    """Whether the run of a rung and seed is on disk and has ended."""
    run = Run(plan.folder / plan.run_name(rung, seed))
    return (run.folder / "run.json").exists() and run.info.get("status") in ("finished", "diverged")


def train_one(
    plan: Plan, rung: Rung, seed: int, dataset: Dataset, reuse: Sequence[Path], progress: Progress
) -> Trained:
    """The run of one rung and seed, trained as far as it is not; `reuse` are folders of runs to copy it from.

    Raises:
        SnellenError: with one sentence, whatever is wrong; a loss that became NaN is none, but noted in the run.
        Interrupted: SIGINT, SIGTERM or SIGHUP; the same call goes on from there.
    """
    folder = plan.folder / plan.run_name(rung, seed)
    options = FitOptions(seed=seed, device=plan.device, precision=plan.precision, runs=plan.folder, name=folder.name)
    try:
        if not folder.exists() and not copy_trained(plan, rung, seed, reuse):
            fit(rung.recipe, dataset, options, progress)
            return Trained(rung, seed, open_run(folder), reused=False)
        run = checked_run(plan, rung, seed)
        if run.info["status"] in ("finished", "diverged"):  # the same seed would diverge again
            return Trained(rung, seed, run, reused=True)
        resume(run, dataset, progress)
    except Weak:
        progress.end()
    except TrainingDiverged:
        progress.end()  # noted in run.json: a rung that fails is a result, and the others go on
    return Trained(rung, seed, open_run(folder), reused=False)


def checked_run(plan: Plan, rung: Rung, seed: int) -> Run:
    """The run folder of a rung and seed.

    Raises:
        RunError: it is missing, or holds something else than the plan says.
    """
    run = open_run(plan.folder / plan.run_name(rung, seed))
    info = run.info
    found = (run.recipe, info["seed"], info["data"]["train"]["fingerprint"], info["precision"], info["final"])
    if found != (rung.recipe, seed, plan.fingerprints[0], plan.precision, False):
        raise RunError(
            f"{run.folder} was not trained as this ladder's {rung.name!r} with seed {seed}. "
            "Move it away to have it trained again, or choose another --name."
        )
    return run


def copy_trained(plan: Plan, rung: Rung, seed: int, others: Sequence[Path]) -> bool:
    """Copy the run of a rung and seed from the first folder of runs in `others` that has it; returns whether one did.

    Raises:
        UsageError: one of `others` is no folder.
        RunError: it holds runs of another version.
        StorageError: the copy could not be written; nothing half-copied is left under the run's name.
    """
    found = next((run for folder in others for run in _runs_in(folder) if _is_same(run, plan, rung, seed)), None)
    if found is None:
        return False
    target = plan.folder / plan.run_name(rung, seed)
    draft = target.with_name(f".{target.name}.tmp")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(found.folder, draft, ignore=shutil.ignore_patterns("resume", "*.tmp", "*.lock", "*.html"))
        copy = Run(draft)
        copy.write("recipe.json", to_json(rung.recipe))  # its own name for the same training
        copy.update_info(copied_from=f"{found.folder.parent.name}/{found.name}")
        draft.rename(target)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise StorageError(f"{found.folder} cannot be copied to {target}: {error.strerror}.") from error
    return True


def _runs_in(folder: Path) -> list[Run]:
    if not folder.is_dir():
        raise UsageError(f"--reuse {folder} is not a folder of runs.")
    return [Run(path.parent) for path in sorted(folder.glob("*/run.json"))]


def _is_same(run: Run, plan: Plan, rung: Rung, seed: int) -> bool:
    try:
        info = run.info
    except SnellenError:
        return False  # damaged: it is trained again
    require_version(run)  # to train its runs again without a word is not what --reuse asks for
    try:
        recipe = run.recipe
    except SnellenError:
        return False
    there = (info["seed"], info["data"]["train"]["fingerprint"], info["device"], info["precision"], info["final"])
    here = (seed, plan.fingerprints[0], plan.device, plan.precision, False)
    return info["status"] == "finished" and there == here and recipe_hash(recipe) == recipe_hash(rung.recipe)
