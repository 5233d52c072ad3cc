"""`snellen evaluate RUN…`: grade on val, or once on the sealed test set, through the ledger."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from snellen.errors import UsageError

if TYPE_CHECKING:
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
    from snellen.train.judge import judge_on_val

    found, sentences = compare_runs(runs, [judge_on_val(one, data=args.data, device=args.device) for one in runs])
    if not args.json:
        console = Console(highlight=False)
        console.print()
        for sentence in sentences:
            console.print(Text(sentence), soft_wrap=True)
    return found


def _val(args: Args, run: Run) -> dict[str, Any]:
    from rich.console import Console

    from snellen.cli.show import show_grades
    from snellen.evaluate.scorecard import class_table, scorecard
    from snellen.train.judge import judge_on_val

    predictions = judge_on_val(run, data=args.data, device=args.device, tta=args.tta)
    card = scorecard(predictions)
    if not args.json:
        console = Console(highlight=False)
        show_grades(console, predictions)
        if args.per_class:
            console.print()
            console.print(class_table(card))
    return {"run": str(run.folder), "split": "val", **card.to_json()}


def _test(args: Args, runs: list[Run]) -> int:
    from rich.console import Console
    from rich.text import Text

    from snellen.cli.show import show_grades
    from snellen.evaluate.scorecard import class_table, scorecard
    from snellen.train.judge import judge_on_test, ledger_of

    if args.tta is not None:
        raise UsageError("--tta cannot be chosen on test: the recipe declares the views. Try them on val.")
    look = judge_on_test(
        runs, ledger_of(runs[0], args.ledger), reason=args.reason, data=args.data, device=args.device
    )  # fmt: skip
    if args.json:
        print(json.dumps(look.to_json(), ensure_ascii=False))
        return 0
    console = Console(highlight=False)
    for predictions in look.predictions:
        if len(runs) == 1:
            show_grades(console, predictions, label="test")
        if args.per_class:
            console.print(class_table(scorecard(predictions)))
    for sentence in look.sentences():
        console.print(Text(sentence), soft_wrap=True)
    return 0
