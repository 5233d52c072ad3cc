"""Training curves: a readable picture from any journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snellen.errors import StorageError
from snellen.evaluate import figures
from snellen.evaluate.curves import curves_png

ROWS: list[dict[str, Any]] = [
    {"epoch": 1, "train/loss": 2.0, "train/accuracy": 0.3, "val/loss": 1.8, "val/accuracy": 0.35},
    {"epoch": 2, "train/loss": 1.0},  # an epoch without a look at val
    {"epoch": 3, "train/loss": 0.5, "train/accuracy": 0.8, "val/loss": 0.9, "val/accuracy": 0.75},
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures as they were before they became pixels."""
    kept: list[Any] = []
    save = figures.save_png

    def keep(figure: Any, path: Path) -> None:
        kept.append(figure)
        save(figure, path)

    monkeypatch.setattr(figures, "save_png", keep)
    return kept


def lines(figure: Any, axis: int) -> dict[str, list[tuple[float, float]]]:
    return {str(line.get_label()): [(x, y) for x, y in line.get_xydata()] for line in figure.axes[axis].get_lines()}


def test_loss_is_on_the_left_and_accuracy_in_percent_on_the_right(tmp_path: Path, drawn: list[Any]) -> None:
    curves_png(tmp_path / "curves.png", {"mine": ROWS})
    assert lines(drawn[0], 0) == {
        "train (augmented, smoothed)": [(1, 2.0), (2, 1.0), (3, 0.5)],
        "val (hard labels)": [(1, 1.8), (3, 0.9)],
    }
    assert lines(drawn[0], 1) == {"train (clean images)": [(1, 30.0), (3, 80.0)], "val": [(1, 35.0), (3, 75.0)]}


def test_the_picture_can_be_opened_and_is_not_blank(tmp_path: Path) -> None:
    curves_png(tmp_path / "curves.png", {"mine": ROWS})
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG"
        assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_several_runs_are_told_apart_by_name_and_colour_also_when_there_are_many(
    tmp_path: Path, drawn: list[Any]
) -> None:
    curves_png(tmp_path / "curves.png", {f"run{number}": ROWS for number in range(8)})
    assert len(lines(drawn[0], 1)) == 16
    assert "run7 val" in lines(drawn[0], 1)
    colours = {line.get_color() for line in drawn[0].axes[0].get_lines()}
    assert len(colours) == 6


@pytest.mark.parametrize("rows", [[], [{"epoch": 1, "train/loss": 2.0}], [{"epoch": 1, "train/loss": None}]])
def test_a_run_with_little_to_show_still_gives_a_picture(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    curves_png(tmp_path / "curves.png", {"short": rows})
    with Image.open(tmp_path / "curves.png") as image:
        image.verify()


def test_a_line_through_one_point_is_a_dot(tmp_path: Path, drawn: list[Any]) -> None:
    curves_png(tmp_path / "curves.png", {"short": ROWS[:1]})
    assert {line.get_marker() for line in drawn[0].axes[0].get_lines()} == {"o"}


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StorageError, match="Cannot write"):
        curves_png(tmp_path / "file" / "curves.png", {"mine": ROWS})
