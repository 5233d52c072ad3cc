"""Grading on val: from the run folder where it can be, anew where other views are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from snellen.errors import RunError
from snellen.evaluate.val import evaluate_on_val
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run


def test_val_is_answered_from_the_run_folder(finished_run: Run) -> None:
    stored = Predictions.load(finished_run.folder / "predictions_val.npz")
    np.testing.assert_array_equal(evaluate_on_val(finished_run).logits, stored.logits)


@pytest.mark.usefixtures("small_eyechart")
def test_val_with_other_views_is_computed_and_the_plain_answers_agree(own_run: Run) -> None:
    before = sorted(path.name for path in own_run.folder.iterdir())
    answers = evaluate_on_val(own_run, device="cpu", tta="ten_crop")
    assert (answers.tta, answers.split, len(answers)) == ("ten_crop", "val", 30)
    stored = Predictions.load(own_run.folder / "predictions_val.npz")
    np.testing.assert_array_equal(answers.logits, stored.logits)
    assert sorted(path.name for path in own_run.folder.iterdir()) == before


def test_a_final_run_has_no_val_to_be_judged_by(own_run: Run) -> None:
    own_run.update_info(final=True)
    with pytest.raises(RunError, match="no val images are left to judge it by"):
        evaluate_on_val(own_run)
