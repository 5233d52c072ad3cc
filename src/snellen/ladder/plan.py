"""What a ladder is going to do, on disk before it begins: `ladder.json` in its folder.

A ladder may take days and several sittings. The plan holds everything that must not change between them, device and
precision included: a rung trained in bf16 above one in fp32 would measure two things at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snellen.errors import InvalidSetting, RunError, SnellenError, UsageError
from snellen.ladder.rungs import Rung, changes
from snellen.recipes.json_form import from_json
from snellen.recipes.recipe import Recipe
from snellen.runs.atomic import write_json
from snellen.serialize import to_json

_FORMAT = 1
_MOST_SEEDS = 1_000
PLAN_FILE = "ladder.json"


@dataclass(frozen=True)
class Plan:
    """A ladder: rungs x seeds on one data set, in one folder.

    Attributes:
        folder: RUNS/ladder-NAME; every run is a folder in it.
        title: what it is called in its table: the preset's name, or the recipes'.
        data: name of the data set.
        fingerprints: of the train and val images, by content.
        rungs: in the order of the table.
        settings: `key=value` that were applied to every rung; not empty means it is not the preset's own ladder.
        device: "cpu", "cuda" or "mps", for all runs.
        precision: "fp32" or "bf16", for all runs.
        seed_counts: how many seeds each table so far was made from, the present one last.
    """

    folder: Path
    title: str
    data: str
    fingerprints: tuple[str, str]
    rungs: tuple[Rung, ...]
    settings: tuple[str, ...]
    device: str
    precision: str
    seed_counts: tuple[int, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the present table: 0, 1, 2, …"""
        return tuple(range(self.seed_counts[-1]))

    def run_name(self, rung: Rung, seed: int) -> str:
        """Name of a run's folder."""
        return f"{rung.slug}-s{seed}"


def known_plan(folder: Path) -> dict[str, Any] | None:
    """The plan a folder holds, as JSON, or None where no ladder has begun.

    Raises:
        RunError: `ladder.json` cannot be read or was written by a newer Snellen.
    """
    path = folder / PLAN_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        whole = content["format"] == _FORMAT and all(isinstance(content[key], str) for key in ("device", "precision"))
        whole = whole and all(type(count) is int for count in content["seed_counts"]) and isinstance(
            content["rungs"], list
        )  # fmt: skip
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise RunError(f"{path} is not the plan of a ladder this Snellen can read. Choose another --name.")
    assert isinstance(content, dict)
    return content


def begin(plan: Plan) -> Plan:
    """Write the plan, or go on with the one that is there; returns it with the seed counts of all its tables.

    Raises:
        RunError: the folder holds another ladder.
        StorageError: the plan cannot be written.
    """
    before = known_plan(plan.folder)
    if before is not None:
        _require_same(plan, before)
        counts = [int(count) for count in before["seed_counts"]]
        seeds = plan.seed_counts[-1]
        plan = replace(plan, seed_counts=(*counts, seeds) if counts[-1:] != [seeds] else tuple(counts))
    write_json(plan.folder / PLAN_FILE, _plan_json(plan))
    return plan


def require_seeds(seeds: int) -> None:
    """Refuse a number of seeds that makes no ladder.

    Raises:
        InvalidSetting: below 1 or above 1,000.
    """
    if not 1 <= seeds <= _MOST_SEEDS:
        raise InvalidSetting(f"--seeds {seeds} is not possible: 1 to {_MOST_SEEDS}; 3 is the least that can decide.")


def require_one_test_view(rungs: Sequence[Rung]) -> None:
    """Refuse to compare rungs on test that are graded in different ways.

    Raises:
        UsageError: the recipes declare different test-time augmentations.
    """
    views = sorted({_views(rung.recipe) for rung in rungs})
    if len(views) > 1:
        raise UsageError(
            f"One look grades all rungs alike; these declare different test-time views ({', '.join(views)}). "
            "Give them one: --set tta=none"
        )


def _views(recipe: Recipe) -> str:
    unsure = "" if recipe.tta_fraction == 1 else f" for {100 * recipe.tta_fraction:g} % of the images"
    return f"{recipe.tta}{unsure}"


def _require_same(plan: Plan, before: dict[str, Any]) -> None:
    now = json.loads(json.dumps(_plan_json(plan)))
    said = {
        "data": "other images",
        "rungs": "other rungs",
        "device": "another device",
        "precision": "another precision",
    }
    before = {**before, "rungs": [_as_of_now(rung) for rung in before["rungs"]]}
    for key, what in said.items():
        if now[key] != before[key]:
            raise RunError(
                f"{plan.folder} holds a ladder with {what}{_first_difference(now, before) if key == 'rungs' else ''}. "
                "Run the command it was begun with, or choose another --name for this one."
            )


def _as_of_now(rung: Any) -> Any:
    """A rung on file with the fields that recipes have gained since, at their defaults."""
    try:
        return {**rung, "recipe": to_json(from_json(rung["recipe"]))}
    except (SnellenError, TypeError, KeyError):
        return rung  # another version's, or damaged: then it is another rung


def _first_difference(now: dict[str, Any], before: dict[str, Any]) -> str:
    if [rung.get("name") for rung in before["rungs"]] != [rung["name"] for rung in now["rungs"]]:
        return ""
    for old, new in zip(before["rungs"], now["rungs"], strict=True):
        for key, value in new["recipe"].items():
            if old["recipe"].get(key) != value and key not in ("note", "expect"):
                return f" ({new['name']}: {key} {json.dumps(old['recipe'].get(key))}, asked for {json.dumps(value)})"
    return ""


def _plan_json(plan: Plan) -> dict[str, Any]:
    """Everything, the difference of each rung to its baseline included."""
    return {
        "format": _FORMAT,
        "title": plan.title,
        "data": {"name": plan.data, "train": plan.fingerprints[0], "val": plan.fingerprints[1]},
        "settings": list(plan.settings),
        "device": plan.device,
        "precision": plan.precision,
        "seed_counts": list(plan.seed_counts),
        "rungs": [_rung_json(rung, plan.rungs) for rung in plan.rungs],
    }


def _rung_json(rung: Rung, rungs: Sequence[Rung]) -> dict[str, Any]:
    below = None if rung.baseline is None else rungs[rung.baseline]
    return {
        "name": rung.name,
        "slug": rung.slug,
        "compared_with": below and below.name,
        "removes": rung.removes,
        "changes": [to_json(change) for change in changes(below.recipe, rung.recipe)] if below else [],
        "recipe": to_json(rung.recipe),
    }
