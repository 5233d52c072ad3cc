"""A ladder's table: for the terminal, as Markdown, and as files in the ladder's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console

from snellen.ladder.results import LadderResults, TestResults, results_json
from snellen.ladder.rungs import one_model
from snellen.ladder.verdict import RungResult, Verdict
from snellen.metrics.compare import PairedDifference
from snellen.metrics.intervals import Rate, SeedDifference, SeedSummary, level_among, mean_over_seeds
from snellen.metrics.learning_curves import curves_json
from snellen.runs.atomic import write_json, write_text
from snellen.show.curves import curves_png
from snellen.show.progress import clock
from snellen.show.terminal import show_paragraph, show_rows
from snellen.show.text import markdown_list, markdown_table

_STYLES = {"kept": "bold green", "dropped": "bold red", "undecided": "yellow"}


def write_results(results: LadderResults) -> None:
    """Write results.json, ladder.md, curves.json and curves.png into the ladder's folder.

    Raises:
        StorageError: a file could not be written.
    """
    folder = results.plan.folder
    write_json(folder / "results.json", results_json(results))
    write_text(folder / "ladder.md", markdown(results))
    write_json(folder / "curves.json", curves_json(results.curves))
    curves_png(folder / "curves.png", results.curves, headline=_headline(results))


def print_table(console: Console, results: LadderResults) -> None:
    """Print the table, what each rung changes, and what a reader must know about the numbers; 80 columns suffice."""
    show_paragraph(console, _headline(results), style="bold")
    header = ["rung", f"val %{_spread_words(results)}", _difference_words(results), "verdict"]
    rows = [
        [rung.name, mean_and_sd(rung.accuracy), difference_text(rung.verdict), _word(rung)] for rung in results.rungs
    ]
    alone = len(results.rungs) == 1  # then nothing is compared
    show_rows(console, header[:2] if alone else header, [row[:2] if alone else row for row in rows], styles=_STYLES)
    console.print()
    for sentence in (*_changes(results), *_reasons(results), *_notes(results), *_pairs(results)):
        show_paragraph(console, sentence)
    if results.test is not None:
        console.print()
        show_paragraph(console, f"Test, {results.test.images:,} images", style="bold")
        show_rows(console, *_test_table(results, results.test))
        console.print()
        for sentence in _test_notes(results.test):
            show_paragraph(console, sentence)


def markdown(results: LadderResults) -> str:
    """The table and all that belongs to it as a Markdown page."""
    val = f"val, %{_spread_words(results)}"
    header = ["rung", "changes", val, "last epoch, %", _difference_words(results), "verdict"]
    rows = [
        [
            rung.name,
            "; ".join(map(str, rung.changes)) or "–",
            mean_and_sd(rung.accuracy),
            mean_and_sd(rung.last_accuracy),
            difference_text(rung.verdict) or "–",
            _word(rung) or "–",
        ]
        for rung in results.rungs
    ]
    parts = [f"# {_headline(results)}", markdown_table(header, rows)]
    parts.append(markdown_list((*_reasons(results), *_notes(results), *_pairs(results))))
    parts += ["![Accuracy, loss and gap over epochs](curves.png)", "## Every run", _runs_table(results.rungs)]
    if any(results.calibration):
        parts += ["## Calibration", _calibration_markdown(results)]
    if results.test is not None:
        parts += [
            "## Test",
            markdown_table(*_test_table(results, results.test)),
            markdown_list(_test_notes(results.test)),
        ]
    return "\n\n".join(parts) + "\n"


def mean_and_sd(summary: SeedSummary | None) -> str:
    """Mean over seeds in percent and the standard deviation, which one seed does not have."""
    if summary is None:
        return "diverged"
    return f"{100 * summary.mean:.2f}" + ("" if summary.sd is None else f" ± {100 * summary.sd:.2f}")


def difference_text(verdict: Verdict | None) -> str:
    """The difference in points with its 95 % interval: over seeds, or over images where there is one seed."""
    if verdict is None or verdict.difference is None:
        return ""
    return _points(verdict.difference.mean, verdict.over_images or verdict.difference)


def _points(mean: float, over: SeedDifference | PairedDifference) -> str:
    if over.low is None or over.high is None:
        return f"{100 * mean:+.2f}"
    return f"{100 * mean:+.2f} ({100 * over.low:+.2f} to {100 * over.high:+.2f})"


def _word(rung: RungResult) -> str:
    return rung.verdict.word if rung.verdict else ""


def _headline(results: LadderResults) -> str:
    plan = results.plan
    seeds = len(plan.seeds)
    changed = "changed on every rung" if len(results.rungs) > 1 else "changed"
    settings = f", {changed}: {' '.join(plan.settings)}" if plan.settings else ""
    return f"{plan.title} on {plan.data}, {seeds} seed{'s' * (seeds > 1)}{settings}"


def _spread_words(results: LadderResults) -> str:
    return " ± sd" if len(results.plan.seeds) > 1 else ""


def _difference_words(results: LadderResults) -> str:
    return "points, 95 % over seeds" if len(results.plan.seeds) > 1 else "points, 95 % over images"


def _changes(results: LadderResults) -> Iterator[str]:
    for at, rung in enumerate(results.rungs):
        if rung.changes:
            above = results.rungs[at - 1].name
            against = "" if rung.compared_with == above else f" (against {rung.compared_with!r})"
            yield f"{rung.name}{against}: {'; '.join(map(str, rung.changes))}"


def _reasons(results: LadderResults) -> Iterator[str]:
    if len(results.rungs) == 1 and (summary := results.rungs[0].accuracy):
        each = ", ".join(f"{100 * one.accuracy.value:.2f}" for one in results.rungs[0].seeds if one.accuracy)
        what = "the mean over seeds" if summary.half_width is None else "the mean and its 95 % interval over seeds"
        yield f"{results.top}: {summary}: {what}. Seed by seed {each} %."
    if len(results.plan.seeds) == 1:
        yield (
            "One seed: the intervals are over images of one pair of runs. Another seed may differ by more, so nothing "
            "is decided. Three seeds are the least that can: --seeds 3."
        )
        return
    for rung in results.rungs:
        if rung.verdict and rung.verdict.word == "undecided":
            yield f"{rung.name} is undecided: {rung.verdict.reason}."


def _notes(results: LadderResults) -> Iterator[str]:
    plan, rungs = results.plan, results.rungs
    if any(rung.removes for rung in rungs):
        yield "These rungs leave something out: kept means that what is left out earns its place."
    if len(set(plan.seed_counts)) > 1:
        counts = ", then ".join(map(str, plan.seed_counts))
        yield f"Tables were made with {counts} seeds: seeds added after a look make a verdict come more easily."
    graded = next((one.accuracy.n for rung in rungs for one in rung.seeds if one.accuracy), None)
    last = ", ".join(mean_and_sd(rung.last_accuracy).split(" ±")[0] for rung in rungs)
    if graded is not None:
        yield (
            f"Accuracy on {graded:,} val images with the weights of the best epoch on val, which flatters a restless "
            f"run a little; after the last epoch: {last} %."
        )
    if len(rungs) == 1:
        return
    yield from _chosen(rungs)
    if one_model([rung.rung for rung in rungs]):
        starts = ", ".join(f"seed {one.seed} {one.initial_weights[:12]}" for one in rungs[0].seeds)
        yield f"All rungs begin with the same weights and see the images in the same order: {starts}."
    else:
        yield "The rungs train different models: a seed pairs their order of images, not their first weights."


def _chosen(rungs: Sequence[RungResult]) -> Iterator[str]:
    """Of rungs side by side, as a grid's are: what the best is worth when all that it was chosen among counts."""
    rates = {rung.name: [one.accuracy for one in rung.seeds if one.accuracy] for rung in rungs if rung.accuracy}
    if not rates or any(rung.rung.baseline != 0 or rung.removes for rung in rungs[1:]):
        return
    best, own = max(rates.items(), key=lambda each: sum(rate.hits for rate in each[1]))
    found: Rate | SeedSummary = replace(own[0], best_of=sum(each[0].best_of for each in rates.values()))
    if len(own) > 1:
        found = mean_over_seeds([rate.value for rate in own], level=level_among(len(rates)))
    yield f"{best} is the best of {len(rates)} on val, which flatters it; with the choice counted in: {found}."


def _pairs(results: LadderResults) -> Iterator[str]:
    if results.graded:
        worst = "; ".join(map(str, results.pairs[:2])) or "none"
        yield f"The two worst pairs of {results.top!r} in {results.graded:,} answers: {worst}."


def _test_table(results: LadderResults, test: TestResults) -> tuple[list[str], list[list[str]]]:
    """Header and rows."""
    header = ["rung", f"test %{_spread_words(results)}", "difference"]
    names = [rung.name for rung in results.rungs]
    differences = ["" if found is None else _points(found.mean, found) for found in test.differences]
    columns = [names, list(map(mean_and_sd, test.accuracy)), differences]
    if test.with_tta is not None:
        header.append(f"with {test.tta} %")
        columns.append(list(map(mean_and_sd, test.with_tta)))
    return header, [list(row) for row in zip(*columns, strict=True)]


def _test_notes(test: TestResults) -> Iterator[str]:
    if test.repeated:
        yield "These weights were graded before: the stored answers, not a new look."
    if test.look == 1:
        yield f"First look at this test set, as far as {test.ledger.name} knows; all rungs were declared before it."
    else:
        yield (
            f"Look {test.look} at this test set: the numbers may be optimistic by a few tenths of a point; "
            f"intervals are widened to {100 * level_among(test.look):.4g} %. snellen ledger lists the looks."
        )
    yield "The verdicts are those of val; a rung chosen by this table is chosen on test."


def _calibration_markdown(results: LadderResults) -> str:
    """Calibration on val beside what perfect calibration would show."""
    header = ["rung", "ECE, %", "perfect, %", "temperature", "ECE with it, %", "NLL"]
    rows = [
        [
            rung.name,
            mean_and_sd(found.ece),
            f"{100 * found.null:.2f}",
            f"{found.temperature.mean:.2f}",
            mean_and_sd(found.ece_after),
            f"{found.nll.mean:.3f}",
        ]
        for rung, found in zip(results.rungs, results.calibration, strict=True)
        if found is not None
    ]
    return markdown_table(header, rows)


def _runs_table(rungs: Sequence[RungResult]) -> str:
    rows = [
        [
            one.run,
            str(one.accuracy) if one.accuracy else "diverged",
            "–" if one.last_accuracy is None else f"{100 * one.last_accuracy:.2f} %",
            str(one.best_epoch),
            one.initial_weights[:12],
            clock(one.seconds),
        ]
        for rung in rungs
        for one in rung.seeds
    ]
    return markdown_table(["run", "val", "last epoch", "best epoch", "first weights", "time"], rows)
