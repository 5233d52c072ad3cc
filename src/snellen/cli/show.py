"""How results look in a terminal: accuracy with n and interval, the confusion matrix, the worst pairs, what next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from snellen.evaluate.confusion import confusion_matrix, confusion_terminal, worst_pairs
from snellen.evaluate.predictions import Predictions
from snellen.evaluate.scorecard import Scorecard, scorecard
from snellen.guards.guard import Verdict, read_verdicts, summary
from snellen.runs.run import Run, open_run


def show_run(folder: Path, *, as_json: bool) -> None:
    """Print how a run went: its val grades and where its files are."""
    run = open_run(folder)
    if as_json:
        print(json.dumps({"run": str(folder), **run.info}, ensure_ascii=False))
        return
    console = Console(highlight=False)
    console.print()
    if run.info["final"]:
        show_guards(console, run)
        console.print("Final training: no val split was kept, so there is nothing to grade yet.")
        console.print(f"run    {folder}\nnext   snellen evaluate {folder} --split test", soft_wrap=True)
        return
    show_grades(console, Predictions.load(folder / "predictions_val.npz"))
    show_guards(console, run)
    show_next(console, run)


def show_grades(console: Console, predictions: Predictions, *, label: str | None = None) -> None:
    """Print one split's grades: accuracy, matrix, per-class table, worst pairs."""
    card = scorecard(predictions)
    matrix = confusion_matrix(predictions)
    console.print(confusion_terminal(matrix, predictions.class_names, console.width))
    console.print()
    show_accuracy(console, card, label or predictions.split)
    for number, pair in enumerate(worst_pairs(matrix, predictions.class_names, limit=2)):
        console.print(Text(f"{'mixed up' if number == 0 else '':<9}{pair}"))


def show_accuracy(console: Console, card: Scorecard, label: str) -> None:
    """Print plain accuracy and, beside it, the one with test-time augmentation."""
    console.print(
        Text.assemble((f"{label:<9}", "bold"), (str(card.plain.accuracy), "bold"), "  plain, one view per image")
    )
    if card.with_tta is not None:
        console.print(Text(f"{'':<9}{card.with_tta.accuracy}  with test-time augmentation: {card.tta}"))


def show_guards(console: Console, run: Run) -> None:
    """Print how many guards passed, and those that did not in full; nothing where none was asked."""
    if (run.folder / "guards.json").exists():
        show_verdicts(console, read_verdicts(run), passed=False)


def show_verdicts(console: Console, verdicts: Sequence[Verdict], *, passed: bool) -> None:
    """Print one line of counts, then each failure with evidence and remedy; `passed` prints the others as well."""
    console.print(Text.assemble((f"{'guards':<9}", "bold"), summary(verdicts)), soft_wrap=True)
    for verdict in verdicts:
        if verdict.passed is False:
            style = {"error": "bold red", "warning": "yellow"}.get(verdict.severity, "")
            found = f"  {verdict.severity}: {verdict.evidence}"
            console.print(Text.assemble((f"  ✗ {verdict.name}", style), found), soft_wrap=True)
            console.print(Text(f"    → {verdict.remedy}"), soft_wrap=True)
        elif passed:
            mark = "✓" if verdict.passed else "?"
            console.print(Text.assemble(f"  {mark} {verdict.name}", (f"  {verdict.evidence}", "dim")), soft_wrap=True)


def show_next(console: Console, run: Run) -> None:
    """Print where the files are and which commands come next."""
    steps = [
        ("run", str(run.folder)),
        ("pictures", "confusion.png, curves.png"),
        ("next", f"snellen report {run.folder}     (one page: every picture, every mistake)"),
        ("", f"snellen evaluate {run.folder} --per-class"),
        ("", f"snellen predict {run.folder} YOUR_PICTURE.jpg"),
        ("", f"snellen evaluate {run.folder} --split test     (once, through the ledger)"),
    ]
    console.print()
    for label, text in steps:
        console.print(Text(f"{label:<9}{text}"), soft_wrap=True)
