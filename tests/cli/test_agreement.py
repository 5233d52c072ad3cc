"""One number is one number: terminal, JSON, page, card, list, journal and Python say the same of a run."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import snellen as window
from snellen.data.dataset import Dataset
from snellen.data.splits import split
from snellen.metrics.intervals import Rate
from snellen.recipes.recipe import Recipe
from snellen.report.page import Options, build_page
from snellen.runs.run import Run
from snellen.train.fit import FitOptions, fit

Snellen = Callable[..., Any]


@pytest.fixture(scope="module", params=[(1, 4, "none", 0.2), (2, 3, "flip", 0.01), (3, 2, "ten_crop", 1.0)], ids=str)
def run(request: pytest.FixtureRequest, tiny_recipe: Recipe, tiny_dataset: Dataset, tmp_path_factory: Any) -> Run:
    """Trained with another seed, for as many epochs, graded with such views, at a rate under which it learns or not."""
    seed, epochs, tta, lr = request.param
    recipe = tiny_recipe.replace(epochs=epochs, tta=tta, optimizer=tiny_recipe.optimizer.__class__(lr=lr))
    return fit(
        recipe,
        tiny_dataset,
        FitOptions(seed=seed, device="cpu", precision="fp32", runs=tmp_path_factory.mktemp("runs")),
    )


def test_every_place_that_tells_a_runs_accuracy_tells_the_same(run: Run, snellen: Snellen) -> None:
    graded = window.open_run(run.folder).evaluate()
    accuracy = graded.plain.accuracy
    whole = {"hits": accuracy.hits, "n": accuracy.n, "low": accuracy.low, "high": accuracy.high}

    said = snellen("evaluate", run.folder, "--json").json
    assert whole.items() <= said["plain"]["accuracy"].items()
    text = " ".join(snellen("evaluate", run.folder, "--per-class").out.split())
    assert f"val {accuracy}" in text

    shown = build_page([run], Options(layer_views=0, device="cpu")).content["splits"]["val"]["runs"]["0"]
    assert whole.items() <= shown["card"]["plain"]["accuracy"].items()
    assert shown["classes"] == said["classes"]
    assert np.trace(shown["matrix"]) == accuracy.hits
    assert shown["calibration"]["ece"] == said["confidence"]["calibration"]["ece"]
    assert shown["temperature"] == pytest.approx(said["confidence"]["temperature"]["temperature"])

    (listed,) = snellen("runs", run.folder.parent, "--json").json["runs"]
    assert Rate(**listed["val"]) == accuracy
    card = (window.open_run(run.folder).export("safetensors").folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert accuracy.text(2) in card
    for averaged in [graded.with_tta] if graded.with_tta else []:
        assert said["with_tta"]["accuracy"]["hits"] == averaged.accuracy.hits
        assert shown["card"]["with_tta"]["accuracy"]["hits"] == averaged.accuracy.hits
        assert str(averaged.accuracy) in text
        assert averaged.accuracy.text(2) in card
    for row in graded.classes:
        recalls = [each["recall"] for each in (*said["classes"], *shown["classes"]) if each["name"] == row.name]
        assert [(recall["hits"], recall["n"]) for recall in recalls] == [(row.recall.hits, row.recall.n)] * 2
        assert row.recall.share() in text

    journal = list(csv.DictReader((run.folder / "results.csv").read_text(encoding="utf-8").splitlines()))
    looks = [float(row["val/accuracy"]) for row in journal if row["val/accuracy"]]
    assert (max(looks), len(looks)) == (pytest.approx(accuracy.value), accuracy.best_of)
    assert f"{Rate(round(looks[-1] * accuracy.n), accuracy.n)} after the last epoch" in text


def test_files_are_answered_alike_by_command_and_python(
    run: Run, snellen: Snellen, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    val = split(tiny_dataset).val
    assert val is not None
    folder = tmp_path / "letters"
    folder.mkdir()
    for number, pixels in enumerate(val.images[:12]):
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    loaded = window.open_run(run.folder)
    for views in [[]] if run.recipe.tta == "none" else [[], ["--tta"]]:
        rows = snellen("predict", run.folder, folder, "--json", "--top", "3", *views).json
        answers = loaded.predict(folder, tta=bool(views))
        assert [[(top["class"], top["probability"]) for top in row["top"]] for row in rows] == answers.top(3)
        np.testing.assert_allclose(
            answers.probabilities, loaded.predict(val.images[:12], tta=bool(views)).probabilities, atol=1e-6
        )
