"""The page in a real browser: every view, by pointer and by keys, on a phone, in the dark, with a hostile name."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snellen.report.bundle import bundle_html
from snellen.report.page import Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
# Slow as well: a browser under load decides over seconds, so `make slow` runs these and the fast suite does not.
pytestmark = [pytest.mark.browser, pytest.mark.slow]

EVIL = '<img src=x onerror="document.title=1">'
_QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=_QUIET)
        yield browser
        browser.close()


@pytest.fixture
def show(chromium: Any, page: Page, tmp_path: Path) -> Iterator[Open]:
    """Open the page at an address; at the end nothing may have been asked of a network or complained about."""
    complaints: list[str] = []
    contexts = []

    def visit(address: str = "", *, content: Page = page, width: int = 1280, dark: bool = False) -> Any:
        file = tmp_path / "report.html"
        file.write_text(bundle_html(content.title, content.content, content.sprites), encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": width, "height": 844}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request", lambda asked: asked.url.startswith(("file:", "blob:", "data:")) or complaints.append(asked.url)
        )
        tab.goto(f"{file.as_uri()}#{address}")
        tab.wait_for_selector("html[data-ready]")
        return tab

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []


def ids_in(tab: Any) -> str:
    return str(tab.locator(".portrait figcaption b").inner_text())


def painted(tab: Any, selector: str) -> bool:
    """Whether a canvas holds anything but one colour."""
    return bool(
        tab.wait_for_function(
            """selector => {
                const canvas = document.querySelector(selector);
                if (!canvas?.width) return false;
                const bytes = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                return new Set(new Uint32Array(bytes.buffer)).size > 1;
            }""",
            arg=selector,
        )
    )


VIEWS = ("overview", "lineup", "confusions", "curves", "inside", "pipeline", "classes", "map", "record")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_fits_its_width_in_both_colours_without_a_complaint(show: Open, width: int, dark: bool) -> None:
    tab = show(width=width, dark=dark)
    for view in VIEWS:
        tab.evaluate("view => { location.hash = `view=${view}` }", view)
        tab.wait_for_selector(f"nav a[aria-current][href*='view={view}']")
        tab.wait_for_timeout(50)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, view
        assert tab.locator("main section").first.is_visible()
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] > 128")
    assert light is not dark


def test_pictures_are_drawn_with_their_own_pixels(show: Open) -> None:
    tab = show("view=lineup")
    assert painted(tab, ".portrait canvas")
    assert tab.evaluate("getComputedStyle(document.querySelector('.portrait canvas')).imageRendering") == "pixelated"


def test_arrows_go_from_picture_to_picture_and_the_address_follows(show: Open) -> None:
    tab = show("view=lineup")
    first = ids_in(tab)
    tab.keyboard.press("ArrowRight")
    second = ids_in(tab)
    assert second != first
    assert tab.evaluate("location.hash") == f"#i={second.removeprefix('#')}"
    tab.keyboard.press("ArrowLeft")
    assert ids_in(tab) == first


def test_an_address_with_an_id_opens_that_picture(show: Open) -> None:
    tab = show("view=lineup")
    tab.keyboard.press("End")
    last = ids_in(tab)
    assert ids_in(show(f"i={last.removeprefix('#')}")) == last


def test_the_bars_fall_and_the_verdict_agrees_with_the_drawer(show: Open) -> None:
    tab = show("view=lineup")
    values = [float(text.split()[-2]) for text in tab.locator(".bars .value").all_inner_texts()]
    assert len(values) == 5
    assert values == sorted(values, reverse=True)
    assert 0 < sum(values) <= 100.3
    for drawer, verdict in ((0, "right"), (1, "right"), (2, "wrong"), (3, "wrong")):
        chip = tab.locator(f".chip.drawer-{drawer}")
        held = int(chip.locator("b").inner_text())
        chip.click()
        tab.wait_for_function(  # the page redraws after the click; reading at once would race with it
            "held => document.querySelector('.found').innerText.startsWith(`${held} picture`)", arg=held
        )
        assert tab.locator(".badge").count() == bool(held)
        if held:
            assert verdict in tab.locator(".badge").inner_text()


def test_slash_searches_and_words_filter(show: Open) -> None:
    tab = show("view=lineup")
    tab.keyboard.press("/")
    tab.keyboard.type("wrong")
    found = tab.locator(".found")
    playwright.expect(found).not_to_contain_text("30 pictures")
    assert tab.locator(".tile:not(.is-wrong)").count() == 0
    tab.locator("input[type=search]").fill("no such class")
    playwright.expect(found).to_contain_text("0 pictures")
    assert "No picture fits" in tab.locator(".suspect").inner_text()
    tab.keyboard.press("Escape")
    playwright.expect(found).to_contain_text("30 pictures")


def test_a_cell_shows_as_many_pictures_as_it_counts(show: Open) -> None:
    tab = show("view=confusions")
    cell = tab.locator(".matrix button.some, .matrix button.deep").first
    count, named = int(cell.inner_text()), str(cell.get_attribute("aria-label")).rpartition(":")[0]
    cell.click()
    side = tab.locator(".evidence .side").first
    assert side.locator("h3").inner_text() == named
    assert side.locator(".strip button").count() == count
    side.get_by_text("Open in the line-up").click()
    playwright.expect(tab.locator(".found")).to_contain_text(f"{count} picture")


def test_the_slider_moves_the_readout_and_a_run_can_be_hidden(show: Open) -> None:
    tab = show("view=curves")
    assert tab.locator(".plot .line.val").count() == 2
    assert tab.locator(".plot .band").count() == 1  # two runs of one recipe
    at_end = tab.locator(".readout").inner_text()
    tab.locator("input[type=range]").focus()
    tab.keyboard.press("ArrowLeft")
    playwright.expect(tab.locator(".scrubber output")).to_have_text("epoch 1 of 2")
    assert tab.locator(".readout").inner_text() != at_end
    tab.locator(".run-key input").first.uncheck()
    assert tab.locator(".plot .line.val").count() == 1
    solid, dashed = (
        tab.evaluate(f"getComputedStyle(document.querySelector('.plot .line.{part}')).strokeDasharray")
        for part in ("train", "val")
    )
    assert solid == "none"
    assert dashed != "none"


def test_three_pairs_of_glasses_show_maps_patches_and_neighbours(show: Open) -> None:
    tab = show("view=inside")
    assert tab.locator(".depth").count() == 3
    assert painted(tab, ".near canvas")
    assert painted(tab, ".patches canvas")
    assert painted(tab, ".filter-grid canvas")
    before = tab.locator(".chooser [aria-pressed=true]").get_attribute("data-row")
    tab.keyboard.press("ArrowRight")
    assert tab.locator(".chooser [aria-pressed=true]").get_attribute("data-row") != before


def test_the_map_tells_what_is_under_the_pointer_and_under_the_arrows(show: Open) -> None:
    tab = show("view=map")
    assert painted(tab, ".map-canvas")
    tab.locator(".map-canvas").focus()
    tab.keyboard.press("ArrowRight")
    playwright.expect(tab.locator(".map-tip")).to_be_visible()
    named = tab.locator(".map-tip .small").inner_text()
    tab.keyboard.press("Enter")
    assert named.startswith(ids_in(tab))


def test_the_class_table_sorts_by_its_headings(show: Open) -> None:
    tab = show("view=classes")
    names = tab.locator(".classes tbody th")
    tab.get_by_role("button", name="class", exact=True).click()
    assert names.all_inner_texts() == sorted(names.all_inner_texts())
    tab.locator(".classes thead button").first.click()
    assert names.all_inner_texts() == sorted(names.all_inner_texts(), reverse=True)
    assert tab.locator(".classes th[aria-sort=descending]").count() == 1


def test_a_class_called_like_markup_is_read_and_not_run(show: Open, renamed: Callable[[str], Page]) -> None:
    tab = show(content=renamed(EVIL))
    for view in VIEWS:
        tab.evaluate("view => { location.hash = `view=${view}` }", view)
        tab.wait_for_selector(f"nav a[aria-current][href*='view={view}']")
        assert tab.locator("img").count() == 0
    assert tab.title() == f"{EVIL} · Snellen"
    tab.evaluate("location.hash = 'view=classes'")
    tab.wait_for_selector(".classes")
    assert EVIL in tab.locator(".classes tbody th").all_inner_texts()


def test_the_other_run_can_be_chosen_and_the_theme_turned(show: Open) -> None:
    tab = show("view=record")
    tab.get_by_label("Run").select_option("1")
    playwright.expect(tab.locator("main h2").first).to_have_text("second")
    tab.locator(".theme").click()
    tab.locator(".theme").click()
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_tab_key_reaches_the_grid_once_and_everything_has_a_name(show: Open) -> None:
    tab = show("view=lineup")
    nameless = tab.evaluate(
        """() => [...document.querySelectorAll("button, a, input, select, [role=listbox], [role=option]")]
            .filter(e => !(e.getAttribute("aria-label") || e.textContent.trim() || e.title || e.labels?.length))
            .map(e => e.outerHTML)"""
    )
    assert nameless == []
    assert tab.locator(".grid[tabindex='0'] [tabindex]").count() == 0
    active = tab.locator(".grid").get_attribute("aria-activedescendant")
    assert tab.locator(f"#{active}[aria-selected=true]").count() == 1
