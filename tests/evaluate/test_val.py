"""Grading on val: from the run folder where it can be, anew where other views are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snellen.api.trained_run import TrainedRun
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.run_images import images_of
from snellen.errors import DataError, RunError
from snellen.evaluate import val
from snellen.evaluate.robustness import measure_robustness
from snellen.evaluate.val import evaluate_on_val, predict_run
from snellen.explain.context import context_of
from snellen.metrics.classification import accuracy
from snellen.models.weights import restore
from snellen.predict.own_pictures import predict_pictures
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


@pytest.mark.usefixtures("small_eyechart")
def test_val_says_of_how_many_epochs_it_is_the_best_stored_or_asked_again(own_run: Run) -> None:
    looks = len(own_run.val_looks)
    assert looks > 1
    stored, again = evaluate_on_val(own_run), evaluate_on_val(own_run, device="cpu", tta="ten_crop")
    assert stored.best_of == again.best_of == own_run.info["val"]["best_of"] == looks
    few = images_of(own_run).train.take(np.arange(3), "train")
    assert predict_run(own_run, few, device="cpu", tta="none").best_of == 1  # no epoch was chosen by them
    told = accuracy(stored)
    assert f"best of {looks} epochs" in str(told)
    assert told.low < replace(told, best_of=1).low
    assert own_run.info["val"]["accuracy"]["low"] == told.low


def test_a_final_run_has_no_val_to_be_judged_by(own_run: Run) -> None:
    own_run.update_info(final=True)
    with pytest.raises(RunError, match="no val images are left to judge it by"):
        evaluate_on_val(own_run)


def test_data_that_are_given_are_held_against_the_run_also_where_the_answer_is_stored(
    own_run: Run, tiny_dataset: Dataset
) -> None:
    stored = evaluate_on_val(own_run)
    np.testing.assert_array_equal(evaluate_on_val(own_run, data=tiny_dataset).logits, stored.logits)
    other = make_eyechart(seed=1, train=300, test=60)
    for ask in (evaluate_on_val, measure_robustness):
        with pytest.raises(DataError, match="The train images of .* are not those of"):
            ask(own_run, data=other)
    assert not (own_run.folder / "robustness.json").exists()


@pytest.mark.parametrize(
    "ask",
    [
        evaluate_on_val,
        measure_robustness,
        lambda run: predict_pictures(run, []),
        lambda run: context_of(run, None),  # type: ignore[arg-type]
        lambda run: TrainedRun(run).model(),
    ],
    ids=["evaluate", "robustness", "predict", "explain", "api"],
)
def test_a_run_that_is_not_finished_answers_nothing(own_run: Run, ask: Callable[[Run], object]) -> None:
    own_run.update_info(status="diverged")
    with pytest.raises(RunError, match=r"not finished \(status diverged\)"):
        ask(own_run)


def test_stored_predictions_that_are_not_the_runs_are_refused(own_run: Run) -> None:
    path: Path = own_run.folder / "predictions_val.npz"
    answers = Predictions.load(path)
    replace(answers, logits=np.eye(10, dtype=np.float32)[answers.labels]).save(path)
    with pytest.raises(RunError, match="not what this run answered: .*right, where run.json says"):
        evaluate_on_val(own_run)


@pytest.mark.usefixtures("small_eyechart")
def test_a_lost_file_of_answers_is_made_anew_as_it_was(own_run: Run) -> None:
    stored = evaluate_on_val(own_run)
    (own_run.folder / "predictions_val.npz").unlink()
    again = evaluate_on_val(own_run, device="cpu")
    assert again.tta == stored.tta == own_run.recipe.tta
    assert again.tta_logits is not None
    np.testing.assert_array_equal(again.tta_logits, stored.tta_logits)


@pytest.mark.usefixtures("small_eyechart")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_views_and_precision_are_those_of_the_run(
    own_run: Run, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    own_run.write("recipe.json", {**own_run.read("recipe.json"), "tta_fraction": 0.2})
    stored, own, asked = evaluate_on_val(own_run), images_of(own_run).val, []
    own_run.update_info(precision=precision)
    assert own is not None

    def answered(model: object, images: object, **options: object) -> Predictions:
        asked.append(options)
        return stored

    monkeypatch.setattr(val, "predict", answered)
    predict_run(own_run, own, device="cpu", tta=own_run.recipe.tta)
    val.grade(own_run, restore(own_run), own, bf16=precision == "bf16")
    assert asked == [{"tta": own_run.recipe.tta, "tta_fraction": 0.2, "bf16": precision == "bf16"}] * 2


@pytest.mark.usefixtures("small_eyechart")
def test_the_recipes_share_of_images_gets_its_views_and_all_get_those_that_are_asked_for(own_run: Run) -> None:
    own_run.write("recipe.json", {**own_run.read("recipe.json"), "tta_fraction": 0.2})
    pictures = images_of(own_run).val
    assert pictures is not None
    for tta, share in ((own_run.recipe.tta, 0.2), ("shift", 1.0)):
        answered = predict_run(own_run, pictures, device="cpu", tta=tta)
        assert answered.tta_logits is not None
        averaged = (answered.tta_logits != answered.logits).any(axis=1)
        assert averaged.mean() == share
