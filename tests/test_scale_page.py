"""Every figure in docs/scale.md is one that was measured, or follows from measured ones by a straight line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
MEASURED = re.findall(r"<!-- measured: (\S+) -->(.*?)<!-- end -->", PAGE, re.DOTALL)
COUNTS = (5e4, 1e6, 1e9)


def read(name: str) -> Any:
    return json.loads((ROOT / "results" / "speed" / name).read_text(encoding="utf-8"))


def by_images(name: str) -> dict[int, set[float]]:
    """All numbers that a file holds about one number of images."""
    content = read(name)
    rows = content.get("rows") or [
        {"images": one["details"]["images"], **one["figures"]}
        for one in content["measurements"]
        if one["details"]["axis"] == "images"
    ]
    return {row["images"]: set(numbers(row)) for row in rows}


def numbers(content: Any) -> list[float]:
    if isinstance(content, dict):
        return [number for value in content.values() for number in numbers(value)]
    return [float(content)] if isinstance(content, int | float) else []


def cells(table: str) -> list[list[str]]:
    """Rows below the header, the cells stripped."""
    lines = [line.strip().strip("|") for line in table.strip().splitlines()]
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def rate() -> float:
    """Training images a second at the largest number of images."""
    return max(
        (one["details"]["images"], one["figures"]["training images/s"])
        for one in read("2026-11_scale_two-zen4-cores.json")["measurements"]
        if one["details"]["axis"] == "images"
    )[1]


def streams(key: str) -> float:
    return read("2026-11_streams.json")["per_million_images"][key] / 1e6


PER_IMAGE: dict[str, Callable[[], float]] = {
    "decoded pictures on disk at 64 px, GB": lambda: 64 * 64 * 3 / 1e9,
    "names, labels and hashes in memory, GB": lambda: streams("memory_mb") / 1e3,
    "reading the shards the first time, processor hours": lambda: streams("first_loading_processor_s") / 3600,
    "listing the shards at every command, processor minutes": lambda: streams("listing_processor_s") / 60,
    "an epoch of the small network at 32 px, hours": lambda: 1 / rate() / 3600,
}


@pytest.mark.parametrize(("name", "table"), MEASURED)
def test_every_figure_of_a_measured_table_is_in_its_file(name: str, table: str) -> None:
    known = by_images(name)
    for images, *shown in cells(table):
        found = known[int(images.replace(",", ""))]
        for text in shown:
            figure, decimals = float(text.replace(",", "")), len(text.partition(".")[2])
            assert any(round(number, decimals) == figure for number in found), (images, text)


def test_every_reckoned_figure_is_a_slope_times_a_number_of_images() -> None:
    (table,) = re.findall(r"<!-- reckoned -->(.*?)<!-- end -->", PAGE, re.DOTALL)
    rows = cells(table)
    assert [row[0] for row in rows] == list(PER_IMAGE)
    for label, *shown in rows:
        expected = [float(f"{PER_IMAGE[label]() * count:.2g}") for count in COUNTS]
        assert [float(text.replace(",", "")) for text in shown] == expected, label


def test_the_page_has_both_measurements() -> None:
    assert [name for name, _ in MEASURED] == ["2026-11_streams.json", "2026-11_scale_two-zen4-cores.json"]
