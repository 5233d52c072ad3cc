"""The notebook runs from top to bottom, and what it ends its cells with shows itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.api.run_tour import MINUTES, TOUR, run_cell, shown

CODE = [cell for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def test_the_tour_runs_and_every_result_shows_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_eyechart: None
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    results = [run_cell("".join(cell["source"]), names) for cell in CODE]
    assert all(value is not None for value in results)
    kept = [set(cell["outputs"][0]["data"]) for cell in CODE]
    assert [set(shown(value)) for value in results] == kept
    assert [type(value).__name__ for value in results if hasattr(value, "_repr_html_")] == [
        "TrainedRun", "Scorecard", "Answers", "Comparison",
    ]  # fmt: skip
    assert (tmp_path / "runs" / "eyechart-glance-s0" / "export" / "model.safetensors").exists()
    assert not list(tmp_path.rglob("ledger.jsonl"))


def test_the_notebook_is_kept_with_what_its_cells_show_and_says_how_long_they_take() -> None:
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    text = TOUR.read_text(encoding="utf-8")
    assert MINUTES.search(text)
    assert "0.0 minutes" not in text
    assert not [word for word in ("/tmp", "Traceback", " at 0x") if word in text]
    assert len(text) < 300_000
