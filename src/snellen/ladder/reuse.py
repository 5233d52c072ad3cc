"""Runs that another ladder has trained already: two ladders that share a rung need not train it twice.

A training is decided by recipe, seed, data, device and precision. A finished run of another folder in which these are
equal is copied, weights and journal and all, and notes where it came from.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from snellen.errors import SnellenError, StorageError, UsageError
from snellen.ladder.plan import Plan
from snellen.ladder.rungs import Rung
from snellen.recipes.json_form import recipe_hash
from snellen.runs.run import Run
from snellen.serialize import to_json


def copy_trained(plan: Plan, rung: Rung, seed: int, others: Sequence[Path]) -> bool:
    """Copy the run of a rung and seed from the first of `others` that has it; returns whether one did.

    Args:
        plan: of the ladder that wants it.
        rung: what it is to be the training of.
        seed: of the training.
        others: folders of run folders, such as those of other ladders.

    Raises:
        UsageError: one of `others` is no folder.
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
        info, recipe = run.info, run.recipe
    except SnellenError:
        return False  # damaged: it is trained again
    there = (info["seed"], info["data"]["train"]["fingerprint"], info["device"], info["precision"], info["final"])
    here = (seed, plan.fingerprints[0], plan.device, plan.precision, False)
    return info["status"] == "finished" and there == here and recipe_hash(recipe) == recipe_hash(rung.recipe)
