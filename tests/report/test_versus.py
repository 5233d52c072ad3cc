"""Two runs picture by picture, and what stands under the score."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.report.chromium import Expect, Open, settled

from snellen.metrics.compare import compare
from snellen.predict.predictions import Predictions
from snellen.report.encoding import packed
from snellen.report.page import Page
from snellen.report.predictions import predictions_json, versus_json
from snellen.serialize import to_json

pytestmark = pytest.mark.browser


def answers(labels: np.ndarray, ids: np.ndarray, names: tuple[str, ...], wrong: set[int]) -> Predictions:
    logits = np.zeros((len(labels), len(names)), dtype=np.float32)
    said = np.array([(label + 1) % len(names) if row in wrong else label for row, label in enumerate(labels)])
    logits[np.arange(len(labels)), said] = 4 + np.arange(len(labels)) / 100
    return Predictions(logits, labels, ids, names, "val")


@pytest.fixture
def two_runs(page: Page) -> Page:
    """The first is wrong on pictures 0 to 5, the second on 3 to 7, of 30."""
    count, names = page.sprites["val"].count, tuple(page.content["data"]["classes"])
    labels, ids = np.arange(count, dtype=np.int64) % 9, np.arange(count, dtype=np.int64)  # nothing is of the tenth
    runs = {0: answers(labels, ids, names, set(range(6))), 1: answers(labels, ids, names, set(range(3, 8)))}
    geometry = {number: page.content["splits"]["val"]["runs"][number]["geometry"] for number in ("0", "1")}
    val = {
        **page.content["splits"]["val"],
        "ids": packed(ids, "i4"),
        "labels": packed(labels, "u2"),
        "versus": versus_json(runs),
        "runs": {
            str(number): {**predictions_json(each, np.arange(count)), "geometry": geometry[str(number)]}
            for number, each in runs.items()
        },
    }
    return dataclasses.replace(page, content={**page.content, "splits": {"val": val}})


def test_what_was_fixed_and_broken_is_counted_shown_and_opened(show: Open, two_runs: Page) -> None:
    tab = show("view=versus&run=1", content=two_runs)
    told = {
        name: tab.locator(f".outcome.{name} h3 .soft").inner_text().split()[0] for name in ("fixed", "broken", "both")
    }
    assert told == {"fixed": "3", "broken": "2", "both": "3"}
    said = tab.locator(".versus").inner_text()
    assert "3 fixed, 2 broken" in said
    assert "Their recipes are the same." in said
    tab.locator(".outcome.broken .link").click()
    found = settled(tab).locator(".found").inner_text()
    assert "2 val pictures" in found
    assert "wrong in second" in found
    assert tab.locator(".portrait figcaption b").inner_text() in ("#6", "#7")
    assert "✓" in tab.locator(".other-runs").inner_text()


def test_the_picture_stays_when_the_run_changes(show: Open, two_runs: Page, expect: Expect) -> None:
    tab = show("view=gallery", content=two_runs)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    before = settled(tab).locator(".portrait figcaption b").inner_text()
    tab.get_by_label("Run").select_option("1")
    expect(settled(tab).locator(".badge")).to_be_visible()
    assert "run=1" in tab.evaluate("location.hash")
    assert tab.locator(".portrait figcaption b").inner_text() == before


def test_both_directions_are_compared_as_the_metrics_room_does() -> None:
    labels, ids = np.arange(20, dtype=np.int64) % 3, np.arange(20, dtype=np.int64)
    runs = {number: answers(labels, ids, ("a", "b", "c"), {number, 7}) for number in (0, 2, 5)}
    found = {(each["first"], each["second"]): each["difference"] for each in versus_json(runs)}
    assert len(found) == 6
    assert found[2, 5] == to_json(compare(runs[2], runs[5]))


def test_failed_guards_stand_under_the_score_and_no_test_set_is_spoken_of_that_there_is_not(
    show: Open, two_runs: Page
) -> None:
    guards = [
        {"name": "class-answers", "passed": False, "severity": "warning", "evidence": "tulips is never answered."},
        {"name": "overfit-gap", "passed": False, "severity": "note", "evidence": "7 points"},
        {"name": "finite-loss", "passed": True, "severity": "warning", "evidence": "fine"},
    ]
    content = {**two_runs.content, "data": {**two_runs.content["data"], "has_test": False}}
    content["runs"] = [{**run, "guards": guards} for run in content["runs"]]
    tab = show(content=dataclasses.replace(two_runs, content=content))
    told = tab.locator(".headline").inner_text()
    assert "class-answers: tulips is never answered." in told
    assert "1 note of the guards: overfit-gap." in told
    assert "finite-loss" not in told
    assert "no test set" in told
    tab.evaluate("location.hash = 'view=record'")
    assert "no test part" in settled(tab).locator(".record").inner_text()


def test_pictures_can_be_sorted_and_narrowed_by_confidence(show: Open, two_runs: Page) -> None:
    tab = show("view=gallery&sort=unsure", content=two_runs)
    ids = []
    for _ in range(4):
        ids.append(int(settled(tab).locator(".portrait figcaption b").inner_text()[1:]))
        tab.keyboard.press("ArrowRight")
    assert ids == [0, 1, 2, 3]
    assert "the least sure first" in tab.locator(".found").inner_text()
    low = tab.get_by_label("Confidence at least")
    low.focus()
    tab.keyboard.press("End")
    assert "0 val pictures" in settled(tab).locator(".found").inner_text()
    assert "100 to 100" in tab.locator(".sure-range output").inner_text()
