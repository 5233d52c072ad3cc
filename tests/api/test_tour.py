"""The notebook runs from top to bottom, and what it ends its cells with shows itself."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

TOUR = Path(__file__).parents[2] / "examples" / "tour.ipynb"


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Execute a cell as Jupyter does; returns the value of its last line if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


def test_the_tour_runs_and_every_result_shows_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_eyechart: None
) -> None:
    monkeypatch.chdir(tmp_path)
    cells = json.loads(TOUR.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    shown = [run_cell("".join(cell["source"]), names) for cell in cells if cell["cell_type"] == "code"]
    assert all(value is not None for value in shown)
    assert [type(value).__name__ for value in shown if hasattr(value, "_repr_html_")] == [
        "TrainedRun", "Scorecard", "Answers", "Comparison",
    ]  # fmt: skip
    assert (tmp_path / "runs" / "eyechart-glance-s0" / "export" / "model.safetensors").exists()
    assert not list(tmp_path.rglob("ledger.jsonl"))


def test_the_notebook_is_kept_without_outputs() -> None:
    for cell in json.loads(TOUR.read_text(encoding="utf-8"))["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
