"""Doubted labels of train and val in the page: the whole loop by keys, and what the saved file says."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.report.chromium import Expect, Open, settled

from snellen.cli.main import main
from snellen.data.run_images import images_of
from snellen.predict.predictions import Predictions
from snellen.report import shown
from snellen.report.page import Options, Page, build_page
from snellen.report.shown import shown_doubts
from snellen.runs.run import open_run
from snellen.train.out_of_fold import Doubts

pytestmark = pytest.mark.browser

KINDS = ("across", "dots", "down")
WRONG = {"dots/3.png": "across", "down/5.png": "dots", "across/2.png": "down", "across/9.png": "dots"}
"""Planted: the file, and what it shows."""


@pytest.fixture(autouse=True)
def forgotten(tabs: Callable[..., tuple[Any, list[str]]]) -> Any:
    yield
    tab, _ = tabs(1280, False, "reduce")
    tab.evaluate("() => localStorage.clear()")


def pattern(kind: str, rng: np.random.Generator) -> Image.Image:
    """48x48 pixels of bands across, bands down, or dots, in colours that say nothing."""
    rows, columns = np.mgrid[0:48, 0:48] + rng.integers(0, 12, 2)[:, None, None]
    lit = {
        "across": rows % 12 < 6,
        "down": columns % 12 < 6,
        "dots": (rows % 12 - 6) ** 2 + (columns % 12 - 6) ** 2 < 16,
    }[kind]
    dark, light = rng.integers(0, 100, 3), rng.integers(156, 256, 3)
    noise = rng.integers(0, 20, (48, 48, 3))
    return Image.fromarray((np.where(lit[..., None], light, dark) // 2 + noise + 40).astype(np.uint8))


@pytest.fixture
def patterns(tmp_path: Path) -> Path:
    """Three classes of 22 pictures each, of which four lie in the wrong folder."""
    rng, folder = np.random.default_rng(5), tmp_path / "patterns"
    for kind in KINDS:
        (folder / kind).mkdir(parents=True)
        for n in range(22):
            pattern(WRONG.get(f"{kind}/{n}.png", kind), rng).save(folder / kind / f"{n}.png")
    return folder


@pytest.mark.long
def test_found_marked_by_keys_saved_trained_with_and_compared(
    patterns: Path,
    tabs: Callable[..., tuple[Any, list[str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    train = ["train", "patterns", "--recipe", "small_cnn", "--size", "32", "--set", "epochs=1", "widths=[4,4,8,8]"]
    assert main([*train, "--name", "before"]) == 0
    assert main(["report", "runs/before", "--labels", "--layer-views", "0"]) == 0
    live = build_page([open_run(Path("runs/before"))], Options(layer_views=0, labels=True, live=True, device="cpu"))
    assert set(live.originals["doubted"].names.values()) >= set(WRONG)  # a viewer shows their files
    tab, complaints = tabs(1280, False, "reduce")
    tab.goto(Path("runs/before/report.html").resolve().as_uri() + "#view=labels")
    tab.wait_for_selector("html[data-ready]", state="attached")
    said = {}
    for _ in range(int(tab.locator(".found").inner_text().split()[0])):
        name, label = tab.locator(".file-name code").inner_text(), tab.locator(".is strong").inner_text()
        bars = [text.split("\n")[0].strip() for text in tab.locator(".bars .name").all_inner_texts()]
        keys = {"across/2.png": "u", "across/9.png": "x"}  # two that are wrong, and somebody cannot say, or has enough
        said[name] = keys.get(name, str(bars.index(WRONG[name]) + 1) if name in WRONG else "f")
        assert label == name.partition("/")[0]
        tab.keyboard.press(said[name])
        settled(tab)
    assert set(said) >= set(WRONG)
    with tab.expect_download() as waiting:
        tab.locator(".tray .strong").press("Enter")
    waiting.value.save_as("corrections.csv")
    assert complaints == []

    assert main([*train, "--name", "after", "--corrections", "corrections.csv"]) == 0
    mended = images_of(open_run(Path("runs/after"))).dataset.train
    labels = dict(zip(mended.names, (mended.class_names[label] for label in mended.labels), strict=True))
    every = {f"{kind}/{n}.png": kind for kind in KINDS for n in range(22)}
    expected = every | {"dots/3.png": "across", "down/5.png": "dots"}
    assert labels == {name: label for name, label in expected.items() if name != "across/9.png"}
    capsys.readouterr()
    assert main(["compare", "runs/before", "runs/after"]) == 0
    assert "corrections" in capsys.readouterr().out
    assert main(["doctor", "patterns", "--size", "32", "--labels", "--corrections", "corrections.csv", "--json"]) == 0
    assert not {issue["name"] for issue in json.loads(capsys.readouterr().out)["issues"]} & set(said)


@pytest.fixture
def doubts(tiny_dataset: Any) -> Doubts:
    """Five pictures of train and val, the one most doubted first."""
    images = tiny_dataset.train
    logits = np.zeros((len(images), images.num_classes), dtype=np.float32)
    logits[np.arange(len(images)), images.labels] = 3
    rows = np.array([40, 7, 250, 99, 12], dtype=np.int64)
    for rank, row in enumerate(rows):
        logits[row] = 0
        logits[row, (images.labels[row] + 1) % images.num_classes] = 9 - rank
    answers = Predictions.of(images, logits)
    return Doubts(images, answers, rows, np.stack([rows + 1, rows + 2, rows + 3], axis=1), ())


@pytest.fixture
def doubting(page: Page, doubts: Doubts) -> Page:
    """The page with the five, and two earlier corrections."""
    images = doubts.images
    _, doubted, sheets = shown_doubts(doubts)
    before = [["gone.png", "00000000000000aa", "C", "D", "wrong"], ["", hash_of(images, 7), "Z", "", "wrong"]]
    before[1][3] = images.class_names[images.labels[7]]
    content = {**page.content, "doubted": doubted, "data": {**page.content["data"], "corrections": before}}
    content["sprites"] = {**page.content["sprites"], **{name: sheet.about() for name, sheet in sheets.items()}}
    return dataclasses.replace(page, content=content, sprites={**page.sprites, **sheets})


def hash_of(images: Any, row: int) -> str:
    return f"{int(images.identities[row]):016x}"


def test_the_most_doubted_come_first_with_what_is_most_like_them(
    show: Open, doubting: Page, tiny_dataset: Any, expect: Expect
) -> None:
    images = tiny_dataset.train
    tab = show(content=doubting)
    tab.get_by_role("button", name="5 labels of train and val are doubted").click()
    expect(settled(tab).locator(".found")).to_contain_text("5 doubted pictures, the most doubted labels first")
    assert "5 of 300 in train and val are doubted" in tab.locator("h2").inner_text()
    seen = []
    for _ in range(5):
        seen.append(int(tab.locator(".portrait figcaption b").inner_text()[1:]))
        tab.keyboard.press("ArrowRight")
        settled(tab)
    assert seen == images.ids[[40, 7, 250, 99, 12]].tolist()
    alike = [images.class_names[images.labels[row]] for row in (13, 14, 15)]
    assert tab.locator(".looks figcaption").all_inner_texts() == alike
    assert "≠ label" in tab.locator(".badge").inner_text()
    assert "It looks like" in tab.locator(".says").inner_text()
    assert tab.locator(".filters .chip").count() == 0
    assert tab.locator(".note").inner_text().startswith("Looks like ")


def test_where_not_all_fit_into_a_file_the_most_doubted_are_in_it(
    doubts: Doubts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "_room", lambda images, count, *, every: (3, None))
    found, content, sheets = shown_doubts(doubts)
    assert found.rows.tolist() == [7, 40, 250]  # in the order of the data
    assert (content["found"], len(content["alike"]), sheets["doubted"].count) == (5, 3, 3)


def test_marks_of_both_galleries_and_earlier_corrections_are_one_file(
    show: Open, doubting: Page, tiny_dataset: Any
) -> None:
    images = tiny_dataset.train
    tab = show("view=labels", content=doubting)
    tab.keyboard.press("w")
    settled(tab)
    tab.keyboard.press("2")  # of a label that was corrected once: by now the data have another one
    settled(tab)
    tab.evaluate("location.hash = 'view=gallery'")
    settled(tab).keyboard.press("x")
    settled(tab)
    assert "the 2 corrections that this run was trained with" in tab.locator(".tray").inner_text()
    with tab.expect_download() as waiting:
        tab.locator(".tray .strong").click()
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text(encoding="utf-8"), newline="")))
    names, first, second = images.class_names, images.labels[40], images.labels[7]
    assert [list(row.values()) for row in rows[:3]] == [
        ["gone.png", "00000000000000aa", "C", "D", "wrong"],
        ["#40", hash_of(images, 40), names[first], names[(first + 1) % 10], "wrong"],
        ["#7", hash_of(images, 7), "Z", rows[2]["new"], rows[2]["why"]],
    ]
    assert rows[2]["new"] != names[second] or rows[2]["why"] == "fine"
    assert [row["new"] for row in rows[3:]] == ["-"]
