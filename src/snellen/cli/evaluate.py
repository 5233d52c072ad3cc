"""`snellen evaluate RUN…`: grade on val, or once on the sealed test set, through the ledger."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from snellen.errors import InvalidSetting, UsageError
from snellen.serialize import to_json

if TYPE_CHECKING:
    from snellen.evaluate.robustness import RobustnessCard
    from snellen.runs.run import Run


@dataclass(frozen=True)
class Args:
    """What `snellen evaluate` takes."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """One finished run, or several: on val they are compared, on test several seeds of one recipe are one look."""
    split: Literal["val", "test"] = "val"
    """test is opened through the ledger, which writes before it opens."""
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
    ledger: Path | None = None
    """The ledger's file; else $SNELLEN_LEDGER, else ledger.jsonl beside the runs."""
    data: Path | None = None
    """Where the data are, if not where they were."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print as JSON."""


def run(args: Args) -> int:
    """Grade; returns the exit code."""
    from snellen.runs.run import open_run

    if not args.runs:
        raise UsageError("Which run? snellen evaluate runs/NAME")
    runs = [open_run(path) for path in args.runs]
    if args.label_issues < 0:
        raise InvalidSetting(f"--label-issues {args.label_issues} is not possible: 0 or more images.")
    if args.split == "test":
        return _test(args, runs)
    if args.ledger is not None or args.reason != Args.reason:
        raise UsageError("--ledger and --reason have no effect on val, which may be looked at freely. Leave them out.")
    entries = [_val(args, one) for one in runs]
    found = entries[0] if len(runs) == 1 else {"runs": entries, "comparison": _compare(args, runs)}
    if args.json:
        print(json.dumps(found, ensure_ascii=False))
    return 0


def _compare(args: Args, runs: list[Run]) -> dict[str, Any]:
    from rich.console import Console
    from rich.text import Text

    from snellen.evaluate.compare_runs import compare_runs
    from snellen.evaluate.val import evaluate_on_val

    found, sentences = compare_runs(runs, [evaluate_on_val(one, data=args.data, device=args.device) for one in runs])
    if not args.json:
        console = Console(highlight=False)
        console.print()
        for sentence in sentences:
            console.print(Text(sentence), soft_wrap=True)
    return found


def _val(args: Args, run: Run) -> dict[str, Any]:
    from rich.console import Console

    from snellen.evaluate.robustness import robustness_table
    from snellen.evaluate.val import evaluate_on_val
    from snellen.metrics.confidence import confidence, write_confidence
    from snellen.metrics.scorecard import class_table, scorecard
    from snellen.show.terminal import show_grades, show_label_issues

    predictions = evaluate_on_val(run, data=args.data, device=args.device, tta=args.tta)
    card, sure = scorecard(predictions), confidence(predictions, val=predictions)
    write_confidence(sure, run.folder)
    found = {"run": str(run.folder), "split": "val", **to_json(card), "confidence": to_json(sure)}
    console = Console(highlight=False, quiet=args.json)
    show_grades(console, sure)
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
    return found


def _robustness(args: Args, run: Run) -> RobustnessCard:
    from snellen.evaluate.robustness import GRADINGS, measure_robustness
    from snellen.show.progress import Progress

    progress = Progress(quiet=args.json, brief=True)
    progress.begin(
        steps=GRADINGS, done=0, images_per_step=run.info["data"]["val"]["count"] if not run.info["final"] else 0
    )
    try:
        return measure_robustness(run, data=args.data, device=args.device, graded=progress.advance)
    finally:
        progress.end()


def _test(args: Args, runs: list[Run]) -> int:
    from rich.console import Console

    from snellen.evaluate.test_set import evaluate_on_test, ledger_of
    from snellen.show.test_grades import look_json, show_look

    if args.tta is not None:
        raise UsageError("--tta cannot be chosen on test: the recipe declares the views. Try them on val.")
    if args.robustness or args.label_issues:
        raise UsageError("--robustness and --label-issues are for val; test is for the last number. Leave them out.")
    look = evaluate_on_test(
        runs, ledger_of(runs[0], args.ledger), reason=args.reason, data=args.data, device=args.device
    )  # fmt: skip
    if args.json:
        print(json.dumps(look_json(look, runs, data=args.data), ensure_ascii=False))
    else:
        show_look(Console(highlight=False), look, runs, per_class=args.per_class, data=args.data)
    return 0
