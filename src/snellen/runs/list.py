"""Which runs a folder holds, and what each is in a line: read from their small files alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snellen.errors import RunError, SnellenError
from snellen.recipes.catalog import RECIPES
from snellen.recipes.json_form import Change, changes
from snellen.runs.run import Run, open_run


@dataclass(frozen=True)
class ListedRun:
    """One run.

    Attributes:
        changes: fields in which its recipe differs from the published one of that name; None where none is published.
        corrections: as `run.json` has them; None where there were none.
        val: plain accuracy as `hits`, `n` and `best_of` how many epochs; None where it has none.
        seconds: of the training; None where it has not ended.
        started: when, as ISO text; empty where it is not known.
    """

    folder: Path
    data: str
    recipe: str
    changes: tuple[Change, ...] | None
    corrections: Any
    seed: int
    status: str
    val: dict[str, int] | None
    seconds: float | None
    started: str


def list_runs(root: Path) -> tuple[list[ListedRun], list[str]]:
    """The runs in a folder and in its folders (a ladder's, say), the newest last; and why others cannot be read.

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
    return sorted(found, key=lambda one: (one.started, str(one.folder))), problems


def _listed(run: Run) -> ListedRun:
    info, recipe, val = run.info, run.recipe, None
    published = RECIPES.get(recipe.name)
    if info["status"] == "finished" and not info["final"]:
        val = {name: info["val"]["accuracy"][name] for name in ("hits", "n")}
        val["best_of"] = info["val"].get("best_of", 1)
        if type(val["best_of"]) is not int or min(val["n"], val["best_of"]) < 1:
            raise RunError(f"{run.folder / 'run.json'} says of its grade what cannot be: {val}.")
    return ListedRun(
        run.folder, info["data"]["name"], recipe.name, changes(published, recipe) if published else None,
        info["data"].get("corrections"), info["seed"], info["status"], val, info.get("seconds"),
        str(run.read("environment.json").get("started", "")),
    )  # fmt: skip
