"""What a look at the test set says of itself: sentences, grades and JSON, of answers made by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snellen.evaluate.test_set import TestEvaluation
from snellen.metrics.intervals import Rate, level_among, mean_over_seeds
from snellen.predict.predictions import Predictions
from snellen.serialize import to_json


def by_hand(*hits: tuple[int, int]) -> TestEvaluation:
    """One look at ten pictures; of each run how many were right, plain and averaged."""
    rows = [[[1.0, 0.0]] * right + [[0.0, 1.0]] * (10 - right) for each in hits for right in each]
    logits = np.array(rows, dtype=np.float32).reshape(-1, 2, 10, 2)
    about = (np.zeros(10, dtype=np.int64), np.arange(10), ("a", "b"), "test", "flip")
    answers = tuple(Predictions(plain, *about, averaged) for plain, averaged in logits)
    names = tuple(f"run{at}" for at in range(len(hits)))
    return TestEvaluation(names, answers, 1, False, Path("ledger.jsonl"), together=len(hits))


def test_what_is_said_beside_the_numbers_is_what_the_look_was() -> None:
    found = by_hand((5, 6))
    first = "First look at this test set, as far as ledger.jsonl knows."
    assert found.sentences() == [first]
    assert replace(found, repeated=True, copies="two of ten.").sentences() == [
        "These weights were graded before: this is the stored answer, not a new look.", "Copies: two of ten.", first,
    ]  # fmt: skip
    assert replace(found, together=2).sentences()[0].startswith("One of 2 models graded together in this look")
    holed = replace(found, number=2, problems=("line 3 is missing", "line 7 is no JSON"))
    assert holed.sentences() == [
        "The ledger ledger.jsonl is not whole (line 3 is missing): looks may be missing from it."
    ]


@pytest.mark.parametrize("number", [1, 3])
def test_grades_are_plain_and_averaged_of_one_run_or_over_runs_as_wide_as_the_look(number: int) -> None:
    level = level_among(number)
    one, two = (replace(by_hand(*hits), number=number) for hits in ([(5, 6)], [(5, 6), (7, 9)]))
    assert one.grades() == [
        f"test     {Rate(5, 10).text(2, level)}, plain, one view per image",
        f"         {Rate(6, 10).text(2, level)} with test-time augmentation: flip",
    ]
    plain, averaged = mean_over_seeds([0.5, 0.7], level=level), mean_over_seeds([0.6, 0.9], level=level)
    assert two.grades() == [
        f"test     {plain}, 10 images each, plain, one view per image",
        f"         {averaged} with test-time augmentation: flip",
    ]
    written = two.to_json()
    assert (written["mean"], written["mean_tta"]) == (to_json(plain), to_json(averaged))
    for run, right in zip(written["runs"], ((5, 6), (7, 9)), strict=True):
        for view, hits in zip(("plain", "with_tta"), right, strict=True):
            accuracy = run[view]["accuracy"]
            assert (accuracy["low"], accuracy["high"]) == Rate(hits, 10).interval(level)
    bare = replace(one, predictions=(replace(one.predictions[0], tta="none", tta_logits=None),))
    assert (len(bare.grades()), bare.to_json()["runs"][0]["with_tta"]) == (1, None)
