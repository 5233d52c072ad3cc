"""`to-accuracy`: seconds from nothing to a graded model, cold and warm, with the accuracy they buy.

*Cold* is the whole process: from its start to its first accuracy, import and data included. *Warm* is prepare, train
and evaluate with the recipe's views, of a later run in the same process. So n seeds in one process give one cold time
and n - 1 warm ones, and all n count for the accuracy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any

from snellen.bench.conditions import Conditions, conditions_here
from snellen.bench.interleaved import Trained, train_in_turns
from snellen.bench.measurement import Measurement
from snellen.bench.process import Finished
from snellen.bench.protocol import Timing, percentile
from snellen.bench.settings import Settings
from snellen.bench.substitutes import require_dataset
from snellen.evaluate.test_set import evaluate_on_test, ledger_of
from snellen.metrics.intervals import mean_over_seeds
from snellen.recipes.catalog import default_recipe, find_recipe
from snellen.runs.run import Run

FIGURES = ("cold s", "warm s", "accuracy %", "standard error", "seeds", "peak GB")
RATIOS = ("cold", "warm", "cold pairs", "warm pairs")


def measure(settings: Settings) -> Iterator[Measurement]:
    """Train and grade `seeds` runs in one process; one line, and two more where a peer takes turns.

    Without `final` the accuracy is that on val. With it, training takes train and val, and the accuracy stays unknown
    unless a `reason` opens the test set: once, for all runs together, after the last of them, through the ledger.

    Raises:
        RunError: a training failed.
        SealError: the ledger cannot be written; the test set stayed closed.
    """
    require_dataset(settings.dataset)
    recipe = find_recipe(settings.recipe) if settings.recipe else default_recipe(settings.dataset)
    conditions = conditions_here(batch=recipe.batch_size)
    trainers = [(_arguments(settings, settings.recipe or recipe.name), settings.seeds)]
    if settings.peer is not None:
        trainers.append(([str(settings.peer)], settings.peer_seeds or settings.seeds))
    ours, *peers = train_in_turns(trainers)
    lines = ours.lines
    conditions = replace(conditions, precision=lines[0]["precision"], device=lines[0]["device"]).after()
    case = f"{settings.dataset} {recipe.name}, {'train + val' if settings.final else 'train'}"
    # Hours went into the times: they are on record before the ledger is asked.
    yield from _beside(ours, peers, conditions, settings)
    accuracies, split, note = _accuracies(lines, settings)
    yield _line(ours, conditions, f"{case}, accuracy on {split}", accuracies, note)


def _line(
    trained: Trained, conditions: Conditions, case: str, accuracies: Sequence[float], note: str = ""
) -> Measurement:
    warm = trained.warm(conditions)
    figures = _figures(trained.finished, warm, accuracies)
    return Measurement("to-accuracy", case, figures, conditions, warm, note=note, details={"runs": list(trained.lines)})


def _beside(
    ours: Trained, peers: Sequence[Trained], conditions: Conditions, settings: Settings
) -> Iterator[Measurement]:
    """The peer's own line, and our times as fractions of its times, pair by pair."""
    for peer in peers:
        assert settings.peer is not None
        name = str(peer.lines[0].get("name", settings.peer.stem))
        theirs = replace(conditions, precision=str(peer.lines[0].get("precision", "unknown")))
        accuracies = [float(line["accuracy"]) for line in peer.lines if line.get("accuracy") is not None]
        yield _line(peer, theirs, name, accuracies)
        warm = [
            a["seconds"] / b["seconds"] for a, b in zip(ours.lines[1:], peer.lines[1:], strict=False)
        ]  # as many pairs as both made
        values = (ours.cold_seconds / peer.cold_seconds, percentile(warm, 50) if warm else None, 1, len(warm))
        figures = dict(zip(RATIOS, values, strict=True))
        yield Measurement(
            "to-accuracy", f"our time / time of {name}", figures, conditions, details={"warm ratios": warm}
        )


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
    look = evaluate_on_test(runs, ledger_of(runs[0], settings.ledger), reason=settings.reason, data=settings.data)
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
