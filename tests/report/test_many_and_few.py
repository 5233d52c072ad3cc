"""What strangers stumbled over: many classes, few classes, long names, a lost focus, a history full of letters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.report.chromium import Expect, Open, settled

from snellen.predict.predictions import Predictions
from snellen.report.encoding import packed
from snellen.report.page import Page
from snellen.report.predictions import predictions_json

pytestmark = pytest.mark.browser


def turn_to(tab: Any, address: str) -> None:
    tab.evaluate("address => { location.hash = address }", address)
    settled(tab)


@pytest.fixture
def with_classes(page: Page) -> Callable[[tuple[str, ...]], Page]:
    """The page's pictures under other classes, each called the one after its own every third time."""

    def build(names: tuple[str, ...]) -> Page:
        count = page.sprites["val"].count
        labels = np.arange(count, dtype=np.int64) * 7 % len(names)
        logits = np.zeros((count, len(names)), dtype=np.float32)
        said = np.where(np.arange(count) % 3 == 0, (labels + 1) % len(names), labels)
        logits[np.arange(count), said] = 4 + np.arange(count) / 100
        answers = Predictions(logits, labels, np.arange(count, dtype=np.int64), names, "val")
        val = {**page.content["splits"]["val"], "ids": packed(answers.ids, "i4"), "labels": packed(labels, "u2")}
        val |= {"versus": [], "runs": {"0": predictions_json(answers, np.arange(count))}}
        data = {**page.content["data"], "classes": list(names)}
        return dataclasses.replace(
            page, content={**page.content, "data": data, "splits": {"val": val}, "layer_views": None, "pipeline": None}
        )

    return build


@pytest.mark.parametrize("width", [390, 1280])
def test_sixty_classes_that_begin_alike_fit_can_be_told_apart_and_reached(
    show: Open, with_classes: Callable[[tuple[str, ...]], Page], width: int
) -> None:
    names = tuple(f"species_of_warbler_{number:03}" for number in range(60))
    tab = show(content=with_classes(names), width=width)
    for view in ("overview", "gallery", "confusions", "classes", "record"):
        turn_to(tab, f"view={view}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, view
    turn_to(tab, "view=confusions")
    shown = tab.locator(".matrix tbody th").all_inner_texts()
    assert len(set(shown)) == len(shown) == 24
    tab.get_by_label("Which classes").select_option("57")
    assert names[57][-3:] in " ".join(settled(tab).locator(".matrix tbody th").all_inner_texts())


def test_of_three_classes_no_correlation_is_drawn_or_spoken_of(
    show: Open, with_classes: Callable[[tuple[str, ...]], Page], page: Page
) -> None:
    content = with_classes(("ant", "bee", "cat")).content
    val = content["splits"]["val"]
    geometry = {**page.content["splits"]["val"]["runs"]["0"]["geometry"], "spread": [1.0, 2.0, 3.0]}
    geometry |= {
        "cosine": packed(np.eye(3), "f4"),
        "nearness_and_errors": 0.9,
        "p_value": 0.01,
        "spread_and_errors": 1.0,
    }
    run = {**val["runs"]["0"], "geometry": geometry}
    few = dataclasses.replace(page, content={**content, "splits": {"val": {**val, "runs": {"0": run}}}})
    tab = show("view=classes", content=few)
    assert "foretell" not in tab.locator(".per-class").inner_text()
    assert "correlation" not in tab.locator(".per-class").inner_text()
    turn_to(tab, "view=confusions")
    assert "correlation" not in tab.locator(".confusions").inner_text()
    assert tab.locator(".nearness circle").count() == 0


def test_a_record_with_long_names_stays_in_its_card(show: Open, page: Page) -> None:
    long = "copies: train/" + "a_rather_long_name_without_a_single_blank" * 4 + ".jpg"
    guards = [{"name": "duplicates", "passed": False, "severity": "warning", "evidence": long, "remedy": long}]
    runs = [{**run, "guards": guards} for run in page.content["runs"]]
    content = dataclasses.replace(page, content={**page.content, "runs": runs})
    for width in (390, 1024):
        tab = show("view=record", content=content, width=width)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        box, card = (tab.locator(each).first.bounding_box() for each in (".guards li p", ".record .card"))
        assert box["x"] + box["width"] <= card["x"] + card["width"]


def test_captions_judge_the_weights_that_were_kept(show: Open, page: Page) -> None:
    rows = [{"epoch": epoch, "train/accuracy": 0.9, "val/accuracy": value} for epoch, value in ((1, 0.8), (2, 0.6))]
    runs = [
        {**run, "best_epoch": 1, "journal": [{**run["journal"][0], **row} for row in rows]}
        for run in page.content["runs"]
    ]
    tab = show("view=curves", content=dataclasses.replace(page, content={**page.content, "runs": runs}))
    caption = tab.locator(".captions p").first.inner_text()
    assert "val 80.0\u00a0% with the weights that were kept, of epoch 1 of 2; 60.0\u00a0% at the end" in caption
    assert "10.0 points below train" in caption
    colours = {each.get_attribute("style") for each in tab.locator(".run-key .swatch").all()}
    assert len(colours) == 2  # two seeds of one recipe are two runs
    assert tab.locator(".plot .kept").count() == 2


def test_the_focus_stays_where_somebody_is(show: Open, expect: Expect) -> None:
    tab = show()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")  # the skip link
    assert tab.evaluate("document.activeElement.id") == "content"
    tab.locator(".findings .link").first.press("Enter")  # a link into another view
    settled(tab)
    assert tab.evaluate("document.activeElement !== document.body")
    turn_to(tab, "view=classes")
    heading = tab.locator(".classes thead button").nth(1)
    heading.press("Enter")
    assert tab.evaluate("document.activeElement.dataset.key") == "recall"
    turn_to(tab, "view=curves")
    tab.locator(".run-key input").last.press("Space")
    assert tab.evaluate("document.activeElement.matches('.run-key input')")
    assert tab.locator("h1").count() == 1


def test_typing_in_the_search_leaves_the_way_back_as_it_was(show: Open, expect: Expect) -> None:
    tab = show("view=gallery")
    before = tab.evaluate("history.length")
    tab.keyboard.press("/")
    tab.keyboard.type("wrong")
    expect(tab.locator(".found")).not_to_contain_text("30 val pictures")
    assert "q=wrong" in settled(tab).evaluate("location.hash")
    assert tab.evaluate("history.length") == before


def test_intervals_are_in_sight_and_not_in_a_title_alone(show: Open, page: Page) -> None:
    recall = page.content["splits"]["val"]["runs"]["0"]["classes"][0]["recall"]
    tab = show("view=classes")
    row = tab.locator(".classes tbody tr").filter(has_text=page.content["data"]["classes"][0]).first
    assert f"{100 * recall['low']:.0f}–{100 * recall['high']:.0f}" in row.inner_text()
