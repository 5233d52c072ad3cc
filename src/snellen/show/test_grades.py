"""How a look at the test set is shown: grades with the look's number, confidence, and near-duplicates in train."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from snellen.evaluate.test_set import TestEvaluation
from snellen.evaluate.val import val_predictions
from snellen.guards.cifar10_near_duplicates import (
    AccuracyWithoutDuplicates,
    accuracy_without_duplicates,
    cifar10_test_duplicates,
    listed_near_duplicates,
)
from snellen.metrics.confidence import confidence
from snellen.metrics.intervals import mean_over_seeds
from snellen.metrics.scorecard import class_table, scorecard
from snellen.runs.run import Run
from snellen.serialize import to_json
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
        show_confidence(console, confidence(look.predictions[0], val=val_predictions(runs[0].folder)))
    for label, sentence in _near_duplicate_lines(look, runs, data):
        show_line(console, label, sentence)
    console.print()
    for sentence in look.sentences():
        console.print(Text(sentence), soft_wrap=True)


def look_json(look: TestEvaluation, runs: Sequence[Run], *, data: Path | None) -> dict[str, Any]:
    """The look with each run's confidence and, where the list is at hand, its accuracy without near-duplicates."""
    found = look.to_json()
    without = _without_near_duplicates(look, runs, data)
    for at, (run, predictions) in enumerate(zip(runs, look.predictions, strict=True)):
        found["runs"][at]["confidence"] = to_json(confidence(predictions, val=val_predictions(run.folder)))
        found["runs"][at]["near_duplicates"] = to_json(without[at]) if without else None
    return found


def _without_near_duplicates(
    look: TestEvaluation, runs: Sequence[Run], data: Path | None
) -> list[AccuracyWithoutDuplicates]:
    """Per run, where the data set is CIFAR-10 and the published list of near-duplicates is beside it; else empty."""
    listed = listed_near_duplicates(data) if runs[0].info["data"]["name"] == "cifar10" else None
    return (
        [] if listed is None else [accuracy_without_duplicates(predictions, listed) for predictions in look.predictions]
    )


def _near_duplicate_lines(look: TestEvaluation, runs: Sequence[Run], data: Path | None) -> list[tuple[str, str]]:
    name = str(runs[0].info["data"]["name"])
    graded = _without_near_duplicates(look, runs, data)
    if not graded:
        return [("copies", cifar10_test_duplicates(name, None, None).evidence)] if name == "cifar10" else []
    if len(graded) == 1:
        return [("copies", str(graded[0]))]
    without = mean_over_seeds([one.without.value for one in graded], level=look.level)
    count = graded[0].listed.n if graded[0].listed else 0
    return [("copies", f"without the {count} images that have a near-duplicate in train {without}, plain")]
