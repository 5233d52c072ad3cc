"""The guard that reads the ledger: was the test set used for choosing?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from snellen.data.ledger import Ledger, Line
from snellen.errors import SnellenError
from snellen.guards.guard import Verdict
from snellen.recipes.json_form import read_recipe, recipe_hash
from snellen.recipes.recipe import Recipe

_NAME = "test-once"


def looked_at(ledger: Ledger, *, data: str, recipe: Recipe, started: str, runs: Path) -> Verdict:
    """Whether at most one choice was judged on a test set, and this run was not made after another one's look.

    Several looks at the same weights, and several seeds of one recipe in one look, are one choice. A further seed of a
    recipe that was looked at is not tuned: recipes are compared by what they do, whatever they are called.

    Args:
        ledger: where looks are written.
        data: name of the data set.
        recipe: of this run.
        started: when this run began, ISO 8601.
        runs: the folder that holds the runs.
    """
    looks = [line for line in ledger.lines() if line.kind == "intent" and line.content["test_set"]["name"] == data]
    problems = ledger.problems()
    if problems:
        return Verdict(
            _NAME, False, f"{ledger.path} is not whole: {problems[0]}.",
            "Bring the missing lines back from version control or another machine: snellen ledger --merge OTHER",
            "error",
        )  # fmt: skip
    if not looks:
        return Verdict(_NAME, True, f"Nobody has looked at {data}'s test set, as far as {ledger.path} knows.")
    number = max(ledger.look_number(line.hash) for line in looks)
    before = [line for line in looks if _earlier(line.content["time"], started)]
    tuned = [line for line in before if not _same_recipe(line, recipe, runs)]
    evidence = f"{ledger.path} knows {number} {'choice' if number == 1 else 'choices'} looked at on {data}'s test set."
    if tuned:
        first = tuned[0].content
        evidence += f" This run began after a look at another recipe ({first['candidates'][0]['recipe']})."
    if number == 1 and not tuned:
        return Verdict(_NAME, True, evidence)
    return Verdict(
        _NAME, False, evidence,
        "Say it beside the number: chosen among the looks, optimistic by a few tenths of a point. Choose on val: "
        "snellen evaluate RUN; only fresh test images make it a first look again.",
    )  # fmt: skip


def _earlier(one: str, other: str) -> bool:
    try:
        return datetime.fromisoformat(one) < datetime.fromisoformat(other)
    except (TypeError, ValueError):
        return False  # a time that cannot be read accuses nobody


def _same_recipe(look: Line, recipe: Recipe, runs: Path) -> bool:
    return all(_recipe_hash_of(candidate, runs) == recipe_hash(recipe) for candidate in look.content["candidates"])


def _recipe_hash_of(candidate: dict[str, Any], runs: Path) -> str | None:
    if "recipe_sha256" in candidate:
        return str(candidate["recipe_sha256"])
    try:  # a line of before 0.1 names the run only; its folder may still be there
        return recipe_hash(read_recipe(runs / Path(str(candidate.get("run", ""))).name / "recipe.json"))
    except SnellenError:
        return None
