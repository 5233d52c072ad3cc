"""`--folds 5`: a grade from all pictures, where a val of their tenth would be a few dozen; then a model of all of them.

Each fold, dealt by content, is val once, for a training on the others. Nothing is chosen on it: val is looked at after
the last epoch only. So every picture is answered once by a model that has not learned from it, and all answers together
grade the recipe. The last model learns from all pictures and has no val of its own; the folds say what to expect of it,
or rather less, since each of them learned from fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from snellen.data.dataset import Dataset
from snellen.data.splits import one_fold
from snellen.errors import InvalidSetting
from snellen.metrics.intervals import Rate
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.show.progress import Progress
from snellen.train.fit import FitOptions, fit

LEAST, MOST = 2, 20
_NEVER_BEFORE_THE_END = 10_000  # epochs: as many as a recipe can have


@dataclass(frozen=True)
class CrossValidation:
    """What the folds gave.

    Attributes:
        accuracy: of all pictures, each answered by the model that has not learned from it.
        folds: of each fold alone.
    """

    accuracy: Rate
    folds: tuple[Rate, ...]

    @staticmethod
    def of(runs: Sequence[Run]) -> CrossValidation:
        """Out of the grades of the folds' runs."""
        graded = [run.info["val"]["accuracy"] for run in runs]
        folds = tuple(Rate(each["hits"], each["n"]) for each in graded)
        return CrossValidation(Rate(sum(each.hits for each in folds), sum(each.n for each in folds)), folds)

    def __str__(self) -> str:
        shares = sorted(100 * each.value for each in self.folds)
        return f"{self.accuracy}, over {len(self.folds)} folds, which have {shares[0]:.1f} to {shares[-1]:.1f} %"


def cross_validate(recipe: Recipe, dataset: Dataset, count: int, options: FitOptions, progress: Progress) -> Run:
    """Train once for each fold, and once on all pictures; returns the run of the last, whose `run.json` has the grade.

    Args:
        recipe: every choice of each training, but when val is looked at.
        dataset: as loaded; a val part of its own is dealt out with the rest.
        count: folds, 2 to 20.
        options: of each training; `name` gets -fold1 and so on behind it.

    Raises:
        InvalidSetting: there cannot be so many folds.
        BadSplit: a class has fewer pictures than there are folds.
    """
    if not LEAST <= count <= MOST:
        raise InvalidSetting(f"--folds {count} is not possible: {LEAST} to {MOST}.")
    if recipe.patience:
        raise InvalidSetting(
            f"patience={recipe.patience} chooses on val, and --folds chooses nothing: --set patience=0"
        )
    blind = recipe.replace(evaluate_every=_NEVER_BEFORE_THE_END)
    name = options.name or f"{dataset.name}-{recipe.name}-s{options.seed}"
    dealt = [one_fold(dataset, number, count) for number in range(count)]  # refused before the first is trained
    runs = []
    for number, fold in enumerate(dealt, start=1):
        progress.say(f"fold {number} of {count}", style="bold")
        runs.append(fit(blind, fold, replace(options, name=f"{name}-fold{number}"), progress))
    progress.say("all pictures", style="bold")
    final = fit(blind, dataset, replace(options, name=f"{name}-final", final=True), progress)
    found = CrossValidation.of(runs)
    told = {**to_json(found), "words": str(found), "runs": [run.name for run in runs]}
    final.update_info(cross_validation=told)
    return final
