"""How a look at the test set is shown: grades with the look's number, confidence, and what near-copies in train do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from snellen.evaluate.grade import val_answers
from snellen.evaluate.test_evaluation import TestEvaluation
from snellen.guards.cifar10_near_duplicates import TwinAccuracy, accuracy_without_twins, find_twins, twins_known
from snellen.metrics.confidence import confidence
from snellen.metrics.intervals import mean_over_seeds
from snellen.metrics.scorecard import class_table, scorecard
from snellen.runs.run import Run
from snellen.show.terminal import show_confidence, show_line, show_matrix, show_mixed_up


def show_look(
    console: Console, look: TestEvaluation, runs: Sequence[Run], *, per_class: bool, data: Path | None
) -> None:
    """Print a look: one run in full, several as their mean."""
    if len(runs) == 1:
        show_matrix(console, look.predictions[0])
    if per_class:
        for predictions in look.predictions:
            console.print(class_table(scorecard(predictions)))
        console.print()
    for line in look.grades():
        console.print(Text(line), soft_wrap=True)
    if len(runs) == 1:
        show_mixed_up(console, look.predictions[0])
        show_confidence(console, confidence(look.predictions[0], val=val_answers(runs[0].folder)))
    for label, sentence in _twin_lines(look, runs, data):
        show_line(console, label, sentence)
    console.print()
    for sentence in look.sentences():
        console.print(Text(sentence), soft_wrap=True)


def look_json(look: TestEvaluation, runs: Sequence[Run], *, data: Path | None) -> dict[str, Any]:
    """The look with each run's confidence and, where the list is at hand, its accuracy without near-copies."""
    found = look.to_json()
    twins = _without_twins(look, runs, data)
    for at, (run, predictions) in enumerate(zip(runs, look.predictions, strict=True)):
        found["runs"][at]["confidence"] = confidence(predictions, val=val_answers(run.folder)).to_json()
        found["runs"][at]["near_copies"] = twins[at].to_json() if twins else None
    return found


def _without_twins(look: TestEvaluation, runs: Sequence[Run], data: Path | None) -> list[TwinAccuracy]:
    """Per run, where the data set is CIFAR-10 and the published list of near-copies is beside it; else empty."""
    twins = find_twins(data) if runs[0].info["data"]["name"] == "cifar10" else None
    return [] if twins is None else [accuracy_without_twins(predictions, twins) for predictions in look.predictions]


def _twin_lines(look: TestEvaluation, runs: Sequence[Run], data: Path | None) -> list[tuple[str, str]]:
    name = str(runs[0].info["data"]["name"])
    graded = _without_twins(look, runs, data)
    if not graded:
        return [("copies", twins_known(name, None, None).evidence)] if name == "cifar10" else []
    if len(graded) == 1:
        return [("copies", str(graded[0]))]
    without = mean_over_seeds([one.without.value for one in graded], level=look.level)
    count = graded[0].twins.n if graded[0].twins else 0
    return [("copies", f"without the {count} images that have a near-copy in train {without}, plain")]
