"""The card holds measured numbers, and a test number only where the ledger has a line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from snellen.data.dataset import Dataset
from snellen.evaluate.test_set import evaluate_on_test, ledger_of
from snellen.export.model_card import facts_of
from snellen.export.write import Export, export_run
from snellen.metrics.calibration import calibration
from snellen.metrics.scorecard import scorecard
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.train.fit import FitOptions, fit


@pytest.fixture
def card(exported: Export) -> str:
    return (exported.folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_its_numbers_are_those_of_the_runs_own_files(card: str, finished_run: Run) -> None:
    stored = Predictions.load(finished_run.folder / "predictions_val.npz")
    grades = scorecard(stored)
    assert grades.plain.accuracy.text(2) in card
    assert str(calibration(stored)) in card
    assert "perfect calibration would show" in card
    for row in grades.classes:
        assert f"| {row.name} | " in card
        assert row.recall is not None
        assert str(row.recall).rpartition(",")[0] in card


def test_it_says_what_was_trained_on_what_and_where(card: str, finished_run: Run) -> None:
    environment = finished_run.read("environment.json")
    for words in ("eyechart, 270 images (train)", "tiny, 2 epochs, seed 0, fp32", environment["processor"]):
        assert words in card
    assert f"torch {environment['packages']['torch']}" in card


def test_guards_that_failed_are_named(card: str, finished_run: Run) -> None:
    results = finished_run.read("guards.json")
    assert results["summary"] in card
    for result in results["results"]:
        assert (result["evidence"] in card) is (result["passed"] is not True)


def test_without_a_ledger_line_there_is_no_test_number(card: str) -> None:
    assert "Test: not looked at" in card
    assert "Test accuracy" not in card


def test_with_a_ledger_line_it_quotes_the_number_and_the_look(own_run: Run, small_eyechart: None) -> None:
    look = evaluate_on_test([own_run], ledger_of(own_run), reason="test of the card", device="cpu")
    export = export_run(own_run, ["safetensors"])
    text = (export.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    number = scorecard(look.predictions[0]).plain.accuracy.text(2)
    assert f"Test accuracy **{number}**" in text
    assert "look 1 at this test set" in text


def test_a_class_name_cannot_break_the_tables(tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path: Path) -> None:
    names = ("a|b\nc", *tiny_dataset.train.class_names[1:])
    dataset = replace(tiny_dataset, train=replace(tiny_dataset.train, class_names=names), test=None)
    run = fit(
        tiny_recipe.replace(epochs=1), dataset, FitOptions(device="cpu", precision="fp32", runs=tmp_path / "runs")
    )
    export = export_run(run, ["safetensors"], tmp_path, data=dataset)
    text = (export.folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "a\\|b c" in text


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_a_file_says_how_the_runs_pictures_became_square(own_run: Run, fit: str) -> None:
    own_run.update_info(data={**own_run.info["data"], "loading": {"fit": fit}})
    assert facts_of(own_run)["fit"] == fit
