"""How results look in a terminal: accuracy with n and interval, the confusion matrix, the worst pairs, what next."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from snellen.evaluate.compare_runs import Comparison
from snellen.evaluate.robustness import RobustnessCard
from snellen.evaluate.test_set import TestEvaluation
from snellen.guards.cifar10_near_duplicates import cifar10_test_duplicates, without_listed_duplicates
from snellen.guards.guard import GUARDS, GuardResult, read_guards, summary
from snellen.metrics.confidence import Confidence, confidence
from snellen.metrics.confusion import confusion_matrix, worst_pairs
from snellen.metrics.intervals import Rate, mean_over_seeds
from snellen.metrics.label_issues import LabelIssue
from snellen.metrics.scorecard import Scorecard, scorecard
from snellen.paths import visible
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.runs.run import Run, open_run
from snellen.show.text import new_console, print_json

# One lightness, rising colour: legible under white figures on dark and on light terminals alike.
_SHADES = ("#716a66", "#8c6650", "#a65a2e", "#b8480a")
_DIAGONAL = "#3f5a75"


def show_run(folder: Path, *, as_json: bool) -> None:
    """Print how a run went: its val grades and where its files are."""
    run = open_run(folder)
    if as_json:
        print_json({"run": str(folder), **run.info})
        return
    console = new_console()
    console.print()
    if run.info["final"]:
        show_guards(console, run)
        graded = run.info.get("cross_validation")
        if graded is None:
            console.print("Final training: no val split was kept, so there is nothing to grade yet.")
        else:
            words = f"cross-validation {graded['words']}; this model learned from all of them"
            console.print(Text(words), soft_wrap=True)
        ask = "predict {} YOUR_PICTURE.jpg" if run.info["data"]["test"] is None else "evaluate {} --split test"
        console.print(Text(f"run    {folder}\nnext   snellen {ask.format(run.typed)}"), soft_wrap=True)
        return
    val = Predictions.load(folder / "predictions_val.npz")
    show_grades(console, confidence(val, val=val), run)
    show_next(console, run)


def show_grades(console: Console, found: Confidence, run: Run) -> None:
    """Print val's grades: the matrix, accuracy, failed guards, the two worst pairs, how far it may be believed."""
    predictions = found.predictions
    show_matrix(console, predictions)
    show_accuracy(console, scorecard(predictions), predictions.split)
    if predictions.best_of > 1:
        last = Rate(round(run.val_looks[-1] * len(predictions)), len(predictions))
        console.print(Text(f"{'':<9}{last}  after the last epoch, chosen or not"))
    show_guards(console, run)
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
        show_line(console, "labels", f"{count:,} of {found.n:,} are doubted: a list to look at, none to delete")


def show_label_issues(console: Console, issues: Sequence[LabelIssue]) -> None:
    """Print images whose label is doubted, most suspicious first."""
    rows = [
        (
            visible(issue.name),
            f"{visible(issue.given)} {100 * issue.probability_given:.1f} %",
            f"{visible(issue.suggested)} {100 * issue.probability_suggested:.1f} %",
        )
        for issue in issues
    ]
    show_rows(console, ("image", "labelled", "looks like"), rows)


def _table(header: Sequence[str], *, right: Sequence[str] = ()) -> Table:
    """An empty table; the columns named in `right` are flush right."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in header:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    return table


def show_line(console: Console, label: str, sentence: str) -> None:
    """Print a labelled line, its further lines under the first."""
    whole = visible(sentence).replace(" %", "\u00a0%")  # a number stays with its unit
    lines = textwrap.wrap(whole, max(30, console.width - 9), break_on_hyphens=False)
    for number, line in enumerate(lines):
        console.print(Text(f"{label if number == 0 else '':<9}{line}".replace("\u00a0", " ")), soft_wrap=True)


def show_rows(
    console: Console, header: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Mapping[str, str] | None = None
) -> None:
    """Print a table; its first column may break into several lines. Cells named in `styles` are drawn so."""
    table = _table(header)
    first = table.columns[0]
    first.max_width, first.overflow, first.no_wrap = 32, "fold", False
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


def show_comparison(console: Console, found: Comparison) -> None:
    """Print the verdict, then one table of the runs, then what a reader must know about the numbers."""
    show_paragraph(console, found.verdict, style="bold")
    console.print()
    show_rows(console, *found.table())
    console.print()
    for sentence in found.notes:
        show_paragraph(console, sentence)


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
        elif passed or (result.passed is None and result.name not in GUARDS):  # somebody's own may be broken
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
    ]
    if run.info["data"]["test"] is not None:
        steps.append(("", f"snellen evaluate {run.typed} --split test     (once, through the ledger)"))
    console.print()
    for label, text in steps:
        console.print(Text(f"{label:<9}{text}"), soft_wrap=True)


def show_test_evaluation(
    console: Console, evaluation: TestEvaluation, runs: Sequence[Run], *, per_class: bool, data: Path | None
) -> None:
    """Print the grades on test: one run in full, several as their mean."""
    if len(runs) == 1:
        show_matrix(console, evaluation.predictions[0])
    if per_class:
        for predictions in evaluation.predictions:
            console.print(class_table(scorecard(predictions)))
        console.print()
    for line in evaluation.grades():
        console.print(Text(line), soft_wrap=True)
    if len(runs) == 1:
        show_mixed_up(console, evaluation.predictions[0])
        show_confidence(console, confidence(evaluation.predictions[0], val=stored_predictions(runs[0], "val")))
    for label, sentence in _near_duplicate_lines(evaluation, runs, data):
        show_line(console, label, sentence)
    console.print()
    for sentence in evaluation.sentences():
        console.print(Text(sentence), soft_wrap=True)


def _near_duplicate_lines(evaluation: TestEvaluation, runs: Sequence[Run], data: Path | None) -> list[tuple[str, str]]:
    name = str(runs[0].info["data"]["name"])
    graded = without_listed_duplicates(name, evaluation.predictions, data)
    if not graded:
        return [("copies", cifar10_test_duplicates(name, None, None).evidence)] if name == "cifar10" else []
    if len(graded) == 1:
        return [("copies", str(graded[0]))]
    without = mean_over_seeds([one.without.value for one in graded], level=evaluation.level)
    count = graded[0].listed.n if graded[0].listed else 0
    return [("copies", f"without the {count} images that have a near-duplicate in train {without}, plain")]


def class_table(card: Scorecard) -> RenderableType:
    """Recall with its interval, precision, F1 and support of every class for the terminal, worst recall first."""
    table = _table(("class", *(numbers := ("recall", "precision", "F1", "images"))), right=numbers)
    table.columns[0].max_width = 24
    for row in sorted(card.classes, key=lambda row: row.recall.value if row.recall else 2.0):
        precision = f"{100 * row.precision.value:.1f} %" if row.precision else "–"
        f1 = f"{row.f1:.3f}" if row.f1 is not None else "–"
        table.add_row(
            Text(visible(row.name)), row.recall.share() if row.recall else "–", precision, f1, str(row.support)
        )
    return table


def robustness_table(card: RobustnessCard) -> RenderableType:
    """Accuracy under every corruption and its change in points with a 95 % interval, for the terminal."""
    table = _table(("corruption", "severity", "accuracy", "points"), right=("accuracy", "points"))
    table.add_row("none", "", str(card.clean), "")
    before = ""
    for row in card.rows:
        change = f"{100 * row.change.value:+.1f} ({100 * row.change.low:+.1f} to {100 * row.change.high:+.1f})"
        table.add_row(row.corruption if row.corruption != before else "", row.severity, row.accuracy.share(), change)
        before = row.corruption
    return table


def abbreviate(names: Sequence[str], width: int) -> list[str]:
    """Names of at most `width` characters that are still all different.

    The beginning of each name where that suffices, else its beginning and end, else its number.
    """
    beginnings = [name[:width].rstrip() for name in names]
    both_ends = [name[: width - width // 2] + name[max(width - width // 2, len(name) - width // 2) :] for name in names]
    numbers = [str(index)[-width:] for index in range(len(names))]
    return next((short for short in (beginnings, both_ends) if len(set(short)) == len(names)), numbers)


def confusion_terminal(matrix: NDArray[np.int64], class_names: Sequence[str], width: int = 80) -> RenderableType:
    """The matrix for a terminal of `width` characters; where it does not fit, its worst pairs instead.

    Without colour nothing is lost: the counts are all there and zeros are dots.
    """
    class_names = [visible(name) for name in class_names]
    cell = max(4, len(str(int(matrix.max(initial=0)))) + 1)
    label = min(max(4, *(len(name) for name in class_names)), 12)  # 4: the heading, "true"
    spare = width - label - 1 - 7  # 7: the recall column
    if spare < cell * len(matrix):
        return _pairs_table(matrix, class_names, width)
    cell = min(spare // len(matrix), 8)
    table = Table(box=None, padding=0, pad_edge=False, show_edge=False, header_style="", title_justify="left")
    table.add_column(Text("true", style="dim"), width=label + 1, no_wrap=True)
    for name in abbreviate(class_names, cell - 1):
        # Right above the figures, which end in a space; a name that needs the room takes that space too.
        table.add_column(Text(f"{name} "[: cell - 1].rjust(cell)), width=cell, no_wrap=True)
    table.add_column(Text("recall", style="dim"), width=7, justify="right", no_wrap=True)
    strength = _strength(matrix)
    for row, name in enumerate(abbreviate(class_names, label)):
        cells = [
            _cell(int(matrix[row, column]), cell, None if row == column else strength[row, column])
            for column in range(len(matrix))
        ]
        support = int(matrix[row].sum())
        recall = f"{100 * matrix[row, row] / support:.1f}" if support else "–"
        table.add_row(Text(name), *cells, Text(recall, style="dim"))
    return table


def _cell(count: int, width: int, strength: float | None) -> Text:
    """One entry; `strength` in [0, 1] as from `_strength`, None on the diagonal."""
    # The gap between cells stays bare, so that neighbouring shades read as separate figures.
    gap, figure = " ", f"{count} "[: width - 1].rjust(width - 1)
    if strength is None:
        return Text.assemble(gap, (figure, f"#ffffff on {_DIAGONAL}"))
    if count == 0:
        return Text.assemble(gap, ("· ".rjust(width - 1), "dim"))
    level = int(len(_SHADES) * strength)
    return Text.assemble(gap, (figure, f"#ffffff on {_SHADES[level - 1]}" if level else ""))


def _strength(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, K) float64 in [0, 1]: share of the row lost to each wrong class, square-rooted, 1 for the worst cell.

    Shares instead of counts, so that a rare class is not painted as harmless. The root keeps small errors visible.
    """
    support = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, support, out=np.zeros(matrix.shape), where=support > 0)
    np.fill_diagonal(shares, 0)
    return np.asarray(np.sqrt(shares / max(shares.max(), 1e-9)))


def _pairs_table(matrix: NDArray[np.int64], class_names: Sequence[str], width: int) -> RenderableType:
    pairs = worst_pairs(matrix, class_names, limit=15)
    if not pairs:
        return Text(f"No errors among {int(matrix.sum())} images.")
    name_width = max(8, (width - 44) // 2)
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", title_justify="left")
    table.title = Text(f"The {len(pairs)} worst pairs of {len(class_names)} classes", style="bold")
    table.add_column("errors", justify="right")
    table.add_column("share", justify="right")
    table.add_column("these two", max_width=name_width, no_wrap=True, overflow="ellipsis")
    table.add_column("", max_width=name_width, no_wrap=True, overflow="ellipsis")
    table.add_column("→", justify="right")
    table.add_column("←", justify="right")
    for pair in pairs:
        share = f"{100 * pair.share_of_errors:.1f} %"
        forth, back = str(pair.first_as_second), str(pair.second_as_first)
        table.add_row(str(pair.count), share, Text(visible(pair.first)), Text(visible(pair.second)), forth, back)
    return table
