"""The traces in the page: one picture of each confidence group, small, and only where the model is read anyway."""

from __future__ import annotations

import json

import numpy as np

from snellen.explain.stage import Picture
from snellen.metrics.confidence import confidence_groups
from snellen.predict.predictions import Predictions
from snellen.report.page import Options, Page, build_page
from snellen.report.pipeline import _Sheets
from snellen.runs.run import Run


def test_four_pictures_are_traced_and_every_group_that_holds_any_has_one(page: Page, finished_run: Run) -> None:
    content = page.content["pipeline"]
    predictions = Predictions.load(finished_run.folder / "predictions_val.npz")
    traced = {trace["id"] for trace in content["traces"]}
    assert (content["split"], content["run"], len(traced)) == ("val", 0, 4)
    for group in confidence_groups(predictions):
        assert not len(group.index) or traced & set(predictions.ids[group.index].tolist())
    assert all(trace["passed"] for trace in content["traces"])


def test_every_picture_named_is_on_a_sheet(page: Page) -> None:
    for trace in page.content["pipeline"]["traces"]:
        for stage in trace["stages"]:
            assert stage["pictures"]
            assert all(shown["tile"] < page.sprites[shown["sheet"]].count for shown in stage["pictures"])


def test_pictures_of_a_size_lie_on_one_sheet_in_the_order_they_come() -> None:
    sheets = _Sheets()
    pixels = [np.full((*shape, 3), n, dtype=np.uint8) for n, shape in enumerate([(4, 6), (6, 4), (4, 6)])]
    said = [sheets.add(Picture(f"picture {n}", each)) for n, each in enumerate(pixels)]
    assert said == [
        {"sheet": f"pipeline-{name}", "tile": tile, "caption": f"picture {n}"}
        for n, (name, tile) in enumerate([("4x6", 0), ("6x4", 0), ("4x6", 1)])
    ]
    assert {name: (sheet.tile, sheet.count) for name, sheet in sheets.sprites().items()} == {
        "pipeline-4x6": ((4, 6), 2), "pipeline-6x4": ((6, 4), 1),
    }  # fmt: skip


def test_the_traces_make_the_page_less_than_half_a_megabyte_larger(page: Page) -> None:
    sheets = sum(sprite.bytes for name, sprite in page.sprites.items() if name.startswith("pipeline-"))
    assert 10_000 < sheets + len(json.dumps(page.content["pipeline"])) < 500_000


def test_without_layer_views_nothing_is_traced(own_run: Run, small_eyechart: None) -> None:
    page = build_page([own_run], Options(layer_views=0))
    assert page.content["pipeline"] is None
    assert not any(name.startswith("pipeline-") for name in page.sprites)
