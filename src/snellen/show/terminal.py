"""How results look in a terminal: accuracy with n and interval, the confusion matrix, the worst pairs, what next."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from snellen.guards.guard import GuardResult, read_guards, summary
from snellen.metrics.confidence import Confidence, confidence
from snellen.metrics.confusion import confusion_matrix, confusion_terminal, worst_pairs
from snellen.metrics.label_issues import LabelIssue
from snellen.metrics.scorecard import Scorecard, scorecard
from snellen.predict.predictions import Predictions
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
        console.print(Text(f"run    {folder}\nnext   snellen evaluate {run.typed} --split test"), soft_wrap=True)
        return
    val = Predictions.load(folder / "predictions_val.npz")
    show_grades(console, confidence(val, val=val))
    show_guards(console, run)
    show_next(console, run)


def show_grades(console: Console, found: Confidence) -> None:
    """Print val's grades: the matrix, accuracy, the two worst pairs, and how far the model may be believed."""
    predictions = found.predictions
    show_matrix(console, predictions)
    show_accuracy(console, scorecard(predictions), predictions.split)
    show_mixed_up(console, predictions)
    show_confidence(console, found)


def show_matrix(console: Console, predictions: Predictions) -> None:
    """Print the confusion matrix."""
    console.print(confusion_terminal(confusion_matrix(predictions), predictions.class_names, console.width))
    console.print()


def show_mixed_up(console: Console, predictions: Predictions) -> None:
    """Print the two pairs of classes that are mixed up most."""
    pairs = worst_pairs(confusion_matrix(predictions), predictions.class_names, limit=2)
    for number, pair in enumerate(pairs):
        show_line(console, "mixed up" if number == 0 else "", str(pair))


def show_confidence(console: Console, found: Confidence) -> None:
    """Print how sure the model is and whether that comes true."""
    show_line(console, "sure", str(found.calibration))
    fit, before, after = found.temperature, found.calibration, found.calibration_with_temperature
    if fit is not None and after is not None:
        ece = f"ECE {100 * before.ece:.2f} → {100 * after.ece:.2f} %, NLL {before.nll:.4f} → {after.nll:.4f}"
        show_line(console, "", f"temperature {fit.temperature:.3f}, fitted on {fit.n} val images: {ece}")
    show_line(console, "groups", ", ".join(f"{group.share.hits:,} {group.name}" for group in found.groups))
    count = found.label_issues.count
    if count:
        about = f"{count:,} of {found.n:,} are doubted; of such doubts about half hold, so look before you act"
        show_line(console, "labels", about)


def show_label_issues(console: Console, issues: Sequence[LabelIssue]) -> None:
    """Print images whose label is doubted, most suspicious first."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column, justify in (("image", "right"), ("labelled", "left"), ("looks like", "left")):
        table.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for issue in issues:
        given = f"{issue.given} {100 * issue.probability_given:.1f} %"
        suggested = f"{issue.suggested} {100 * issue.probability_suggested:.1f} %"
        table.add_row(str(issue.id), Text(given), Text(suggested))
    console.print(table)


def show_line(console: Console, label: str, sentence: str) -> None:
    """Print a labelled line, its further lines under the first."""
    whole = sentence.replace(" %", "\u00a0%")  # a number stays with its unit
    lines = textwrap.wrap(whole, max(30, console.width - 9), break_on_hyphens=False)
    for number, line in enumerate(lines):
        console.print(Text(f"{label if number == 0 else '':<9}{line}".replace("\u00a0", " ")), soft_wrap=True)


def show_rows(
    console: Console,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table; its first column may break into several lines. Cells named in `styles` are drawn so."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for number, column in enumerate(header):
        table.add_column(column, max_width=None if number else 32, overflow="fold", no_wrap=number > 0)
    for row in rows:
        table.add_row(*(Text(cell, (styles or {}).get(cell, "")) for cell in row))
    console.print(table)


def show_paragraph(console: Console, sentence: str, *, style: str = "") -> None:
    """Print a sentence in the console's width, further lines indented."""
    lines = textwrap.fill(sentence, console.width, subsequent_indent="  ", break_on_hyphens=False)
    console.print(Text(lines, style), soft_wrap=True)


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
        show_guard_results(console, read_guards(run), passed=False)


def show_guard_results(console: Console, results: Sequence[GuardResult], *, passed: bool) -> None:
    """Print one line of counts, then each failure with evidence and remedy; `passed` prints the others as well."""
    console.print(Text.assemble((f"{'guards':<9}", "bold"), summary(results)), soft_wrap=True)
    for result in results:
        if result.passed is False:
            style = {"error": "bold red", "warning": "yellow"}.get(result.severity, "")
            found = f"  {result.severity}: {result.evidence}"
            console.print(Text.assemble((f"  ✗ {result.name}", style), found), soft_wrap=True)
            console.print(Text(f"    → {result.remedy}"), soft_wrap=True)
        elif passed:
            mark = "✓" if result.passed else "?"
            console.print(Text.assemble(f"  {mark} {result.name}", (f"  {result.evidence}", "dim")), soft_wrap=True)


def show_next(console: Console, run: Run) -> None:
    """Print where the files are and which commands come next."""
    steps = [
        ("run", str(run.folder)),
        ("pictures", "confusion.png, curves.png, reliability.png"),
        ("next", f"snellen report {run.typed}     (one page: every picture, every mistake)"),
        ("", f"snellen view {run.typed}     (the same page, and a place to try your own pictures)"),
        ("", f"snellen evaluate {run.typed} --per-class"),
        ("", f"snellen predict {run.typed} YOUR_PICTURE.jpg"),
        ("", f"snellen evaluate {run.typed} --split test     (once, through the ledger)"),
    ]
    console.print()
    for label, text in steps:
        console.print(Text(f"{label:<9}{text}"), soft_wrap=True)
