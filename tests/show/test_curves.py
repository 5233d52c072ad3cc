"""Training curves: a readable picture from any journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.journal_rows import BETTER, ROWS

from snellen.errors import StorageError
from snellen.metrics.learning_curves import Curve
from snellen.show import figures
from snellen.show.curves import curves_png


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


def lines(figure: Any, panel: int, style: str) -> list[list[tuple[float, float]]]:
    """Points of the lines of one style in a panel: 0 accuracy, 1 loss, 2 gap. Level marks are left out."""
    drawn = [line for line in figure.axes[panel].get_lines() if line.get_linestyle() == style]
    found = [[(float(x), pytest.approx(float(y))) for x, y in line.get_xydata()] for line in drawn]
    return [points for points in found if points[0][0] != 0.0]  # a level mark runs from 0 to 1 of the panel's width


def words(figure: Any, panel: int) -> str:
    return " | ".join(text.get_text() for text in figure.axes[panel].texts)


def test_accuracy_is_in_percent_train_solid_and_val_dashed(tmp_path: Path, drawn: list[Any]) -> None:
    curves_png(tmp_path / "curves.png", [Curve("mine", (ROWS,))])
    assert lines(drawn[0], 0, "-") == [[(1, 30.0), (3, 80.0)]]
    assert lines(drawn[0], 0, "--") == [[(1, 35.0), (3, 70.0)]]


def test_the_loss_as_trained_is_dotted_beside_the_comparable_ones(tmp_path: Path, drawn: list[Any]) -> None:
    curves_png(tmp_path / "curves.png", [Curve("mine", (ROWS,))])
    assert lines(drawn[0], 1, "-") == [[(1, 1.9), (3, 0.4)]]
    assert lines(drawn[0], 1, "--") == [[(1, 1.8), (3, 0.9)]]
    assert lines(drawn[0], 1, ":") == [[(1, 2.0), (2, 1.0), (3, 0.75)]]


def test_the_gap_is_train_minus_val_in_points_with_the_guards_line(tmp_path: Path, drawn: list[Any]) -> None:
    curves_png(tmp_path / "curves.png", [Curve("mine", (ROWS,))])
    assert lines(drawn[0], 2, "-") == [[(1, -5.0), (3, 10.0)]]
    assert "5 points" in words(drawn[0], 2)


def test_the_floor_of_a_smoothed_loss_is_marked_and_only_then(tmp_path: Path, drawn: list[Any]) -> None:
    curves_png(tmp_path / "a.png", [Curve("mine", (ROWS,), 0.50029)])
    curves_png(tmp_path / "b.png", [Curve("mine", (ROWS,))])
    assert "floor of the smoothed loss 0.500" in words(drawn[0], 1)
    assert "floor" not in words(drawn[1], 1)


def test_several_curves_show_only_what_can_be_compared(tmp_path: Path, drawn: list[Any]) -> None:
    curves_png(tmp_path / "curves.png", [Curve("plain", (ROWS,)), Curve("smoothed", (BETTER,), 0.5)], headline="two")
    assert len(lines(drawn[0], 1, "-")) == 2
    assert len(lines(drawn[0], 1, ":")) == 1  # the loss as trained, of the smoothed one, beside its floor
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == ["plain", "smoothed"]


def test_one_spike_does_not_flatten_the_loss(tmp_path: Path, drawn: list[Any]) -> None:
    rows = [{"epoch": epoch, "val/loss": 300.0 if epoch == 2 else 1.0} for epoch in range(1, 31)]
    curves_png(tmp_path / "curves.png", [Curve("restless", (rows,))])
    assert drawn[0].axes[1].get_ylim() == (0, pytest.approx(1.6))


def test_the_picture_can_be_opened_and_is_not_blank(tmp_path: Path) -> None:
    curves_png(tmp_path / "curves.png", [Curve("mine", (ROWS,))])
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG"
        assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_several_runs_are_told_apart_by_name_and_colour_also_when_there_are_many(
    tmp_path: Path, drawn: list[Any]
) -> None:
    curves_png(tmp_path / "curves.png", [Curve(f"run{number}", (ROWS,)) for number in range(8)])
    assert len(lines(drawn[0], 0, "--")) == 8
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()][7] == "run7"
    assert len({line.get_color() for line in drawn[0].axes[0].get_lines()}) == 6


@pytest.mark.parametrize("rows", [[], [{"epoch": 1, "train/loss": 2.0}], [{"epoch": 1, "train/loss": None}]])
def test_a_run_with_little_to_show_still_gives_a_picture(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    curves_png(tmp_path / "curves.png", [Curve("short", (rows,))])
    with Image.open(tmp_path / "curves.png") as image:
        image.verify()


def test_a_line_through_one_point_is_a_dot(tmp_path: Path, drawn: list[Any]) -> None:
    curves_png(tmp_path / "curves.png", [Curve("short", (ROWS[:1],))])
    assert {line.get_marker() for line in drawn[0].axes[0].get_lines()} == {"o"}


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(StorageError, match="Cannot write"):
        curves_png(tmp_path / "file" / "curves.png", [Curve("mine", (ROWS,))])
