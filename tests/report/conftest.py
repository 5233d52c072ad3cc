"""A small page, made once: two runs on the little eye chart, eight pictures looked at closely."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from snellen.data import catalog
from snellen.data.dataset import Dataset
from snellen.report.page import Options, Page, build_page
from snellen.runs.run import Run


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: drives a real Chromium; skipped with the reason where there is none")


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory, finished_run: Run, tiny_dataset: Dataset) -> Page:
    """The page of a run and a copy of it under another name; copy it before changing anything in it."""
    other = tmp_path_factory.mktemp("other") / "second"
    shutil.copytree(finished_run.folder, other)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog._LOADERS, "eyechart", lambda data, download, progress: tiny_dataset)
        return build_page([finished_run, Run(other)], Options(glasses=8, device="cpu"))


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
    from snellen.train.judge import judge_on_test, ledger_of

    judge_on_test([own_run], ledger_of(own_run), reason="a test", device="cpu")
    return own_run
