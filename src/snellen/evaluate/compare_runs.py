"""Runs held against each other: is one better, and if that stays open, what would decide it?

Two runs are two models, compared image by image. Two recipes with the same seeds are compared seed by seed, because
a difference between two models is partly luck of the seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snellen.metrics.compare import NamedComparison, PairedDifference, compare, compare_all, seeds_needed
from snellen.metrics.intervals import mean_over_seeds, paired_difference_over_seeds
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run
from snellen.serialize import to_json


def compare_runs(runs: Sequence[Run], predictions: Sequence[Predictions]) -> tuple[dict[str, Any], list[str]]:
    """What two or more runs say about each other on the same val images, plain, as JSON and as sentences.

    Raises:
        UsageError: the runs were not graded on the same images with the same classes.
    """
    families = _families(runs)
    seeds = [sorted(runs[at].info["seed"] for at in family) for family in families]
    if len(families) == 2 and len(seeds[0]) > 1 and seeds[0] == seeds[1] and len(set(seeds[0])) == len(seeds[0]):
        return _two_recipes(runs, predictions, families)
    if len(runs) == 2:
        return _two_models(runs, compare(*predictions))
    if len(families) == 1 and len(set(seeds[0])) == len(seeds[0]):
        summary = mean_over_seeds([float(one.correct.mean()) for one in predictions])
        return {"kind": "seeds of one recipe", **to_json(summary)}, [f"{runs[0].recipe.name} over seeds: {summary}"]
    names = _names(runs)
    pairs = compare_all(dict(zip(names, predictions, strict=True)))
    return {"kind": "many models", "pairs": to_json(pairs)}, [_one_of_many(pair) for pair in pairs]


def _two_models(runs: Sequence[Run], difference: PairedDifference) -> tuple[dict[str, Any], list[str]]:
    first, second = _names(runs)
    interval = f"{_points(difference.low)} to {_points(difference.high)}, 95 % over {difference.first.n:,} images"
    if difference.decided:
        verdict = "so the two models differ"
    elif difference.images_needed is None:
        verdict = "undecided, and no number of images would tell two equally good models apart"
    else:
        verdict = (
            f"undecided; about {difference.images_needed:,} images would decide, if they go on differing like this"
        )
    lines = [
        f"{second} minus {first}: {_points(difference.value)} points ({interval}), plain.",
        f"{difference.only_first} images only {first} has right, {difference.only_second} only {second}: "
        f"McNemar p = {difference.p_value:.2g}, {verdict}.",
    ]
    one_recipe = len(_families(runs)) == 1
    if one_recipe:
        lines.append("Both are runs of one recipe: what differs is the luck of the seed.")
    else:
        recipes = " ".join(str(run.folder / "recipe.json") for run in runs)
        lines.append("These are two models, not yet two recipes: another seed may differ by more. Over seeds:")
        lines.append(f"  snellen ladder {runs[0].info['data']['name']} --rungs {recipes}")
    return {"kind": "two models", "names": [first, second], "one_recipe": one_recipe, **to_json(difference)}, lines


def _two_recipes(
    runs: Sequence[Run], predictions: Sequence[Predictions], families: Sequence[Sequence[int]]
) -> tuple[dict[str, Any], list[str]]:
    sides = [sorted(family, key=lambda at: int(runs[at].info["seed"])) for family in families]
    for before, after in zip(*sides, strict=True):
        compare(predictions[before], predictions[after])  # refuses other images
    scores = [[float(predictions[at].correct.mean()) for at in side] for side in sides]
    difference = paired_difference_over_seeds(*scores)
    first, second = (runs[side[0]].recipe.name for side in sides)
    needed = None
    if difference.excludes_zero:
        verdict = "decided: the whole 95 % interval lies on one side of 0"
    else:
        needed = seeds_needed(difference.mean, difference.sd or 0.0)
        verdict = "undecided, and no number of seeds in sight would decide"
        if needed is not None:
            verdict = f"undecided; about {needed:,} seeds would decide, if the difference is what it seems"
    lines = [f"{second} minus {first}, seed by seed: {difference}; {verdict}."]
    content = {"kind": "two recipes", "names": [first, second], **to_json(difference), "seeds_needed": needed}
    return {**content, "decided": difference.excludes_zero}, lines


def _one_of_many(pair: NamedComparison) -> str:
    found = pair.difference
    interval = f"{_points(found.low)} to {_points(found.high)}"
    verdict = "decided" if pair.decided else "undecided"
    return (
        f"{pair.second} minus {pair.first}: {_points(found.value)} points ({interval}); "
        f"p = {pair.holm_p_value:.2g} after Holm, {verdict}."
    )


def _families(runs: Sequence[Run]) -> list[list[int]]:
    """Positions of the runs that share a recipe, whatever it is called, in order of appearance."""
    found: dict[Any, list[int]] = {}
    for at, run in enumerate(runs):
        found.setdefault(run.recipe.replace(name="", note="", expect=None), []).append(at)
    return list(found.values())


def _names(runs: Sequence[Run]) -> list[str]:
    """The folders' names, or, where two are equal, their paths, or their numbers."""
    for names in ([run.name for run in runs], [str(run.folder) for run in runs]):
        if len(set(names)) == len(runs):
            return names
    return [f"{run.name} ({at})" for at, run in enumerate(runs, start=1)]


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.2f}"
