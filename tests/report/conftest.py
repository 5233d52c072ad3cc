"""A small page, made once: two runs on the little eye chart, eight pictures looked at closely; and a browser."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snellen.data import catalog
from snellen.data.dataset import Dataset
from snellen.evaluate.robustness import RobustnessCard, RobustnessRow
from snellen.metrics.compare import paired_difference
from snellen.metrics.intervals import Rate
from snellen.report.bundle import bundle_html
from snellen.report.encoding import packed
from snellen.report.page import Options, Page, build_page
from snellen.runs.run import Run
from snellen.serialize import to_json


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory, finished_run: Run, tiny_dataset: Dataset) -> Page:
    """The page of a run and a copy of it under another name; copy it before changing anything in it."""
    other = tmp_path_factory.mktemp("other") / "second"
    shutil.copytree(finished_run.folder, other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog._LOADERS, "eyechart", lambda data, download, progress: tiny_dataset)
        return build_page([finished_run, Run(other)], Options(layer_views=8, device="cpu"))


@pytest.fixture
def renamed(page: Page) -> Callable[[str], Page]:
    """The page with a first class and a first run of another name."""

    def rename(name: str) -> Page:
        content = dict(page.content)
        content["data"] = {**content["data"], "classes": [name, *content["data"]["classes"][1:]]}
        content["runs"] = [{**content["runs"][0], "name": name}, *content["runs"][1:]]
        return dataclasses.replace(page, title=name, content=content)

    return rename


@pytest.fixture
def graded_run(own_run: Run, small_eyechart: None, tmp_path: Path) -> Run:
    """A run that was graded on the test set, on the record."""
    from snellen.evaluate.test_set import evaluate_on_test, ledger_of

    evaluate_on_test([own_run], ledger_of(own_run), reason="a test", device="cpu")
    return own_run


@pytest.fixture
def with_robustness(page: Page) -> Page:
    """The page of a run that was also graded on two corruptions, of which the second costs 12 points."""
    clean = np.arange(100) < 90
    rows = tuple(
        RobustnessRow("brightness", severity, paired_difference(clean, np.arange(100) < right))
        for severity, right in (("x 0.75", 89), ("x 0.50", 78))
    )
    card = to_json(RobustnessCard(Rate(90, 100), rows))
    return dataclasses.replace(
        page, content={**page.content, "runs": [{**run, "robustness": card} for run in page.content["runs"]]}
    )


@pytest.fixture
def with_second_map(page: Page, rng: np.random.Generator) -> Page:
    """The page as `--map tsne` writes it, with random places instead."""
    val = page.content["splits"]["val"]
    points = packed(rng.normal(size=(page.sprites["val"].count, 2)), "f4")
    runs = {
        number: {
            **answers,
            "geometry": {
                **answers["geometry"],
                "maps": [*answers["geometry"]["maps"], {"name": "t-SNE", "points": points}],
            },
        }
        for number, answers in val["runs"].items()
    }
    return dataclasses.replace(page, content={**page.content, "splits": {"val": {**val, "runs": runs}}})


@pytest.fixture(scope="session")
def page_file(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page as a file."""
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(bundle_html(page.title, page.content, page.sprites), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def tabs(chromium: Any) -> Callable[..., tuple[Any, list[str]]]:
    """One tab for each kind of window, kept from test to test, with the list of what it complains about."""
    kept: dict[tuple[int, bool, str], tuple[Any, list[str]]] = {}

    def local(asked: Any) -> bool:
        return bool(asked.url.startswith(("file:", "blob:", "data:", "about:")))

    def tab_of(width: int, dark: bool, motion: str) -> tuple[Any, list[str]]:
        if (width, dark, motion) not in kept:
            tab = chromium.new_page(
                viewport={"width": width, "height": 844},
                color_scheme="dark" if dark else "light",
                reduced_motion=motion,
            )
            complaints: list[str] = []
            tab.on("console", lambda message: complaints.append(message.text))
            tab.on("pageerror", lambda error: complaints.append(str(error)))
            tab.on("request", lambda asked: local(asked) or complaints.append(asked.url))
            kept[width, dark, motion] = tab, complaints
        return kept[width, dark, motion]

    return tab_of


@pytest.fixture
def show(
    tabs: Callable[..., tuple[Any, list[str]]], page: Page, page_file: Path, tmp_path: Path
) -> Iterator[Callable[..., Any]]:
    """Open the page at an address; at the end nothing may have been asked of a network or complained about."""
    used: list[list[str]] = []

    def visit(
        address: str = "", *, content: Page = page, width: int = 1280, dark: bool = False, motion: str = "reduce"
    ) -> Any:
        file = page_file
        if content is not page:
            file = tmp_path / "report.html"
            file.write_text(bundle_html(content.title, content.content, content.sprites), encoding="utf-8")
        tab, complaints = tabs(width, dark, motion)
        used.append(complaints)
        tab.goto("about:blank")  # else a new address of the same file would only be a jump inside it
        tab.mouse.move(0, 0)
        tab.goto(f"{file.as_uri()}#{address}")
        tab.wait_for_selector("html[data-ready]", state="attached")
        return tab

    yield visit
    complained = [text for complaints in used for text in complaints]
    for complaints in used:
        complaints.clear()
    assert complained == []
