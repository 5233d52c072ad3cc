"""The pipeline view in a real browser: every step with picture, numbers, lines and verdict, by pointer and by keys."""

from __future__ import annotations

import copy
import dataclasses

import pytest
from tests.report.chromium import Expect, Open, all_painted

from snellen.report.page import Page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [390, 1280])
def test_every_step_is_shown_and_the_arrows_change_the_picture(
    show: Open, expect: Expect, page: Page, width: int
) -> None:
    traces = page.content["pipeline"]["traces"]
    tab = show("view=pipeline", width=width, dark=width == 390)
    stops = tab.locator(".stops > li")
    assert stops.count() == len(traces[0]["stages"])
    for at, stage in enumerate(traces[0]["stages"]):
        stop = stops.nth(at)
        assert stop.locator("h3").inner_text() == stage["title"]
        assert stop.locator("pre").all_inner_texts() == [stage["production"]["code"], stage["by_hand"]["code"]]
        assert stop.locator(".check").inner_text().startswith("✓ agrees")
        assert stop.locator("canvas[aria-label]").count() == len(stage["pictures"])
    all_painted(tab, ".stops li[data-key=augmented] canvas")
    all_painted(tab, ".stops li[data-key=stored] canvas")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".trace-headline")).to_contain_text(f"#{traces[1]['id']}")
    assert tab.evaluate("location.hash") == f"#view=pipeline&i={traces[1]['id']}"
    tab.get_by_text("In the gallery").click()
    expect(tab.locator(".portrait figcaption b")).to_have_text(f"#{traces[1]['id']}")


def test_a_step_that_differs_is_named_above_and_marked_in_its_place(show: Open, expect: Expect, page: Page) -> None:
    content = copy.deepcopy(page.content)
    stage = content["pipeline"]["traces"][0]["stages"][5]
    stage["check"] = {"difference": None, "tolerance": 1e-6, "passed": False}
    tab = show("view=pipeline", content=dataclasses.replace(page, content=content))
    assert stage["title"] in tab.locator(".trace-headline .wrong").inner_text()
    assert tab.locator(".stops > li.is-wrong h3").all_inner_texts() == [stage["title"]]
    assert "✗ differs" in tab.locator(".stops > li.is-wrong .check").inner_text()


def test_the_other_run_has_no_trace_and_a_picture_without_one_is_said(show: Open, expect: Expect, page: Page) -> None:
    tab = show("view=pipeline&i=0")
    assert 0 not in [trace["id"] for trace in page.content["pipeline"]["traces"]]
    assert "Picture 0 was not traced" in tab.locator(".traced").inner_text()
    tab.get_by_label("Run").select_option("1")
    expect(tab.locator("nav a", has_text="Pipeline")).to_have_count(0)
    assert tab.locator("nav a", has_text="Inside").count() == 0  # only the first run was looked at closely
