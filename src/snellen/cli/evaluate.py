"""`snellen evaluate RUN…`: grade on val, or once on the sealed test set, through the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from snellen.cli.options import AboutRuns
from snellen.errors import InvalidSetting, UsageError
from snellen.serialize import to_json
from snellen.show.text import print_json

if TYPE_CHECKING:
    from snellen.evaluate.robustness import RobustnessCard
    from snellen.evaluate.test_set import TestEvaluation
    from snellen.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class Args(AboutRuns):
    """What `snellen evaluate` takes."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One run; on test several seeds of one recipe are one look."""
    split: Literal["val", "test"] = "val"
    """test is opened through the ledger, which writes before it opens."""
    on: Path | None = None
    """Grade any labelled folder, table or shards as a new set, neither val nor test; classes are matched by name."""
    tta: Literal["none", "flip", "shift", "ten_crop"] | None = None
    """Grade val with other test-time views than the recipe's."""
    per_class: bool = False
    """Also print recall and precision of every class."""
    label_issues: int = 0
    """Also list this many val images whose label is doubted, most suspicious first."""
    robustness: bool = False
    """Also grade val mirrored, shifted, brightened, blurred, … (23 times), and write robustness.json."""
    reason: str = "final number"
    """Why the test set is opened; goes into the ledger."""


def run(args: Args) -> int:
    """Grade; returns the exit code."""
    from snellen.runs.run import open_run

    if not args.runs:
        raise UsageError("Which run? snellen evaluate runs/NAME")
    runs = [open_run(path) for path in args.runs]
    if args.label_issues < 0:
        raise InvalidSetting(f"--label-issues {args.label_issues} is not possible: 0 or more images.")
    if args.on is not None and (args.split == "test" or args.robustness):
        raise UsageError(
            "--on grades a new set; --split test and --robustness are of the run's own data. Leave them out."
        )
    if args.split == "test":
        return _test(args, runs)
    if args.ledger is not None or args.reason != Args.reason:
        raise UsageError("--ledger and --reason have no effect on val, which may be looked at freely. Leave them out.")
    if len(runs) > 1:
        several = " ".join(one.typed for one in runs)
        raise UsageError(f"On val one run is graded at a time. Several are compared: snellen compare {several}")
    found = _graded(args, runs[0])
    if args.json:
        print_json(found)
    return 0


def _graded(args: Args, run: Run) -> dict[str, Any]:
    """Grade on val, or on a new set."""
    from snellen.evaluate.new_set import evaluate_on_new
    from snellen.evaluate.val import evaluate_on_val
    from snellen.metrics.confidence import confidence
    from snellen.metrics.scorecard import scorecard
    from snellen.predict.predictions import stored_predictions
    from snellen.show.progress import Progress
    from snellen.show.terminal import class_table, robustness_table, show_grades, show_label_issues, show_paragraph
    from snellen.show.text import new_console

    new = None
    if args.on is not None:
        decoding = Progress(quiet=args.json).decoding
        new = evaluate_on_new(run, args.on, data=args.data, device=args.device, tta=args.tta, decoding=decoding)
        predictions, val = new.predictions, stored_predictions(run, "val")
    else:
        predictions = val = evaluate_on_val(run, data=args.data, device=args.device, tta=args.tta)
    card, sure = scorecard(predictions), confidence(predictions, val=val)
    found = {"run": str(run.folder), "split": predictions.split, **to_json(card), "confidence": to_json(sure)}
    console = new_console(quiet=args.json)
    show_grades(console, sure, run)
    if args.per_class:
        console.print()
        console.print(class_table(card))
    if args.label_issues:
        console.print()
        show_label_issues(console, sure.label_issues.issues[: args.label_issues])
    if args.robustness:
        robust = _robustness(args, run)
        console.print()
        console.print(robustness_table(robust))
        found["robustness"] = to_json(robust)
    if new is not None:
        found["new_set"] = to_json(new)
        console.print()
        for sentence in new.sentences():
            show_paragraph(console, sentence)
    return found


def _robustness(args: Args, run: Run) -> RobustnessCard:
    from snellen.evaluate.robustness import GRADINGS, measure_robustness
    from snellen.show.progress import Progress

    progress = Progress(quiet=args.json, brief=True)
    images = 0 if run.info["final"] else run.info["data"]["val"]["count"]
    progress.begin(steps=GRADINGS, done=0, images_per_step=images)
    try:
        return measure_robustness(run, data=args.data, device=args.device, graded=progress.advance)
    finally:
        progress.end()


def _test(args: Args, runs: list[Run]) -> int:
    from snellen.evaluate.test_set import evaluate_on_test, ledger_of
    from snellen.show.grade_pictures import complete_pictures
    from snellen.show.terminal import show_test_evaluation
    from snellen.show.text import new_console

    if args.tta is not None:
        raise UsageError("--tta cannot be chosen on test: the recipe declares the views. Try them on val.")
    if args.robustness or args.label_issues:
        raise UsageError("--robustness and --label-issues are for val; test is for the last number. Leave them out.")
    ledger = ledger_of(runs[0], args.ledger)
    evaluation = evaluate_on_test(runs, ledger, reason=args.reason, data=args.data, device=args.device)
    complete_pictures(runs, evaluation)
    if args.json:
        print_json(_test_json(evaluation, runs, args.data))
    else:
        show_test_evaluation(new_console(), evaluation, runs, per_class=args.per_class, data=args.data)
    return 0


def _test_json(evaluation: TestEvaluation, runs: list[Run], data: Path | None) -> dict[str, Any]:
    """The grades with each run's confidence and, where the list is at hand, its accuracy without near-duplicates."""
    from snellen.guards.cifar10_near_duplicates import without_listed_duplicates
    from snellen.metrics.confidence import confidence
    from snellen.predict.predictions import stored_predictions

    found = evaluation.to_json()
    without = without_listed_duplicates(str(runs[0].info["data"]["name"]), evaluation.predictions, data)
    for at, (run, predictions) in enumerate(zip(runs, evaluation.predictions, strict=True)):
        found["runs"][at]["confidence"] = to_json(confidence(predictions, val=stored_predictions(run, "val")))
        found["runs"][at]["near_duplicates"] = to_json(without[at]) if without else None
    return found
