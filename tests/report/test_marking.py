"""Marking labels in the page, by keys alone and by pointer, and the file that comes of it."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.report.chromium import Expect, Open, settled

from snellen.report.page import Page

pytestmark = pytest.mark.browser

NAMES = ['=a"b,c.png', "<img src=x onerror=alert(1)>.png", "zwölf/ein bild.png"]


@pytest.fixture
def from_files(page: Page) -> Page:
    """The page as of a folder whose files have names that somebody chose with care."""
    val = page.content["splits"]["val"]
    names = [NAMES[at] if at < len(NAMES) else f"val/{at}.png" for at in range(page.sprites["val"].count)]
    return dataclasses.replace(page, content={**page.content, "splits": {"val": {**val, "names": names}}})


@pytest.fixture(autouse=True)
def forgotten(tabs: Callable[..., tuple[Any, list[str]]]) -> Any:
    yield
    tab, _ = tabs(1280, False, "reduce")
    tab.evaluate("() => localStorage.clear()")


def saved(tab: Any, act: Callable[[], None]) -> list[dict[str, str]]:
    with tab.expect_download() as waiting:
        act()
    assert waiting.value.suggested_filename == "corrections.csv"
    return list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_bytes().decode("utf-8"), newline="")))


def tab_to(tab: Any, name: str) -> None:
    for _ in range(60):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.textContent") == name:
            return
    raise AssertionError(f"{name} cannot be reached by Tab")


def test_keys_alone_mark_four_pictures_and_save_them_as_corrections(
    show: Open, from_files: Page, expect: Expect
) -> None:
    tab = show("view=gallery&sort=name", content=from_files)
    classes = from_files.content["data"]["classes"]
    seen = []
    for key in "wfux":
        seen.append(
            {
                "file": tab.locator(".file-name code").inner_text(),
                "old": tab.locator(".is strong").inner_text(),
                "said": [text.split("\n")[0] for text in tab.locator(".bars .name").all_inner_texts()],
            }
        )
        tab.keyboard.press(key)
        settled(tab)
    expect(tab.locator(".tray [role=status]")).to_contain_text("4 pictures marked")
    assert tab.locator(".tile[data-sign='✗']").count() == 1
    tab_to(tab, "Save corrections.csv")
    rows = saved(tab, lambda: tab.keyboard.press("Enter"))
    assert list(rows[0]) == ["file", "hash", "old", "new", "why"]
    assert [row["file"] for row in rows] == [each["file"] for each in seen]
    assert [row["old"] for row in rows] == [each["old"] for each in seen]
    assert [row["why"] for row in rows] == ["wrong", "fine", "unsure", "leave out"]
    wrong, fine, unsure, out = rows
    assert wrong["new"] in classes
    assert wrong["new"] != wrong["old"]
    assert wrong["new"] == next(name for name in seen[0]["said"] if name != wrong["old"])
    assert (fine["new"], unsure["new"], out["new"]) == (fine["old"], unsure["old"], "-")


def test_the_hash_is_the_pictures_own_and_names_come_through_as_they_are(
    show: Open, from_files: Page, page_identities: dict[int, str]
) -> None:
    tab = show("view=gallery&sort=name", content=from_files)
    for _ in range(from_files.sprites["val"].count):
        tab.keyboard.press("u")
    rows = saved(tab, lambda: tab.locator(".tray .strong").click())
    assert set(NAMES) <= {row["file"] for row in rows}
    assert {row["hash"] for row in rows} == set(page_identities.values())
    assert tab.locator("img").count() == 0


def test_marks_stay_in_this_browser_and_can_be_taken_back(show: Open, from_files: Page, expect: Expect) -> None:
    tab = show("view=gallery", content=from_files)
    select = tab.get_by_label("The class it shows")
    wanted = select.locator("option").last.inner_text()
    select.select_option(wanted)
    expect(tab.locator(".tray [role=status]")).to_contain_text("1 picture marked: 1 wrong")
    tab.reload()
    tab.wait_for_selector("html[data-ready]", state="attached")
    expect(tab.locator(".tray [role=status]")).to_contain_text("1 picture marked")
    assert select.locator("option:checked").inner_text() == wanted
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowLeft")
    settled(tab)
    tab.get_by_role("button", name="wrong", exact=False).filter(has_text="w").last.click()
    expect(tab.locator(".tray")).to_be_hidden()
    assert tab.evaluate("Object.keys(localStorage).filter(key => key.startsWith('snellen-marks')).length") == 0


def test_a_number_names_the_class_as_the_bars_list_it(show: Open, from_files: Page) -> None:
    tab = show("view=gallery&q=wrong", content=from_files)
    third = tab.locator(".bars .name").nth(2).inner_text().split("\n")[0]
    label = tab.locator(".is strong").inner_text()
    tab.keyboard.press("3")
    (row,) = saved(tab, lambda: tab.locator(".tray .strong").click())
    assert row["new"] == third
    assert row["why"] == ("fine" if third.startswith(label) else "wrong")


def test_a_run_without_storage_says_that_marks_are_not_kept(show: Open, from_files: Page, expect: Expect) -> None:
    tab = show("view=gallery", content=from_files)
    tab.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full') } }")
    tab.keyboard.press("u")
    expect(tab.locator(".tray [role=status]")).to_contain_text("keeps nothing")
    tab.reload()


@pytest.fixture
def page_identities(page: Page) -> dict[int, str]:
    """Row in the page -> 16 hex digits, worked out from the run's own file."""
    import base64

    packed = page.content["splits"]["val"]["hashes"]
    values = np.frombuffer(base64.b64decode(packed["data"]), dtype="<u8")
    return {row: f"{value:016x}" for row, value in enumerate(values.tolist())}
