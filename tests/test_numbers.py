"""Numbers in README and docs come from what is recorded in results."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from snellen.metrics.intervals import Rate, mean_over_seeds

ROOT = Path(__file__).resolve().parents[1]
_TABLE = re.compile(r"<!-- accuracy -->(.*?)<!-- end -->", re.DOTALL)
_SHARE = re.compile(r"\d+\.\d+(?= ?%)|\d+\.\d+ ± \d+\.\d+|\d+\.\d+-\d+\.\d+(?=,|\))")


def _records() -> list[dict[str, Any]]:
    paths = sorted((ROOT / "results" / "accuracy").glob("*/*.json"))
    return [{**json.loads(path.read_text()), "folder": path.parent.name} for path in paths]


def _supported() -> set[str]:
    found: set[str] = set()
    over_seeds: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for record in _records():
        looks = sum("val/accuracy" in row for row in record["epochs"])
        for split, card in record["grades"].items():
            best_of = (
                max(1, looks) if split == "val" else 1
            )  # the epoch was chosen on val, and its interval allows for that
            for view in ("plain", "with_tta"):
                if card[view] is None:
                    continue
                rate = Rate(card[view]["accuracy"]["hits"], card[view]["accuracy"]["n"], best_of)
                low, high = rate.interval()
                found |= {f"{100 * rate.value:.2f}", f"{100 * low:.1f}-{100 * high:.1f}", f"{100 * rate.value:.1f}"}
                chosen = {key: value for key, value in record["recipe"].items() if key not in ("expect", "note")}
                over_seeds[(json.dumps(chosen, sort_keys=True), record["folder"], split, view)].append(rate.value)
    for values in over_seeds.values():
        if len(values) > 1:
            seeds = mean_over_seeds(values)
            assert seeds.half_width is not None
            found |= {f"{100 * seeds.mean:.2f} ± {100 * seeds.half_width:.2f}"}
    return found


@pytest.mark.parametrize("page", ["README.md", "docs/lesson.md"])
def test_every_accuracy_in_a_marked_table_is_that_of_a_recorded_run(page: str) -> None:
    tables = _TABLE.findall((ROOT / page).read_text(encoding="utf-8"))
    assert tables, f"{page} has lost its accuracy table"
    shown = [figure for table in tables for figure in _SHARE.findall(table)]
    assert shown, "the accuracy table shows no number"
    assert set(shown) - _supported() == set()


def test_every_record_names_command_seed_commit_and_machine() -> None:
    records = _records()
    if not records:
        pytest.skip("nothing has been measured yet")
    for record in records:
        environment = record["environment"]
        assert record["command"].startswith(
            ("snellen train", "python -m snellen.bench.seeds", "python -m benchmarks.seeds")
        ), record["run"]
        assert environment["commit"], record["run"]
        assert environment["processor"], record["run"]
        assert isinstance(record["info"]["seed"], int), record["run"]


_RECORD = re.compile(r"\]\(\.\./(results/reliability/[\w.-]+\.json)\)")
_FIGURE = re.compile(r"(?<![\w.-])\d[\d,]*(?:\.\d+)?")


def _figures_in(content: Any) -> set[str]:
    """Every number of a record as it may be written: whole, with one to three decimals, or as a percentage."""
    if isinstance(content, dict):
        return set().union(*map(_figures_in, content.values()))
    if isinstance(content, list):
        return set().union({str(len(content))}, *map(_figures_in, content))
    if isinstance(content, bool) or not isinstance(content, int | float):
        return set()
    return {f"{content:,}", *(f"{content:.{digits}f}" for digits in (1, 2, 3)), *_percentages(content)}


def _percentages(value: float) -> set[str]:
    return {f"{100 * value:.{digits}f}" for digits in (0, 1, 2)} if 0 <= value <= 1 else set()


def test_every_figure_on_the_reliability_page_is_in_the_record_beside_it() -> None:
    rows = [line for line in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()]
    measured = [row.rstrip(" |").split(" | ")[-1] for row in rows if row.startswith("| ") and _RECORD.search(row)]
    assert measured, "the reliability page shows no measurement"
    for cell in measured:
        records = [json.loads((ROOT / path).read_text(encoding="utf-8")) for path in _RECORD.findall(cell)]
        known = set().union(*map(_figures_in, records))
        shown = set(_FIGURE.findall(re.sub(r"\]\([^)]*\)", "", cell).replace("95 % confidence", "")))
        assert shown, cell
        assert shown - known == set(), cell
        for record in records:
            assert record["command"], cell
            assert record.get("environment", record)["commit"], cell


@pytest.mark.parametrize("folder", ["results", "docs", "src", "tests"])
def test_no_path_of_a_machine_is_committed(folder: str) -> None:
    # Written in two parts, so that this file does not find itself.
    paths = ("/" + "work/", "/" + "root/", "/" + "home/")
    texts = (path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".json", ".jsonl", ".csv"))
    found = [str(path) for path in texts if any(name in path.read_text(encoding="utf-8") for name in paths)]
    assert found == []
