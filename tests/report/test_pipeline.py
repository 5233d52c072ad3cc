"""The walks in the page: one picture of each group, small, and only where the model is read anyway."""

from __future__ import annotations

import json

from snellen.metrics.confidence_groups import confidence_groups
from snellen.predict.predictions import Predictions
from snellen.report.page import Options, Page, build_page
from snellen.runs.run import Run


def test_four_pictures_are_walked_with_and_every_group_that_holds_any_has_one(page: Page, finished_run: Run) -> None:
    content = page.content["pipeline"]
    predictions = Predictions.load(finished_run.folder / "predictions_val.npz")
    walked = {walk["id"] for walk in content["walks"]}
    assert (content["split"], content["run"], len(walked)) == ("val", 0, 4)
    for group in confidence_groups(predictions):
        assert not len(group.index) or walked & set(predictions.ids[group.index].tolist())
    assert all(walk["passed"] for walk in content["walks"])


def test_every_picture_named_is_on_a_sheet(page: Page) -> None:
    for walk in page.content["pipeline"]["walks"]:
        for stage in walk["stages"]:
            assert stage["pictures"]
            assert all(shown["tile"] < page.sprites[shown["sheet"]].count for shown in stage["pictures"])


def test_the_walks_make_the_page_less_than_half_a_megabyte_larger(page: Page) -> None:
    sheets = sum(len(sprite.base64) for name, sprite in page.sprites.items() if name.startswith("pipeline-"))
    assert 10_000 < sheets + len(json.dumps(page.content["pipeline"])) < 500_000


def test_without_glasses_nothing_is_walked(own_run: Run, small_eyechart: None) -> None:
    page = build_page([own_run], Options(glasses=0))
    assert page.content["pipeline"] is None
    assert not any(name.startswith("pipeline-") for name in page.sprites)
