"""Seconds from nothing to a graded model, cold and warm, with the accuracy they buy.

    python -m benchmarks.to_accuracy --seeds 5 --out results/speed/NAME.json

*Cold* is the whole process: from its start to its first accuracy, import and data included. *Warm* is prepare, train
and evaluate with the recipe's views, of a later run in the same process. So n seeds in one process give one cold time
and n - 1 warm ones, and all n count for the accuracy.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any

import tyro

from benchmarks.interleaved import Trained, train_interleaved
from benchmarks.script import keep, say
from benchmarks.substitutes import require_dataset
from snellen.bench.protocol import Conditions, Measurement, conditions_here, percentile
from snellen.data.default_recipe import default_recipe
from snellen.errors import InvalidSetting, SnellenError
from snellen.evaluate.test_set import evaluate_on_test, ledger_of
from snellen.metrics.intervals import mean_over_seeds
from snellen.recipes.catalog import find_recipe
from snellen.runs.run import Run

FIGURES = ("cold s", "warm s", "accuracy %", "standard error", "seeds", "peak GB")
RATIOS = ("cold", "warm", "cold pairs", "warm pairs")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is trained, how often, and beside whom."""

    dataset: str = "cifar10"
    """cifar10 or eyechart."""
    data: Path | None = None
    """Where the files are; else $SNELLEN_DATA, ./data and the cache are searched."""
    recipe: str | None = None
    """Instead of the data set's own."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    seeds: int = 3
    """Trainings in one process; the first is cold, the others are warm."""
    final: bool = False
    """Train on train + val."""
    reason: str | None = None
    """With --final: open the test set once, through the ledger, with this line in it."""
    ledger: Path | None = None
    """The ledger's file; else $SNELLEN_LEDGER, else ledger.jsonl beside the runs."""
    runs: Path = Path("runs/bench")
    """Folder for the run folders."""
    peer: Path | None = None
    """A Python file that takes turns with our trainings; docs/bench.md says how."""
    peer_seeds: int | None = None
    """Trainings of the peer, in the first turns; else as many as ours."""
    out: Path | None = None
    """Write everything as JSON into this file, with the environment: results/speed/….json"""

    def require_possible(self) -> None:
        """Refuse what cannot be, before anything is measured.

        Raises:
            InvalidSetting: two options do not go together, or one is out of its range.
            UnknownName: there is no such data set.
        """
        require_dataset(self.dataset)
        if not 1 <= self.seeds <= 1000:
            raise InvalidSetting(f"--seeds {self.seeds} is not possible: 1 to 1000 trainings.")
        if self.reason is not None and not self.final:
            raise InvalidSetting(
                "--reason opens the test set, and that is for final trainings only. Add --final, or leave it out."
            )
        if self.ledger is not None and self.reason is None:
            raise InvalidSetting("--ledger has no effect without --reason: nothing is written there.")
        if self.peer is not None and not self.peer.is_file():
            raise InvalidSetting(f"--peer {self.peer} is not a file. Name a Python file as docs/bench.md describes it.")
        if self.peer_seeds is not None and (self.peer is None or not 1 <= self.peer_seeds <= self.seeds):
            raise InvalidSetting(
                f"--peer-seeds {self.peer_seeds} is not possible: 1 to --seeds ({self.seeds}) trainings of a --peer."
            )


def measure(options: Options) -> Iterator[Measurement]:
    """Train and grade `seeds` runs in one process; one line, and two more where a peer takes turns.

    Without `final` the accuracy is that on val. With it, training takes train and val, and the accuracy stays unknown
    unless a `reason` opens the test set: once, for all runs together, after the last of them, through the ledger.

    Raises:
        InvalidSetting: as `Options.require_possible`.
        RunError: a training failed.
        SealError: the ledger cannot be written; the test set stayed closed.
    """
    options.require_possible()
    recipe = find_recipe(options.recipe) if options.recipe else default_recipe(options.dataset).recipe
    conditions = conditions_here(batch=recipe.batch_size)
    trainers = [(_arguments(options, options.recipe or recipe.name), options.seeds)]
    if options.peer is not None:
        trainers.append(([str(options.peer)], options.peer_seeds or options.seeds))
    ours, *peers = train_interleaved(trainers)
    lines = ours.lines
    conditions = replace(conditions, precision=lines[0]["precision"], device=lines[0]["device"]).after()
    case = f"{options.dataset} {recipe.name}, {'train + val' if options.final else 'train'}"
    # Hours went into the times: they are on record before the ledger is asked.
    yield from _beside(ours, peers, conditions, options)
    accuracies, split, note = _accuracies(lines, options)
    yield _line(ours, conditions, f"{case}, accuracy on {split}", accuracies, note)


def _line(
    trained: Trained, conditions: Conditions, case: str, accuracies: Sequence[float], note: str = ""
) -> Measurement:
    warm = trained.warm(conditions)
    figures = _figures(trained, conditions, accuracies)
    return Measurement("to-accuracy", case, figures, conditions, warm, note=note, details={"runs": list(trained.lines)})


def _beside(ours: Trained, peers: Sequence[Trained], conditions: Conditions, options: Options) -> Iterator[Measurement]:
    """The peer's own line, and our times as fractions of its times, pair by pair."""
    for peer in peers:
        assert options.peer is not None
        name = str(peer.lines[0].get("name", options.peer.stem))
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


def _arguments(options: Options, recipe: str) -> list[str]:
    words = ["-m", "benchmarks.seeds", "--dataset", options.dataset, "--recipe", recipe]
    words += ["--seeds", str(options.seeds), "--device", options.device, "--runs", str(options.runs)]
    words += ["--data", str(options.data)] if options.data is not None else []
    return words + (["--final"] if options.final else [])


def _accuracies(lines: Sequence[dict[str, Any]], options: Options) -> tuple[list[float], str, str]:
    """Accuracies seed by seed, the split they were taken on, and a note."""
    if not options.final:
        with_views = [line["accuracy_tta"] or line["accuracy"] for line in lines]
        return with_views, "val", ""
    if options.reason is None:
        return [], "nothing", "test stays sealed; with --reason TEXT it is opened once, through the ledger"
    runs = [Run(Path(line["run"])) for line in lines]
    look = evaluate_on_test(runs, ledger_of(runs[0], options.ledger), reason=options.reason, data=options.data)
    judged = [one if one.tta_logits is None else one.with_tta() for one in look.predictions]
    return [float(one.correct.mean()) for one in judged], "test", f"look {look.number}, written in the ledger"


def _figures(trained: Trained, conditions: Conditions, accuracies: Sequence[float]) -> dict[str, float | None]:
    summary = mean_over_seeds(accuracies) if accuracies else None
    error = None if summary is None or summary.sd is None else summary.sd / sqrt(summary.n)
    warm = trained.warm(conditions)
    values = (
        trained.cold_seconds,
        None if warm is None else warm.median,
        None if summary is None else 100 * summary.mean,
        None if error is None else 100 * error,
        len(trained.lines),
        None if trained.peak_bytes is None else trained.peak_bytes / 1e9,
    )
    return dict(zip(FIGURES, values, strict=True))


def main(arguments: Sequence[str]) -> int:
    """Measure, show the table and write the file; returns the exit code."""
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
    options = tyro.cli(
        Options, args=arguments, prog="python -m benchmarks.to_accuracy", description=__doc__, config=config
    )
    try:
        keep(measure(options), options.out)
    except SnellenError as error:
        return say(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
