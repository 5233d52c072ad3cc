"""The page in a real browser: every view, by pointer and by keys, on a phone, in the dark, with a hostile name.

Nothing here waits for time: after whatever changes the address, `settled` waits until the page says that it shows it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.report.chromium import Expect, Open, all_painted, settled

from snellen.report.page import Page

pytestmark = pytest.mark.browser

EVIL = '<img src=x onerror="document.title=1">'
VIEWS = ("overview", "gallery", "confusions", "versus", "curves", "inside", "pipeline", "classes", "map", "record")


def turn_to(tab: Any, address: str) -> None:
    tab.evaluate("address => { location.hash = address }", address)
    settled(tab)


def shown_id(tab: Any) -> str:
    return str(settled(tab).locator(".portrait figcaption b").inner_text())


# The page as a whole


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_fits_its_width_in_both_colours_without_a_complaint(show: Open, width: int, dark: bool) -> None:
    tab = show(width=width, dark=dark)
    for view in VIEWS:
        turn_to(tab, f"view={view}")
        assert tab.locator("nav a[aria-current]").get_attribute("href").endswith(f"view={view}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, view
        assert tab.locator("main section").first.is_visible()
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] > 128")
    assert light is not dark


def test_a_class_called_like_markup_is_read_and_not_run(show: Open, renamed: Callable[[str], Page]) -> None:
    tab = show(content=renamed(EVIL))
    for view in VIEWS:
        turn_to(tab, f"view={view}")
        assert tab.locator("img").count() == 0
    assert tab.title() == f"{EVIL} · Snellen"
    turn_to(tab, "view=classes")
    assert EVIL in tab.locator(".classes tbody th").all_inner_texts()


def test_an_address_that_makes_no_sense_still_shows_a_page(show: Open) -> None:
    tab = show("view=nonsense&i=abc&true=99&pair=9-99&run=7&split=moon")
    assert tab.locator("nav a[aria-current]").inner_text() == "Overview"
    turn_to(tab, "view=gallery&true=99&pair=9-99")
    assert "No picture fits" in tab.locator(".suspect").inner_text()
    turn_to(tab, "view=confusions&true=99&said=0")
    assert tab.locator(".matrix").count() == 1


def test_the_other_run_can_be_chosen_and_the_theme_turned(show: Open, expect: Expect) -> None:
    tab = show("view=record")
    tab.get_by_label("Run").select_option("1")
    expect(tab.locator("main h2").first).to_have_text("second")
    for theme in ("light", "dark"):
        tab.locator(".theme").click()
        expect(tab.locator(f"html[data-theme={theme}]")).to_have_count(1)
    tab.locator(".theme").click()
    expect(tab.locator("html:not([data-theme])")).to_have_count(1)


# Questions that the page must answer by itself


def test_the_first_page_names_the_two_worst_pairs_three_sure_mistakes_and_what_is_looked_at(
    show: Open, page: Page
) -> None:
    tab = show()
    answers = page.content["splits"]["val"]["runs"]["0"]
    names = page.content["data"]["classes"]
    told = tab.locator(".pair-brief strong").all_inner_texts()
    assert told == [f"{names[pair['first']]} ↔ {names[pair['second']]}" for pair in answers["pairs"][:2]]
    assert tab.locator(".mugshot").count() == min(3, answers["groups"][3]["share"]["hits"])
    assert tab.locator(".glance").count() >= 1
    all_painted(tab, ".glance canvas:not(.shade)")


def test_the_first_page_says_of_which_split_it_speaks(show: Open) -> None:
    tab = show()
    assert "right on 30 val pictures" in tab.locator(".headline").inner_text()
    assert "test set is not in this page" in tab.locator(".headline").inner_text()


# Gallery


def test_pictures_are_drawn_with_their_own_pixels(show: Open) -> None:
    tab = show("view=gallery")
    all_painted(tab, ".portrait canvas")
    assert tab.evaluate("getComputedStyle(document.querySelector('.portrait canvas')).imageRendering") == "pixelated"
    assert tab.locator(".portrait canvas").get_attribute("width") == "32"
    tab.wait_for_function("() => getComputedStyle(document.querySelector('.tile')).backgroundImage.includes('blob:')")
    tile = Image.open(io.BytesIO(tab.locator(".tile").nth(1).screenshot()))
    assert len(tile.getcolors(10_000)) > 16  # a picture, not the ground it lies on


def test_arrows_go_from_picture_to_picture_and_the_address_follows(show: Open) -> None:
    tab = show("view=gallery")
    first = shown_id(tab)
    tab.keyboard.press("ArrowRight")
    second = shown_id(tab)
    assert second != first
    assert tab.evaluate("location.hash") == f"#i={second.removeprefix('#')}"
    tab.keyboard.press("ArrowLeft")
    assert shown_id(tab) == first
    tab.keyboard.press("ArrowDown")  # a row further on, which at this width is several pictures
    below = shown_id(tab)
    assert below not in (first, second)
    tab.keyboard.press("ArrowUp")
    assert shown_id(tab) == first


def test_on_a_phone_a_tapped_picture_comes_into_sight(show: Open) -> None:
    tab = show("view=gallery", width=390)
    tile = tab.locator(".tile").nth(9)
    tab.evaluate("document.querySelector('.grid').scrollIntoView({ block: 'end' })")
    assert tab.evaluate("document.querySelector('.portrait canvas').getBoundingClientRect().top") < 0
    tile.click()
    shown_id(tab)
    head, top = tab.evaluate(
        """() => ["#masthead", ".portrait canvas"].map((s) => document.querySelector(s).getBoundingClientRect())
            .map(({ top, bottom }, n) => n ? top : bottom)"""
    )
    assert head <= top < 400


def test_an_address_with_an_id_opens_that_picture(show: Open) -> None:
    tab = show("view=gallery")
    tab.keyboard.press("End")
    last = shown_id(tab)
    assert shown_id(show(f"i={last.removeprefix('#')}")) == last


def test_the_bars_fall_and_the_verdict_agrees_with_the_group(show: Open, expect: Expect) -> None:
    tab = show("view=gallery")
    values = [float(text.split()[-2]) for text in tab.locator(".bars .value").all_inner_texts()]
    assert len(values) == 5
    assert values == sorted(values, reverse=True)
    assert 0 < sum(values) <= 100.3
    for group, verdict in ((0, "right"), (1, "right"), (2, "wrong"), (3, "wrong")):
        chip = tab.locator(f".chip.group-{group}")
        held = int(chip.locator("b").inner_text())
        chip.click()
        expect(settled(tab).locator(".found")).to_contain_text(f"{held} val picture")
        assert tab.locator(".badge").count() == bool(held)
        if held:
            assert verdict in tab.locator(".badge").inner_text()
            assert tab.locator(".note").inner_text()


def test_slash_searches_and_words_filter(show: Open, expect: Expect) -> None:
    tab = show("view=gallery")
    tab.keyboard.press("/")
    tab.keyboard.type("wrong")
    found = tab.locator(".found")
    expect(found).not_to_contain_text("30 val pictures")
    assert settled(tab).locator(".tile:not(.is-wrong)").count() == 0
    tab.locator("input[type=search]").fill("no such class")
    expect(found).to_contain_text("0 val pictures")
    assert "No picture fits" in settled(tab).locator(".suspect").inner_text()
    tab.keyboard.press("Escape")
    expect(found).to_contain_text("30 val pictures")


def test_a_class_and_a_pair_can_be_chosen_and_the_counts_are_those_of_the_matrix(
    show: Open, page: Page, expect: Expect
) -> None:
    tab = show("view=gallery")
    answers = page.content["splits"]["val"]["runs"]["0"]
    found = tab.locator(".found")
    tab.get_by_label("is", exact=True).select_option("0")
    expect(found).to_contain_text(f"{sum(answers['matrix'][0])} val picture")
    tab.get_by_label("is", exact=True).select_option("")
    pair = answers["pairs"][0]
    tab.get_by_label("Two classes taken for each other").select_option(f"{pair['first']}-{pair['second']}")
    expect(found).to_contain_text(f"{pair['count']} val picture")
    assert f"pair={pair['first']}-{pair['second']}" in settled(tab).evaluate("location.hash")


def test_what_it_looks_at_stands_beside_pictures_with_layer_views(show: Open, expect: Expect) -> None:
    tab = show("view=gallery")
    tab.get_by_role("button", name="with layer views").click()
    expect(tab.locator(".found")).to_contain_text("8 val pictures")
    all_painted(settled(tab), ".looks canvas:not(.shade)")
    assert tab.locator(".looks figcaption").all_inner_texts() == ["Plain", "Early", "Middle", "Late"]


# Confusions


def test_a_cell_shows_as_many_pictures_as_it_counts(show: Open, expect: Expect) -> None:
    tab = show("view=confusions")
    cell = tab.locator(".matrix button.some, .matrix button.deep").first
    count, named = int(cell.inner_text()), str(cell.get_attribute("aria-label")).rpartition(":")[0]
    cell.click()
    side = settled(tab).locator(".evidence .side").first
    expect(side.locator("h3")).to_have_text(named)
    assert side.locator(".strip button").count() == count
    side.get_by_text("Open in the gallery").click()
    expect(settled(tab).locator(".found")).to_contain_text(f"{count} val picture")


def test_pairs_are_ranked_with_both_directions_and_a_strip_opens_its_pair_alone(show: Open, page: Page) -> None:
    tab = show("view=confusions&true=9&said=0")
    pairs = page.content["splits"]["val"]["runs"]["0"]["pairs"]
    counts = [int(text.split()[0]) for text in tab.locator(".pair-count").all_inner_texts()]
    assert counts == [pair["count"] for pair in pairs[:10]]
    assert counts == sorted(counts, reverse=True)
    tab.locator(".pair-strips .strip button").first.click()
    first = pairs[0]
    assert f"{first['count']} val picture" in settled(tab).locator(".found").inner_text()
    assert "outside the filter" not in tab.locator(".portrait").inner_text()


def test_closeness_of_centroids_stands_beside_with_the_rank_correlation(show: Open, page: Page) -> None:
    tab = show("view=confusions")
    geometry = page.content["splits"]["val"]["runs"]["0"]["geometry"]
    cells = tab.locator(".closeness tbody tr").first.locator("td").all_inner_texts()
    assert len(cells) == 10
    told = float(cells[3].replace("−", "-"))
    cosine = np.frombuffer(base64.b64decode(geometry["cosine"]["data"]), dtype="<f4").reshape(10, 10)
    assert told == pytest.approx(cosine[0, 3], abs=0.0051)
    if geometry["nearness_and_errors"] is not None:
        assert "rank correlation" in tab.locator(".nearness").inner_text()
        assert tab.locator(".nearness circle").count() == 45


# Curves


def test_the_slider_moves_the_readout_and_a_run_can_be_hidden(show: Open, expect: Expect) -> None:
    tab = show("view=curves")
    expect(tab.locator(".plot .line.val")).to_have_count(2)
    expect(tab.locator(".plot .band")).to_have_count(1)  # two runs of one recipe
    readout = tab.locator(".readout")
    at_end = readout.inner_text()
    tab.locator("input[type=range]").focus()
    tab.keyboard.press("ArrowLeft")
    expect(tab.locator(".scrubber output")).to_have_text("epoch 1 of 2")
    assert readout.inner_text() != at_end
    tab.locator(".run-key input").first.click()
    expect(tab.locator(".plot .line.val")).to_have_count(1)
    solid, dashed = (
        tab.evaluate(f"getComputedStyle(document.querySelector('.plot .line.{part}')).strokeDasharray")
        for part in ("train", "val")
    )
    assert solid == "none"
    assert dashed != "none"


def test_the_smoothed_loss_is_drawn_with_its_floor_and_the_captions_hold_the_figures(
    show: Open, page: Page, expect: Expect
) -> None:
    tab = show("view=curves")
    tab.get_by_role("button", name="Loss as trained").click()
    floor = page.content["runs"][0]["loss_floor"]
    assert floor == pytest.approx(0.5003, abs=1e-4)  # the entropy of labels smoothed by 0.1 over ten classes
    expect(tab.locator(".plot .floor-name")).to_have_text(f"floor of the smoothed loss, {floor:.3f}")
    caption = tab.locator(".captions p").first.inner_text()
    last = page.content["runs"][0]["journal"][-1]
    ece = page.content["splits"]["val"]["runs"]["0"]["calibration"]["ece"]
    assert f"{100 * abs(last['train/accuracy'] - last['val/accuracy']):.1f} points" in caption
    assert f"ECE {100 * ece:.1f}" in caption
    assert "between the last two looks" in caption


# Inside


def test_layer_views_show_maps_patches_and_neighbours(show: Open, expect: Expect) -> None:
    tab = show("view=inside")
    assert tab.locator(".layer").count() == 3
    for selector in (".cams canvas:not(.shade)", ".near canvas", ".patches canvas", ".filter-grid canvas"):
        all_painted(tab, selector)
    chosen = tab.locator(".chooser [aria-pressed=true]")
    before = chosen.get_attribute("data-row")
    tab.keyboard.press("ArrowRight")
    expect(settled(tab).locator(".chooser [aria-pressed=true]")).not_to_have_attribute("data-row", before)


# Classes and map


def test_the_class_table_sorts_by_its_headings(show: Open) -> None:
    tab = show("view=classes")
    names = tab.locator(".classes tbody th")
    tab.get_by_role("button", name="class", exact=True).click()
    assert names.all_inner_texts() == sorted(names.all_inner_texts())
    tab.locator(".classes thead button").first.click()
    assert names.all_inner_texts() == sorted(names.all_inner_texts(), reverse=True)
    assert tab.locator(".classes th[aria-sort=descending]").count() == 1


def test_a_run_without_robustness_says_how_to_measure_it_and_one_with_it_shows_it(
    show: Open, with_robustness: Page
) -> None:
    said = show("view=classes").locator(".pair-columns").inner_text()
    assert "Not measured" in said
    assert "--robustness" in said
    card = show("view=classes", content=with_robustness).locator(".robustness")
    assert card.locator("tbody tr").count() == 2
    assert "−12.0" in card.inner_text()


def test_the_map_tells_what_is_under_the_pointer_and_under_the_arrows(show: Open, expect: Expect) -> None:
    tab = show("view=map")
    all_painted(tab, ".map-canvas")
    canvas = tab.locator(".map-canvas")
    canvas.focus()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".map-tip")).to_be_visible()
    all_painted(tab, ".map-tip canvas")
    named = tab.locator(".map-tip .small").inner_text()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for x in range(0, int(box["width"]), 12):  # a walk through the middle meets a point sooner or later
        tab.mouse.move(box["x"] + x, box["y"] + box["height"] / 2)
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] - 20)
    expect(tab.locator(".map-tip")).to_be_hidden()
    canvas.focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Enter")
    assert shown_id(tab) == named.split(",")[0]


def test_a_second_map_can_be_chosen_where_there_is_one(show: Open, with_second_map: Page, expect: Expect) -> None:
    assert show("view=map").locator(".map-kinds").count() == 0
    tab = show("view=map", content=with_second_map)
    tsne = tab.get_by_role("button", name="t-SNE")
    expect(tsne).to_have_attribute("aria-pressed", "true")  # it was asked for
    assert "keeps neighbours together" in tab.locator(".feature-map").inner_text()
    tab.get_by_role("button", name="PCA").click()
    expect(tsne).to_have_attribute("aria-pressed", "false")
    assert "of all variance" in tab.locator(".feature-map").inner_text()


def test_a_lasso_tells_what_it_holds_and_the_map_zooms_by_keys(show: Open, expect: Expect) -> None:
    tab = show("view=map")
    tab.get_by_role("button", name="pictures").click()
    canvas = tab.locator(".map-canvas")
    tab.get_by_role("button", name="lasso").click()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2), (2, box["height"] - 2), (2, 4)]
    for at, (x, y) in enumerate(corners):
        tab.mouse.move(box["x"] + x, box["y"] + y)
        if at == 0:
            tab.mouse.down()
    tab.mouse.up()
    expect(tab.locator(".map-chosen h3")).to_have_text("30 pictures")
    assert tab.locator(".map-chosen .strip button").count() == 30
    before = canvas.evaluate("each => each.toDataURL()")
    canvas.focus()
    tab.keyboard.press("+")
    assert canvas.evaluate("each => each.toDataURL()") != before
    tab.get_by_role("button", name="all of it").click()


def test_arrows_go_through_the_matrix_which_is_one_stop_for_tab(show: Open, page: Page) -> None:
    tab = show("view=confusions&true=2&said=2")
    assert tab.locator(".matrix button[tabindex='0']").count() == 1
    tab.locator(".matrix button[tabindex='0']").focus()
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")
    names = page.content["data"]["classes"]
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')").startswith(f"{names[3]}: ")
    tab.keyboard.press("Enter")
    assert settled(tab).locator(".matrix [aria-current]").get_attribute("data-at") == "3 3"
    assert tab.evaluate("document.activeElement.dataset.at") == "3 3"
