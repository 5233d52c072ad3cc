"""What came of a ladder: its run folders read back and judged, and what test showed if it was opened.

Everything here is read from disk, so a table can be made again at any time and always says the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from snellen.errors import RunError, UsageError
from snellen.evaluate.test_set import evaluate_on_test, ledger_of
from snellen.ladder.one_run import checked_run
from snellen.ladder.rungs import Plan, require_one_test_view, top_of
from snellen.ladder.verdict import RungResult, SeedResult, judge
from snellen.metrics.calibration import confidences, expected_calibration_error, fit_temperature, null_ece
from snellen.metrics.classification import hard_cross_entropy
from snellen.metrics.confusion import ConfusedPair, confusion_matrix, worst_pairs
from snellen.metrics.intervals import Rate, SeedDifference, SeedSummary, mean_over_seeds, paired_difference_over_seeds
from snellen.metrics.learning_curves import Curve, curve_of
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.show.grade_pictures import complete_pictures


@dataclass(frozen=True)
class RungCalibration:
    """Calibration of one rung on val, over seeds.

    Attributes:
        ece: expected calibration error as trained, fractions.
        null: what perfect calibration would show with these confidences, a fraction, mean over seeds.
        temperature: that makes val most likely; above 1 where the model is too sure, below where it is not sure enough.
        ece_after: with that temperature, on the same val images.
        nll: mean -log p(label) as trained, nats.
    """

    ece: SeedSummary
    null: float
    temperature: SeedSummary
    ece_after: SeedSummary
    nll: SeedSummary


@dataclass(frozen=True)
class TestResults:
    """What the one look at the test set showed, per rung.

    Attributes:
        look: 1 for the first look at this test set, more when other weights were looked at before.
        repeated: these weights had been graded before; nothing was opened.
        ledger: the ledger's file.
        accuracy: per rung over seeds, plain, one view per image.
        with_tta: likewise with test-time augmentation, or None where the recipes have none.
        differences: per rung to its baseline, plain, paired by seed; None where there is no baseline.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    look: int
    repeated: bool
    ledger: Path
    images: int
    accuracy: tuple[SeedSummary, ...]
    with_tta: tuple[SeedSummary, ...] | None
    tta: str
    differences: tuple[SeedDifference | None, ...]


@dataclass(frozen=True)
class LadderResults:
    """A ladder whose runs are all trained.

    Attributes:
        top: name of the rung the ladder leads to.
        pairs: classes its runs mix up, most errors first, all its seeds together.
        graded: val images times seeds behind `pairs`.
        curves: one per rung, for the picture and for curves.json.
        calibration: of each rung on val, plain; None where all its runs diverged.
        test: what test showed, or None while the test set is closed.
    """

    plan: Plan
    rungs: tuple[RungResult, ...]
    top: str
    pairs: tuple[ConfusedPair, ...]
    graded: int
    curves: tuple[Curve, ...]
    calibration: tuple[RungCalibration | None, ...] = ()
    test: TestResults | None = None


def results_json(results: LadderResults) -> dict[str, Any]:
    """The whole table with what stands behind it; what results.json holds."""
    of_plan = ("title", "folder", "data", "settings", "device", "precision", "seeds", "seed_counts")
    return {
        **{name: to_json(getattr(results.plan, name)) for name in of_plan},
        "rungs": to_json(results.rungs),
        "top": {"rung": results.top, "graded": results.graded, "worst_pairs": to_json(results.pairs[:10])},
        "calibration": to_json(results.calibration),
        "test": to_json(results.test),
    }


def read_results(plan: Plan) -> LadderResults:
    """Read the ladder's runs back and judge them.

    Raises:
        RunError: a run is missing or unfinished, or the rungs did not begin with the same weights.
    """
    runs = _runs(plan)
    seeds = [[_seed_result(run) for run in row] for row in runs]
    predictions = {run.name: _val_predictions(run) for row in runs for run in row if _finished(run)}
    at = top_of(plan.rungs)
    tops = [predictions[run.name] for run in runs[at] if run.name in predictions]
    pairs, graded = pooled_pairs(tops)
    return LadderResults(
        plan=plan,
        rungs=judge(plan.rungs, seeds, predictions),
        top=plan.rungs[at].name,
        pairs=pairs,
        graded=graded,
        curves=tuple(curve_of(rung.name, row) for rung, row in zip(plan.rungs, runs, strict=True)),
        calibration=tuple(
            calibration_of([predictions[run.name] for run in row if run.name in predictions]) for row in runs
        ),
    )


def open_test(plan: Plan, *, ledger: Path | None = None, data: Path | None = None, device: str = "auto") -> TestResults:
    """Grade all runs of all rungs on the sealed test set, in one look that is declared beforehand.

    Raises:
        UsageError: the rungs are graded with different views, a run diverged, or the data has no test set.
        SealError: the ledger cannot be written; nothing was opened.
    """
    require_one_test_view(plan.rungs)
    rows = _runs(plan)
    runs = [run for row in rows for run in row]
    diverged = [run.name for run in runs if not _finished(run)]
    if diverged:
        raise UsageError(f"{', '.join(diverged)} diverged and has no grade; leave its rung out before opening test.")
    reason = f"ladder {plan.title}: {len(plan.rungs)} rungs x {len(plan.seeds)} seeds, all reported"
    look = evaluate_on_test(runs, ledger_of(runs[0], ledger), reason=reason, data=data, device=device, comparison=True)
    complete_pictures(runs, look)
    by_run = dict(zip(look.runs, look.predictions, strict=True))
    plain = [[_share(by_run[run.name]) for run in row] for row in rows]
    first, over_seeds = look.predictions[0], partial(mean_over_seeds, level=look.level)
    averaged = [[_share(by_run[run.name].with_tta()) for run in row] for row in rows]
    return TestResults(
        look=look.number,
        repeated=look.repeated,
        ledger=look.ledger,
        images=len(first),
        accuracy=tuple(map(over_seeds, plain)),
        with_tta=None if first.tta_logits is None else tuple(map(over_seeds, averaged)),
        tta=first.tta,
        differences=tuple(
            None if rung.baseline is None else paired_difference_over_seeds(plain[rung.baseline], row, level=look.level)
            for rung, row in zip(plan.rungs, plain, strict=True)
        ),
    )


def calibration_of(predictions: Sequence[Predictions]) -> RungCalibration | None:
    """Calibration over the runs of a rung; None where no run has answers.

    Raises:
        UsageError: predictions that are not of val.
    """
    if not predictions:
        return None
    fits = [fit_temperature(one) for one in predictions]
    return RungCalibration(
        ece=mean_over_seeds([expected_calibration_error(one) for one in predictions]),
        null=fmean(null_ece(confidences(one), draws=200).mean for one in predictions),
        temperature=mean_over_seeds([fit.temperature for fit in fits]),
        ece_after=mean_over_seeds([fit.ece_after for fit in fits]),
        nll=mean_over_seeds([hard_cross_entropy(one) for one in predictions]),
    )


def pooled_pairs(predictions: Sequence[Predictions]) -> tuple[tuple[ConfusedPair, ...], int]:
    """The pairs of classes that several runs mix up, their errors added, and the number of answers behind them."""
    if not predictions:
        return (), 0
    matrix = np.sum([confusion_matrix(one) for one in predictions], axis=0)
    return worst_pairs(matrix, predictions[0].class_names), sum(len(one) for one in predictions)


def _runs(plan: Plan) -> list[list[Run]]:
    rows = [[checked_run(plan, rung, seed) for seed in plan.seeds] for rung in plan.rungs]
    for run in (run for row in rows for run in row):
        if run.info["status"] not in ("finished", "diverged"):
            raise RunError(f"{run.folder} is not finished. The command the ladder was begun with goes on with it.")
    return rows


def _finished(run: Run) -> bool:
    return bool(run.info["status"] == "finished")


def _val_predictions(run: Run) -> Predictions:
    found = stored_predictions(run, "val")
    if found is None:
        raise RunError(f"{run.folder} has no predictions on val. Move it away to have it trained again.")
    return found


def _seed_result(run: Run) -> SeedResult:
    info = run.info
    graded = info["val"]["accuracy"] if _finished(run) else None
    looks = run.val_looks
    return SeedResult(
        run=run.name,
        seed=info["seed"],
        accuracy=None if graded is None else Rate(graded["hits"], graded["n"], max(1, len(looks))),
        last_accuracy=looks[-1] if looks and graded is not None else None,
        best_epoch=info.get("best_epoch", 0),
        initial_weights=info.get("initial_weights_sha256", "not recorded"),
        seconds=info.get("seconds", 0.0),
    )


def _share(predictions: Predictions) -> float:
    return float(predictions.correct.mean())
