"""The journal of a run: one JSON line per epoch, and the same rows as CSV for spreadsheets.

Slash names (`train/loss`, `val/accuracy`) import unchanged into TensorBoard, W&B and trackio.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from snellen.runs.atomic import append_line, write_text
from snellen.serialize import read_json

Row = dict[str, Any]


class Journal:
    """Rows of numbers in a run folder; `metrics.jsonl` is the truth, `results.csv` is derived from it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self.csv_path = folder / "results.csv"

    def rows(self) -> list[Row]:
        """All whole rows, oldest first. A line torn by a crash is left out, and so is one with more than numbers."""
        if not self.path.exists():
            return []
        rows = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = read_json(line)
            except ValueError:
                continue
            if isinstance(row, dict) and all(value is None or isinstance(value, int | float) for value in row.values()):
                rows.append(row)
        return rows

    def append(self, row: Row) -> None:
        """Add a row; it is on disk when this returns."""
        append_line(self.path, json.dumps(row, allow_nan=False))
        self._write_csv(self.rows())

    def keep_until(self, step: int) -> None:
        """Drop rows after `step`: what an interrupted run wrote beyond its last checkpoint is trained again."""
        kept = [row for row in self.rows() if row.get("step", 0) <= step]
        write_text(self.path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in kept))
        self._write_csv(kept)

    def _write_csv(self, rows: list[Row]) -> None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.csv_path, buffer.getvalue())
