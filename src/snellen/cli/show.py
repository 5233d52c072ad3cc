"""How results look in a terminal: accuracy with n and interval, the confusion matrix, the worst pairs, what next."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from snellen.evaluate.confusion import confusion_matrix, confusion_terminal, worst_pairs
from snellen.evaluate.predictions import Predictions
from snellen.evaluate.scorecard import Scorecard, scorecard
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
        console.print("Final training: no val split was kept, so there is nothing to grade yet.")
        console.print(f"run    {folder}\nnext   snellen evaluate {folder} --split test", soft_wrap=True)
        return
    show_grades(console, Predictions.load(folder / "predictions_val.npz"))
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


def show_next(console: Console, run: Run) -> None:
    """Print where the files are and which commands come next."""
    steps = [
        ("run", str(run.folder)),
        ("pictures", "confusion.png, curves.png"),
        ("next", f"snellen evaluate {run.folder} --per-class"),
        ("", f"snellen predict {run.folder} YOUR_PICTURE.jpg"),
        ("", f"snellen evaluate {run.folder} --split test     (once, through the ledger)"),
    ]
    console.print()
    for label, text in steps:
        console.print(Text(f"{label:<9}{text}"), soft_wrap=True)
