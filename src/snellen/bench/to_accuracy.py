"""`to-accuracy`: seconds from nothing to a graded model, cold and warm, with the accuracy they buy.

*Cold* is the whole process: from its start to its first accuracy, import and data included. *Warm* is prepare, train
and evaluate with the recipe's views, of a later run in the same process. So n seeds in one process give one cold time
and n - 1 warm ones, and all n count for the accuracy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

from snellen.bench.child import Finished, run_python
from snellen.bench.conditions import conditions_here
from snellen.bench.measurement import Measurement
from snellen.bench.protocol import Timing
from snellen.bench.settings import Settings
from snellen.bench.stand_ins import require_dataset
from snellen.evaluate.intervals import mean_over_seeds
from snellen.recipes.catalog import default_recipe, find_recipe
from snellen.runs.run import Run
from snellen.train.judge import judge_on_test, ledger_of

FIGURES = ("cold s", "warm s", "accuracy %", "standard error", "seeds", "peak GB")


def measure(settings: Settings) -> Iterator[Measurement]:
    """Train and grade `seeds` runs in one process; one line.

    Without `final` the accuracy is that on val. With it, training takes train and val, and the accuracy stays unknown
    unless a `reason` opens the test set: once, for all runs together, after the last of them, through the ledger.

    Raises:
        RunError: a training failed.
        SealError: the ledger cannot be written; the test set stayed closed.
    """
    require_dataset(settings.dataset)
    recipe = find_recipe(settings.recipe) if settings.recipe else default_recipe(settings.dataset)
    conditions = conditions_here(batch=recipe.batch_size)
    finished = run_python(_arguments(settings, settings.recipe or recipe.name), weigh=True)
    lines = [json.loads(text) for text in finished.out.splitlines()]
    accuracies, split, note = _accuracies(lines, settings)
    conditions = replace(conditions, precision=lines[0]["precision"], device=lines[0]["device"]).after()
    warm = Timing(tuple(line["seconds"] for line in lines[1:]), conditions) if len(lines) > 1 else None
    figures = _figures(finished, warm, accuracies)
    case = f"{settings.dataset} {recipe.name}, {'train + val' if settings.final else 'train'}, accuracy on {split}"
    yield Measurement("to-accuracy", case, figures, conditions, warm, note=note, details={"runs": lines})


def _arguments(settings: Settings, recipe: str) -> list[str]:
    words = ["-m", "snellen.bench.seeds", "--dataset", settings.dataset, "--recipe", recipe]
    words += ["--seeds", str(settings.seeds), "--device", settings.device, "--runs", str(settings.runs)]
    words += ["--data", str(settings.data)] if settings.data is not None else []
    return words + (["--final"] if settings.final else [])


def _accuracies(lines: Sequence[dict[str, Any]], settings: Settings) -> tuple[list[float], str, str]:
    """Accuracies seed by seed, the split they were taken on, and a note."""
    if not settings.final:
        with_views = [line["accuracy_tta"] or line["accuracy"] for line in lines]
        return with_views, "val", ""
    if settings.reason is None:
        return [], "nothing", "test stays sealed; with --reason TEXT it is opened once, through the ledger"
    runs = [Run(Path(line["run"])) for line in lines]
    look = judge_on_test(runs, ledger_of(runs[0], settings.ledger), reason=settings.reason, data=settings.data)
    judged = [one if one.tta_logits is None else one.with_tta() for one in look.predictions]
    return [float(one.correct.mean()) for one in judged], "test", f"look {look.number}, written in the ledger"


def _figures(finished: Finished, warm: Timing | None, accuracies: Sequence[float]) -> dict[str, float | None]:
    summary = mean_over_seeds(accuracies) if accuracies else None
    error = None if summary is None or summary.sd is None else summary.sd / sqrt(summary.n)
    values = (
        finished.line_seconds[0],
        None if warm is None else warm.median,
        None if summary is None else 100 * summary.mean,
        None if error is None else 100 * error,
        len(finished.line_seconds),
        None if finished.peak_bytes is None else finished.peak_bytes / 1e9,
    )
    return dict(zip(FIGURES, values, strict=True))
