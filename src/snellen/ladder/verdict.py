"""Kept, dropped or undecided: what a rung's runs say, and what they do not say.

A rung is judged over seeds, paired: run by run against the rung it is compared with, on the same val images. It is
kept only if the whole 95 % interval of that difference speaks for it. One seed decides nothing about a recipe; then
the interval over images is shown, by that name, and the verdict stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from snellen.errors import RunError
from snellen.ladder.rungs import Rung, one_model
from snellen.metrics.compare import PairedDifference, compare, seeds_needed
from snellen.metrics.intervals import Rate, SeedDifference, SeedSummary, mean_over_seeds, paired_difference_over_seeds
from snellen.predict.predictions import Predictions
from snellen.recipes.json_form import Change, changes

Word = Literal["kept", "dropped", "undecided"]


@dataclass(frozen=True)
class SeedResult:
    """One finished run of a rung.

    Attributes:
        run: name of its folder.
        accuracy: on val, plain, with the weights of the best epoch; None if the loss became NaN or infinite.
        last_accuracy: on val after the last epoch, a fraction: not chosen, so not flattered by choosing.
        best_epoch: the epoch whose weights are kept, 1-based.
        initial_weights: SHA-256 of the weights it began with.
        seconds: of training and evaluation.
    """

    run: str
    seed: int
    accuracy: Rate | None
    last_accuracy: float | None
    best_epoch: int
    initial_weights: str
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """What became of a rung's change.

    Attributes:
        word: "kept", "dropped" or "undecided".
        difference: accuracy of the rung minus that of its baseline, paired by seed; None if a run diverged.
        over_images: the same for the single pair of runs, over images; None with two seeds or more.
        seeds_needed: seeds that would decide if the difference is what it seems; None where decided or unknown.
        reason: one clause.
    """

    word: Word
    difference: SeedDifference | None
    over_images: PairedDifference | None
    seeds_needed: int | None
    reason: str


@dataclass(frozen=True)
class RungResult:
    """A rung with its runs, one per seed, judged; a rung without baseline has no verdict.

    Attributes:
        compared_with: name of its baseline, or None.
        changes: the whole difference to the baseline.
        accuracy: on val over seeds; None if a run diverged.
        last_accuracy: likewise after the last epoch.
    """

    json_only: ClassVar[tuple[str, ...]] = (
        "name", "compared_with", "removes", "changes", "accuracy", "last_accuracy", "verdict", "seeds",
    )  # fmt: skip

    rung: Rung
    compared_with: str | None
    changes: tuple[Change, ...]
    seeds: tuple[SeedResult, ...]
    accuracy: SeedSummary | None
    last_accuracy: SeedSummary | None
    verdict: Verdict | None

    @property
    def name(self) -> str:
        """The rung's."""
        return self.rung.name

    @property
    def removes(self) -> bool:
        """Whether the rung takes something away from its baseline."""
        return self.rung.removes


def judge(
    rungs: Sequence[Rung], results: Sequence[Sequence[SeedResult]], predictions: Mapping[str, Predictions] | None = None
) -> tuple[RungResult, ...]:
    """Judge every rung against its baseline.

    Args:
        rungs: in the order of the table.
        results: per rung its runs, the same seeds in the same order everywhere.
        predictions: val predictions by run name, for the interval over images where there is one seed.

    Raises:
        RunError: runs that share a model and a seed did not begin with the same weights.
    """
    assert len({tuple(one.seed for one in row) for row in results}) == 1, "the same seeds on every rung"
    _require_same_start(rungs, results)
    return tuple(
        _judge_one(rung, rungs, row, results, predictions or {}) for rung, row in zip(rungs, results, strict=True)
    )


def verdict_over_seeds(baseline: Sequence[float], rung: Sequence[float], *, removes: bool = False) -> Verdict:
    """The rule: kept if the paired interval lies above zero, dropped if below, else undecided.

    Args:
        baseline: val accuracies of the rung below, fractions, one per seed.
        rung: of this rung, with the same seeds in the same order.
        removes: the rung leaves something out; then it is that something which is kept if accuracy *falls*.

    Raises:
        UsageError: not the same number of seeds on both sides.
    """
    difference = paired_difference_over_seeds(baseline, rung)
    if difference.n < 3:
        return Verdict("undecided", difference, None, None, "fewer than three seeds say nothing about a recipe")
    if difference.low is None or difference.sd is None:
        reason = "every pair of seeds differs by the same number of images, too few to tell how much seeds differ"
        return Verdict("undecided", difference, None, None, reason)
    if difference.excludes_zero:
        better = (difference.low > 0) != removes
        side = "above" if difference.low > 0 else "below"
        return Verdict("kept" if better else "dropped", difference, None, None, f"the whole interval is {side} 0")
    needed = seeds_needed(difference.mean, difference.sd)
    if needed is None:
        return Verdict("undecided", difference, None, None, "no difference that seeds would bring out")
    reason = f"the interval holds 0; about {needed:,} seeds would decide, if the difference is what it seems"
    return Verdict("undecided", difference, None, needed, reason)


def _require_same_start(rungs: Sequence[Rung], results: Sequence[Sequence[SeedResult]]) -> None:
    """Rungs of different models have nothing to share and pass."""
    for first, *others in zip(*results, strict=True) if one_model(rungs) else ():
        for other in others:
            if other.initial_weights != first.initial_weights:
                raise RunError(
                    f"{first.run} and {other.run} began with different weights ({first.initial_weights[:12]}… and "
                    f"{other.initial_weights[:12]}…), so they are not comparable seed by seed. Were they trained by "
                    "different versions? Train them again under another --name."
                )


def _judge_one(
    rung: Rung,
    rungs: Sequence[Rung],
    own: Sequence[SeedResult],
    results: Sequence[Sequence[SeedResult]],
    predictions: Mapping[str, Predictions],
) -> RungResult:
    at, removes = rung.baseline, rung.removes
    last = [one.last_accuracy for one in own if one.last_accuracy is not None]
    values = _values(own)
    return RungResult(
        rung=rung,
        compared_with=None if at is None else rungs[at].name,
        changes=() if at is None else changes(rungs[at].recipe, rung.recipe),
        seeds=tuple(own),
        accuracy=None if values is None else mean_over_seeds(values),
        last_accuracy=mean_over_seeds(last) if len(last) == len(own) else None,
        verdict=None if at is None else _verdict(results[at], own, predictions, removes=removes),
    )


def _verdict(
    below: Sequence[SeedResult], own: Sequence[SeedResult], predictions: Mapping[str, Predictions], *, removes: bool
) -> Verdict:
    before, after = _values(below), _values(own)
    if before is None or after is None:
        # Leaving failed runs out would flatter a rung that fails: then there is no mean, and no verdict on it.
        failed = [one.run for one in (*below, *own) if one.accuracy is None]
        return Verdict("undecided", None, None, None, f"the loss of {', '.join(failed)} became NaN or infinite")
    verdict = verdict_over_seeds(before, after, removes=removes)
    pair = (below[0].run, own[0].run)
    if len(own) == 1 and all(run in predictions for run in pair):
        over_images = compare(*(predictions[run] for run in pair))
        return replace(verdict, over_images=over_images)
    return verdict


def _values(row: Sequence[SeedResult]) -> list[float] | None:
    values = [one.accuracy.value for one in row if one.accuracy is not None]
    return values if len(values) == len(row) else None
