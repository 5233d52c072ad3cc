"""Which runs a folder holds, and what each is in a line: read from their small files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snellen.errors import RunError, SnellenError
from snellen.recipes.catalog import RECIPES
from snellen.recipes.json_form import changes
from snellen.runs.run import Run, corrections_of, open_run


def list_runs(root: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The runs in a folder and in its folders (a ladder's, say), the newest last; and why others cannot be read.

    Returns:
        For each `folder`, `data`, `recipe`, `changes` against the published recipe of its name (None: there is none),
        `corrections` in words, `seed`, `status`, `val` (`hits`, `n`, `best_of` epochs, or None), `seconds`, `started`.

    Raises:
        RunError: there is no such folder.
    """
    if not root.is_dir():
        raise RunError(f"There is no folder {root}. Runs are in the folder named with --runs when they were trained.")
    found, problems = [], []
    for path in sorted([*root.glob("[!.]*/run.json"), *root.glob("[!.]*/[!.]*/run.json")]):
        try:
            found.append(_listed(open_run(path.parent)))
        except SnellenError as error:
            problems.append(str(error))
    return sorted(found, key=lambda one: (one["started"], str(one["folder"]))), problems


def _listed(run: Run) -> dict[str, Any]:
    info, recipe, val = run.info, run.recipe, None
    if info["status"] == "finished" and not info["final"]:
        accuracy = info["val"]["accuracy"]
        val = {"hits": accuracy["hits"], "n": accuracy["n"], "best_of": info["val"].get("best_of", 1)}
        if type(val["best_of"]) is not int or min(val["n"], val["best_of"]) < 1:
            raise RunError(f"{run.folder / 'run.json'} says of its grade what cannot be: {val}.")
    return {
        "folder": run.folder,
        "data": info["data"]["name"],
        "recipe": recipe.name,
        "changes": changes(RECIPES[recipe.name], recipe) if recipe.name in RECIPES else None,
        "corrections": corrections_of(info),
        "seed": info["seed"],
        "status": info["status"],
        "val": val,
        "seconds": info.get("seconds"),
        "started": str(run.read("environment.json").get("started", "")),
    }
