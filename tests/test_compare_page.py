"""docs/compare.md: a source behind every cell, and everything that is named for Snellen is in the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "compare.md"
COLUMNS = ["", "Snellen", "Ultralytics", "fastai", "timm", "Lightning", "AutoGluon"]
GROUPS = ["Data intake", "Training", "Honesty of grading", "Seeing, and using the result"]

_CELL = re.compile(r"\[(?P<text>[^\]]+)\](?:\((?P<path>[^)\s]+)\)|\[(?P<name>[^\]]+)\])")
_DEFINITION = re.compile(r"^\[([^\]]+)\]: (\S+)$", re.MULTILINE)
_REFERENCE = re.compile(r"\]\[([^\]]+)\]")


def tables(page: str) -> dict[str, list[list[str]]]:
    """The rows of each group's table, cell by cell, without header and rule."""
    found: dict[str, list[list[str]]] = {}
    for part in page.split("\n## ")[1:]:
        lines = [line for line in part.splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        if rows and rows[0] == COLUMNS:
            found[part.splitlines()[0]] = rows[2:]
    return found


def heading_anchors(text: str) -> set[str]:
    """What GitHub makes of the headings: lower case, punctuation dropped, spaces as hyphens."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def fault_of_own(path: str) -> str:
    """What is wrong with a path named for Snellen, from docs/; empty if nothing is."""
    name, _, anchor = path.partition("#")
    file = (PAGE.parent / name).resolve()
    if not (file.is_relative_to(ROOT) and file.is_file()):
        return f"{path}: no such file"
    if anchor and anchor not in heading_anchors(file.read_text(encoding="utf-8")):
        return f"{path}: no such heading"
    return ""


def faults(page: str) -> list[str]:
    """Every cell without a source, with one that is not defined, or with a file that is not there."""
    sources = dict(_DEFINITION.findall(page))
    found = []
    for group, rows in tables(page).items():
        for row in rows:
            where = f"{group} / {row[0]}"
            if len(row) != len(COLUMNS) or not row[0]:
                found.append(f"{where}: {len(row)} cells")
                continue
            for column, cell in zip(COLUMNS[1:], row[1:], strict=True):
                match = _CELL.fullmatch(cell)
                if match is None:
                    found.append(f"{where} / {column}: no source in {cell!r}")
                elif column == "Snellen":
                    fault = fault_of_own(match["path"]) if match["path"] else "not a path of this repository"
                    found += [f"{where} / {column}: {fault}"] if fault else []
                elif not (match["path"] or sources.get(match["name"], "")).startswith("https://"):
                    found.append(f"{where} / {column}: {cell!r} leads nowhere")
    return found


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_every_cell_has_a_source_and_what_is_named_for_snellen_exists(page: str) -> None:
    assert faults(page) == []


def test_every_group_has_its_table_and_no_row_stands_twice(page: str) -> None:
    assert list(tables(page)) == GROUPS
    names = [row[0] for rows in tables(page).values() for row in rows]
    assert len(names) >= 20
    assert len(names) == len(set(names))


def test_every_source_is_defined_once_and_used(page: str) -> None:
    defined = [name for name, _ in _DEFINITION.findall(page)]
    assert len(defined) == len(set(defined))
    assert set(_REFERENCE.findall(page)) == set(defined)


@pytest.mark.parametrize(
    ("was", "becomes", "fault"),
    [
        ("| [yes, by content](folders.md#the-split) |", "| yes |", "no source in 'yes'"),
        ("| [yes, by content](folders.md#the-split) |", "| [yes](folder.md#the-split) |", "no such file"),
        ("| [yes, by content](folders.md#the-split) |", "| [yes](folders.md#the-splits) |", "no such heading"),
        ("| [yes, by content](folders.md#the-split) |", "| [yes][ul-data] |", "not a path of this repository"),
        ("| [yes, by content](folders.md#the-split) |", "|", "6 cells"),
        ("[ul-split]: https", "[ul-splits]: https", "leads nowhere"),
        ("[ul-split]: https", "[ul-split]: http", "leads nowhere"),
    ],
)
def test_a_spoiled_page_is_found_out(page: str, was: str, becomes: str, fault: str) -> None:
    assert page.count(was) == 1
    found = faults(page.replace(was, becomes))
    assert len(found) == 1
    assert fault in found[0]
