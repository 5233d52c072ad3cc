"""The page for everybody: contrast computed, everything named and reachable by keys, motion only where it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
VIEWS = ("overview", "gallery", "confusions", "versus", "curves", "inside", "pipeline", "classes", "map", "record")

# WCAG 2.2, 1.4.3: text against what lies behind it, opacity of all ancestors counted; large text needs 3, not 4.5.
FAINT_TEXT = """() => {
    // A canvas turns every colour the browser knows, also those of color-mix, into red, green, blue and alpha.
    const dot = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const pen = dot.getContext("2d", { willReadFrequently: true });
    const rgba = colour => {
        pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
        return [r, g, b, a / 255];
    };
    const over = ([r, g, b, a], under) => [r, g, b].map((value, n) => value * a + under[n] * (1 - a));
    const luminance = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
    const chain = element => element ? [...chain(element.parentElement), element] : [];
    const faint = new Map();
    let checked = 0;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.textContent.trim();
        if (!text || element.closest("script, noscript, option, .unseen, title, [hidden]")) continue;
        if (!element.getClientRects().length) continue;
        const style = getComputedStyle(element);
        let ground = [255, 255, 255];
        let opacity = 1;
        for (const each of chain(element)) {
            const own = getComputedStyle(each);
            ground = over(rgba(own.backgroundColor), ground);
            opacity *= Number(own.opacity);
        }
        const [r, g, b, a] = rgba(element instanceof SVGElement ? style.fill : style.color);
        const [x, y] = [luminance(over([r, g, b, a * opacity], ground)), luminance(ground)];
        const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
        const size = parseFloat(style.fontSize);
        const enough = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
        checked += 1;
        const named = element.closest("[class]")?.getAttribute("class");
        if (ratio < enough) faint.set(`${named}: ${text.slice(0, 30)}`, ratio.toFixed(2));
    }
    return { checked, faint: Object.fromEntries(faint) };
}"""

NAMELESS = """() => [...document.querySelectorAll(
    "button, a, input, select, [role=listbox], [role=option], [role=img], svg, canvas")]
    .filter(e => !e.closest("[aria-hidden=true]"))
    .filter(e => !(e.getAttribute("aria-label") || e.textContent.trim() || e.title || e.labels?.length))
    .map(e => e.outerHTML.slice(0, 120))"""


def turn_to(tab: Any, view: str) -> None:
    tab.evaluate("view => { location.hash = `view=${view}` }", view)
    tab.wait_for_function("() => document.documentElement.dataset.shown === location.hash")


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground_by_four_and_a_half_in_every_view(show: Open, dark: bool) -> None:
    tab = show(dark=dark)
    for view in VIEWS:
        turn_to(tab, view)
        found = tab.evaluate(FAINT_TEXT)
        assert found["checked"] > 10
        assert found["faint"] == {}, view


def test_the_contrast_test_can_fail(show: Open) -> None:
    tab = show()
    tab.evaluate("document.querySelector('h2').style.cssText = 'font-size: 16px; opacity: 0.5'")
    assert len(tab.evaluate(FAINT_TEXT)["faint"]) == 1


def test_everything_that_can_be_used_or_seen_has_a_name(show: Open) -> None:
    tab = show()
    for view in VIEWS:
        turn_to(tab, view)
        assert tab.evaluate(NAMELESS) == [], view


def test_charts_say_in_words_what_they_show(show: Open) -> None:
    tab = show()
    for view, words in (
        ("classes", ("Reliability", "ECE")),
        ("curves", ("Accuracy over epochs", "val from")),
        ("confusions", ("Every pair of classes",)),
    ):
        turn_to(tab, view)
        label = tab.locator("svg.chart").first.get_attribute("aria-label")
        assert all(word in label for word in words)
    turn_to(tab, "map")
    assert "30 pictures in feature space" in tab.locator(".map-canvas").get_attribute("aria-label")


def test_the_tab_key_reaches_every_part_and_the_grid_once_and_shows_where_it_is(show: Open) -> None:
    tab = show("view=gallery")
    assert tab.locator(".grid[tabindex='0'] [tabindex]").count() == 0
    active = tab.locator(".grid").get_attribute("aria-activedescendant")
    assert tab.locator(f"#{active}[aria-selected=true]").count() == 1
    reached = []
    for _ in range(40):
        tab.keyboard.press("Tab")
        where = tab.evaluate(
            """() => {
                const e = document.activeElement;
                const what = e.className || e.getAttribute("aria-label") || e.tagName;
                return e === document.body ? null : { what, outline: getComputedStyle(e).outlineStyle };
            }"""
        )
        if where is None:
            break
        reached.append(where)
    assert all(each["outline"] != "none" for each in reached), reached
    names = " ".join(each["what"] for each in reached)
    for part in ("mark", "theme", "chip group-0", "grid", "round", "Two classes"):
        assert part in names
    assert sum(each["what"] == "grid" for each in reached) == 1


def test_nothing_moves_where_motion_is_not_wanted(show: Open) -> None:
    moving = """() => [...document.querySelectorAll("*")].filter(e => {
        const s = getComputedStyle(e);
        return parseFloat(s.transitionDuration) > 0 || s.animationName !== "none" || s.scrollBehavior === "smooth";
    }).length"""
    assert show("view=gallery").evaluate(moving) == 0
    assert show("view=gallery", motion="no-preference").evaluate(moving) > 0


def test_bars_shading_and_what_is_pressed_are_seen_where_the_system_takes_the_colours_away(show: Open) -> None:
    drawn = """([selector, property]) => {
        const found = [...document.querySelectorAll(selector)].map(e => getComputedStyle(e)[property]);
        return [found.length, [...new Set(found)]];
    }"""
    tab = show()
    tab.emulate_media(forced_colors="active")
    try:
        for view, mark, ground in (
            ("gallery", ".bars .fill", ".track"),
            ("classes", ".meter .fill", ".track"),
            ("overview", "#masthead nav a[aria-current]", "#masthead nav a:not([aria-current])"),
        ):
            turn_to(tab, view)
            edge = "borderBottomColor" if view == "overview" else "backgroundColor"
            (many, of_mark), (_, of_ground) = (tab.evaluate(drawn, [each, edge]) for each in (mark, ground))
            assert many
            assert len(of_mark) == len(of_ground) == 1
            assert of_mark != of_ground, view
        turn_to(tab, "confusions")
        cells, shading = tab.evaluate(drawn, [".matrix button", "backgroundImage"])
        assert cells == 100
        assert all("gradient" in each for each in shading)
        turn_to(tab, "gallery")
        tab.locator(".chip.group-0").click()
        _, pressed = tab.evaluate(drawn, [".chip[aria-pressed=true]", "backgroundColor"])
        assert pressed != tab.evaluate(drawn, [".chip[aria-pressed=false]", "backgroundColor"])[1]
    finally:
        tab.emulate_media(forced_colors="none")
