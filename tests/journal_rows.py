"""The rows of a journal, as curves are drawn from them."""

from __future__ import annotations

from typing import Any

ROWS: list[dict[str, Any]] = [
    {
        "epoch": 1,
        "train/loss": 2.0,
        "train/accuracy": 0.3,
        "train/cross_entropy": 1.9,
        "val/loss": 1.8,
        "val/accuracy": 0.35,
    },
    {"epoch": 2, "train/loss": 1.0},  # an epoch without a look at val
    {
        "epoch": 3,
        "train/loss": 0.75,
        "train/accuracy": 0.8,
        "train/cross_entropy": 0.4,
        "val/loss": 0.9,
        "val/accuracy": 0.7,
    },
]
BETTER = [{**row, "val/accuracy": row["val/accuracy"] + 0.1} if "val/accuracy" in row else row for row in ROWS]
