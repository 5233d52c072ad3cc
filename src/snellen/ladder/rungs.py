"""The rungs of a ladder: recipes that differ in one thing each, and what that thing is; and the plan to train them.

The whole difference between two rungs is the difference between their recipes, and it is computed, not described:
a name that promises more or less than the recipes hold would show in the table.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from snellen.errors import InvalidSetting, UsageError, unknown_name
from snellen.recipes.catalog import find_recipe
from snellen.recipes.cifar10 import SMALL_CNN, SMALL_CNN_AUGMENTED, SMALL_CNN_BASELINE
from snellen.recipes.json_form import changes, recipe_hash, with_settings
from snellen.recipes.recipe import Recipe

PLAN_FILE = "ladder.json"
_MOST_SEEDS = 1_000
_MOST_NAMED = 3  # fields in a rung's name


@dataclass(frozen=True)
class Rung:
    """One step of a ladder.

    Attributes:
        name: what the table calls it, such as "+ crop and flip".
        recipe: every choice.
        baseline: position of the rung it is compared with; None for a rung that is only compared with.
        removes: the rung leaves something out, so that a *fall* in accuracy speaks for what it leaves out.
    """

    name: str
    recipe: Recipe
    baseline: int | None = None
    removes: bool = False

    @property
    def slug(self) -> str:
        """The name as part of a folder's name: letters, digits and hyphens."""
        return slug(self.name)


@dataclass(frozen=True)
class Ladder:
    """What is to be compared: rungs in the order of the table, the settings applied.

    Attributes:
        title: what its table is called: the preset's name, or the recipes'.
        settings: `key=value` that were applied to every rung; not empty means it is not the preset's own ladder.
    """

    title: str
    rungs: tuple[Rung, ...]
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan(Ladder):
    """A ladder to train: rungs x seeds on one data set, in one folder.

    Attributes:
        folder: RUNS/ladder-NAME; every run is a folder in it.
        data: name of the data set.
        fingerprints: of the train and val images, by content.
        device: "cpu", "cuda" or "mps", for all runs.
        precision: "fp32" or "bf16", for all runs.
        seed_counts: how many seeds each table so far was made from, the present one last.
    """

    folder: Path
    data: str
    fingerprints: tuple[str, str]
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


def choose_ladder(preset_name: str | None, recipes: Sequence[str] = (), settings: Sequence[str] = ()) -> Ladder:
    """The ladder that a command line asks for: a preset ("lesson" if None), or a user's own recipes instead.

    Raises:
        UsageError: both are given; else as `preset`, `rungs_of` and `with_shared_settings`.
    """
    if recipes and preset_name is not None:
        raise UsageError("--preset and --rungs exclude each other: take a named ladder or your own recipes.")
    rungs = rungs_of(recipes) if recipes else preset(preset_name or "lesson")
    title = " → ".join(rung.name for rung in rungs) if recipes else (preset_name or "lesson")
    return Ladder(title, with_shared_settings(rungs, settings), tuple(settings))


def grid(base: Recipe, fields: Sequence[str], settings: Sequence[str] = ()) -> Ladder:
    """Every combination of the values of some fields, such as ("optimizer.lr=0.05,0.1", "epochs=10,20").

    They are compared with the recipe itself where it is one of them, else with the first. `settings` are those that the
    recipe has been changed by.

    Raises:
        UsageError: a field without two values, or two combinations that are the same.
        InvalidSetting: as `recipes.json_form.with_settings`.
    """
    values = dict(values_of("--grid", field) for field in fields)
    names = [field.rsplit(".", 1)[-1] for field in values]
    shown = dict(zip(values, names if len(set(names)) == len(names) else values, strict=True))
    rungs = [
        Rung(
            " ".join(f"{shown[field]}={value}" for field, value in pairs),
            with_settings(base, list(map("=".join, pairs))),
        )
        for pairs in (list(zip(values, chosen, strict=True)) for chosen in product(*values.values()))
    ]
    if len({recipe_hash(rung.recipe) for rung in rungs}) < len(rungs):
        raise UsageError(f"--grid {' '.join(fields)} has two combinations that train alike. Leave one of them out.")
    rungs.sort(key=lambda rung: len(changes(base, rung.recipe)) > 0)  # stable: the recipe itself first
    compared = tuple(replace(rung, baseline=0 if at else None) for at, rung in enumerate(rungs))
    return Ladder(" ".join((base.name, *fields)), with_shared_settings(compared, ()), tuple(settings))


def values_of(option: str, text: str) -> tuple[str, tuple[str, ...]]:
    """A field and its values, which commas part where no bracket is open; UsageError where there are not two."""
    field, _, rest = text.partition("=")
    values, depth = [""], 0
    for letter in rest:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            values.append("")
        else:
            values[-1] += letter
    if len(values) < 2 or not all(values):
        raise UsageError(f"{option} {text} is not possible: a field with two values or more, such as epochs=10,20.")
    return field, tuple(values)


def preset(name: str) -> tuple[Rung, ...]:
    """The rungs of a named ladder; UnknownName names the nearest where there is none."""
    if name not in PRESETS:
        raise unknown_name("ladder preset", name, PRESETS, list_with="snellen ladder --help")
    return PRESETS[name]


def rungs_of(names: Sequence[str]) -> tuple[Rung, ...]:
    """Rungs from a user's recipes, by name or .json file, each compared with the one before it.

    Raises:
        UsageError: fewer than two, or a file that is no recipe.
    """
    if len(names) < 2:
        raise UsageError(f"A ladder needs at least two recipes, got {len(names)}: --rungs a.json b.json")
    recipes = [find_recipe(name) for name in names]
    called = [recipe.name for recipe in recipes]
    titles = []
    for at, (name, recipe) in enumerate(zip(called, recipes, strict=True), start=1):
        # Recipes of runs that differ by --set only carry one name; what they change of the first tells them apart.
        changed = [f"{change.field}={change.now}" for change in changes(recipes[called.index(name)], recipe)]
        titles.append(" ".join((name, *changed)) if len(changed) <= _MOST_NAMED else f"{name} ({at})")
    named = [recipe.replace(name=title) for recipe, title in zip(recipes, titles, strict=True)]
    return tuple(Rung(recipe.name, recipe, at - 1 if at else None) for at, recipe in enumerate(named))


def with_shared_settings(rungs: Sequence[Rung], settings: Sequence[str]) -> tuple[Rung, ...]:
    """The rungs with `key=value` settings applied to every one of them.

    Raises:
        InvalidSetting: as `recipes.json_form.with_settings`.
        UsageError: two rungs are then the same, or have the same name.
    """
    changed = tuple(replace(rung, recipe=with_settings(rung.recipe, settings)) for rung in rungs)
    for rung in changed:
        if rung.baseline is not None and not changes(changed[rung.baseline].recipe, rung.recipe):
            raise UsageError(
                f"Rung {rung.name!r} equals {changed[rung.baseline].name!r}, so nothing would be measured. "
                "Leave out the --set that removes their difference, or one of the rungs."
            )
    slugs = [rung.slug for rung in changed]
    twice = sorted({name for name in slugs if slugs.count(name) > 1})
    if twice:
        raise UsageError(f"Two rungs would be trained in folders called {twice[0]!r}. Give their recipes other names.")
    return changed


def require_seeds(seeds: int) -> None:
    """Refuse a number of seeds below 1 or above 1,000 (InvalidSetting)."""
    if not 1 <= seeds <= _MOST_SEEDS:
        raise InvalidSetting(f"--seeds {seeds} is not possible: 1 to {_MOST_SEEDS}; 3 is the least that can decide.")


def require_one_test_view(rungs: Sequence[Rung]) -> None:
    """Refuse to compare rungs on test whose recipes declare different test-time views (UsageError)."""
    views = set()
    for recipe in (rung.recipe for rung in rungs):
        unsure = "" if recipe.tta_fraction == 1 else f" for {100 * recipe.tta_fraction:g} % of the images"
        views.add(recipe.tta + unsure)
    if len(views) > 1:
        raise UsageError(
            f"One look grades all rungs alike; these declare different test-time views ({', '.join(sorted(views))}). "
            "Give them one: --set tta=none"
        )


def top_of(rungs: Sequence[Rung]) -> int:
    """Position of the rung the ladder leads to: the last one, or the full recipe where the others leave things out."""
    return 0 if any(rung.removes for rung in rungs) else len(rungs) - 1


def one_model(rungs: Sequence[Rung]) -> bool:
    """Whether all rungs train the same network, so that equal seeds must give equal initial weights."""
    return len({(rung.recipe.model, rung.recipe.widths, rung.recipe.stem) for rung in rungs}) == 1


def slug(text: str, longest: int = 60) -> str:
    """Letters, digits, dots and hyphens of a text in lower case, at most `longest` characters."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:longest].rstrip("-.") or "rung"


def _with(recipe: Recipe, suffix: str, *settings: str) -> Recipe:
    """A changed recipe under a name of its own: the ledger and a run folder tell recipes apart by it."""
    return with_settings(recipe, settings).replace(name=f"{recipe.name}_{suffix.replace('-', '_')}", note="")


_LESSON_BEGINS = (Rung("baseline", SMALL_CNN_BASELINE), Rung("+ crop and flip", SMALL_CNN_AUGMENTED, 0))
_SMOOTHED = _with(SMALL_CNN_AUGMENTED, "smoothing", "label_smoothing=0.1")
_COSINE = ("cosine", "schedule.shape=cosine", "schedule.per=epoch")
_LEFT_OUT = {
    "without crop": "augment.crop_pixels=0",
    "without flip": "augment.flip=none",
    "without cosine": "schedule.shape=constant",
    "without momentum": "optimizer.momentum=0.0",
    "without weight decay": "optimizer.weight_decay=0.0",
}
PRESETS: dict[str, tuple[Rung, ...]] = {
    "lesson": (*_LESSON_BEGINS, Rung("+ cosine, momentum, decay", SMALL_CNN, 1)),
    # The last step of `lesson` changes three things at once; here each stands alone on the second rung.
    "lesson-split": (
        *_LESSON_BEGINS,
        Rung("+ cosine alone", _with(SMALL_CNN_AUGMENTED, *_COSINE), 1),
        Rung("+ momentum alone", _with(SMALL_CNN_AUGMENTED, "momentum", "optimizer.momentum=0.9"), 1),
        Rung("+ weight decay alone", _with(SMALL_CNN_AUGMENTED, "decay", "optimizer.weight_decay=5e-4"), 1),
        Rung("+ all three", SMALL_CNN, 1),
    ),
    # What they do to train and val curves.
    "regularizers": (
        Rung("no augmentation", SMALL_CNN_BASELINE),
        Rung("+ augmentation", SMALL_CNN_AUGMENTED, 0),
        Rung("+ label smoothing", _SMOOTHED, 1),
        Rung("+ cosine", _with(_SMOOTHED, *_COSINE), 2),
    ),
    "leave-one-out": (
        Rung("full recipe", SMALL_CNN),
        *(Rung(name, _with(SMALL_CNN, slug(name), change), 0, removes=True) for name, change in _LEFT_OUT.items()),
    ),
}
