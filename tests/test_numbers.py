"""Numbers in the README's accuracy table come from runs recorded in results/accuracy."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from snellen.evaluate.intervals import Rate, mean_over_seeds

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
        for split, card in record["grades"].items():
            for view in ("plain", "with_tta"):
                if card[view] is None:
                    continue
                rate = Rate(card[view]["accuracy"]["hits"], card[view]["accuracy"]["n"])
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
        assert record["command"].startswith(("snellen train", "python -m snellen.bench.seeds")), record["run"]
        assert environment["commit"], record["run"]
        assert environment["processor"], record["run"]
        assert isinstance(record["info"]["seed"], int), record["run"]


@pytest.mark.parametrize("folder", ["results", "docs", "src", "tests"])
def test_no_path_of_a_machine_is_committed(folder: str) -> None:
    # Written in two parts, so that this file does not find itself.
    paths = ("/" + "work/", "/" + "root/", "/" + "home/")
    texts = (path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".md", ".json", ".jsonl", ".csv"))
    found = [str(path) for path in texts if any(name in path.read_text(encoding="utf-8") for name in paths)]
    assert found == []
