"""The documentation site: it builds strictly, needs no network, and its reference leaves nothing out."""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.documented import options_of
from tests.test_house import ROOT

import snellen
from snellen.cli.main import VERBS
from snellen.recipes import optimizer, recipe
from snellen.runs.run import Run

pytest.importorskip("mkdocs", reason="pip install 'snellen[docs]'")
SCRIPTS = ROOT / "docs" / "site"
LOADS = re.compile(r'<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//|<link[^>]*stylesheet[^>]*href="(?:https?:)?//')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built anew; without --quiet, which hides warnings from --strict too."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.processes
def test_every_page_is_there_and_loads_nothing_from_elsewhere(site: Path) -> None:
    assert (site / "index.html").is_file()
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs")).with_suffix(".html").is_file(), page
    for page in site.rglob("*.html"):
        assert not LOADS.findall(page.read_text(encoding="utf-8")), page
    assert not [path for path in site.rglob("*.css") if "fonts.g" in path.read_text(encoding="utf-8")]


@pytest.mark.processes
def test_python_is_described_name_by_name(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert not [name for name in snellen.__all__ if not re.search(rf'<h2 id="snellen\.[\w.]*{name}"', page)]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("reference")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_table_has_each_of_its_options_with_its_words(verb: str, reference: Any) -> None:
    rows = list(reference.options_of(verb))
    shown = {option.split()[0] for option, _, _ in rows if option.startswith("--")}
    assert shown == set(options_of(importlib.import_module(f"snellen.cli.{verb}").Args))
    assert all(words for _, words, _ in rows)


def test_each_recipe_field_is_described(reference: Any) -> None:
    page = reference.pages()[reference.FIELDS]
    assert {recipe.Recipe, recipe.Augment, optimizer.SGD} < set(reference.PARTS.values())
    for prefix, holder in reference.PARTS.items():
        text = page.partition(f"## `{prefix.removesuffix('.')}`" if prefix else "## Recipe")[2].partition("\n## ")[0]
        for one in dataclasses.fields(holder):
            row = re.search(rf"^\| `(?:[a-z_]+\.)?{one.name}` \|[^|]+\|[^|]+\|( ..[^|]+\|)?$", text, re.MULTILINE)
            assert row, (prefix, one.name)
            assert row[1] or f"`{one.name}`" in text.partition("| field")[0], (prefix, one.name)


def test_each_file_of_a_run_is_described(reference: Any, finished_run: Run) -> None:
    page = reference.pages()[reference.FOLDER]
    files = [path.name + "/" * path.is_dir() for path in finished_run.folder.glob("[!.]*")]
    assert "run.json" in files
    assert not [name for name in files if f"| `{name}` " not in page and f" `{name}` " not in page]


def test_links_lead_to_where_things_are_in_the_site_and_one_to_nothing_is_a_warning(
    reference: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import File
    from mkdocs.structure.pages import Page

    hooks = importlib.import_module("hooks")
    config = MkDocsConfig()
    config.load_dict({"docs_dir": "docs", "site_dir": "site", "use_directory_urls": False})
    page = Page(None, File("scale.md", "docs", "site", False), config)
    moved = lambda text: hooks.on_page_markdown(text, page, config, None)  # noqa: E731
    assert moved("[a](../results/LOG.md#b) [c](tour.md)") == "[a](diary.md#b) [c](tour.md)"
    assert moved("[a](../src/snellen/errors.py)") == "[a](repository/src/snellen/errors.py.txt)"
    assert not caplog.records
    assert moved("`augment.flip` and `mine.flip`") == "[`augment.flip`](reference/fields.md#augment) and `mine.flip`"
    assert moved("as `snellen predict` does") == "as [`snellen predict`](reference/commands.md#predict) does"
    assert moved("```\n`snellen predict`\n```\n") == "```\n`snellen predict`\n```\n"
    assert not caplog.records
    assert moved("[a](../results/nowhere.json)") == "[a](../results/nowhere.json)"
    assert "nowhere.json, which is not there" in caplog.text
