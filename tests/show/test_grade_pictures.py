"""The pictures beside a split's grades, whatever the classes are called."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from tests.metrics.made import simulated_answers

from snellen.metrics.calibration import rescaled
from snellen.metrics.learning_curves import Curve
from snellen.show import figures
from snellen.show.curves import curves_png
from snellen.show.grade_pictures import confusion_png, draw_grades, reliability_png

PETS = ("cat", "dog", "owl")
MATRIX = np.array([[70, 25, 5], [15, 84, 1], [0, 4, 96]])
UNFRIENDLY = (
    "$1-$5", "$5-$20", "US$ 5", "\\$x_1^2$", "a\x1b[2Jb", "שלום\u202e", "一二三", "हिन्दी", "🦉 owl",
    "two\nlines", "w" * 500,
)  # fmt: skip


@pytest.mark.parametrize("matrix", [MATRIX, np.diag([3, 3, 3]), np.zeros((3, 3), dtype=np.int64)])
def test_the_picture_is_written_whole_and_the_same_each_time(tmp_path, matrix):
    for name in ("one.png", "two.png"):
        confusion_png(tmp_path / name, matrix, PETS, title="made, val")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 600
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_the_picture_shows_errors_in_orange_and_the_diagonal_in_grey(tmp_path):
    confusion_png(tmp_path / "matrix.png", np.array([[90, 10], [0, 100]]), ("a", "b"))
    with Image.open(tmp_path / "matrix.png") as picture:
        colours = {colour for _, colour in picture.convert("RGB").getcolors(10**6)}
    assert {(0x8F, 0x34, 0x06), (0xDD, 0xE5, 0xEE), (0xF6, 0xF7, 0xF9)} <= colours


def test_the_picture_is_written_with_and_without_temperature(tmp_path):
    predictions = simulated_answers(200)
    reliability_png(tmp_path / "before.png", predictions, title="made, val")
    reliability_png(tmp_path / "both.png", predictions, after=rescaled(predictions, 1.5), title="made, val")
    blues = []
    for name in ("before.png", "both.png"):
        with Image.open(tmp_path / name) as picture:
            colours = {colour for _, colour in picture.convert("RGB").getcolors(10**6)}
        blues.append((0x3B, 0x6E, 0xA5) in colours)
    assert blues == [False, True]


def test_both_pictures_of_a_split_are_drawn_under_its_name(tmp_path: Path) -> None:
    val, test = simulated_answers(300), simulated_answers(300, split="test")
    draw_grades(val, tmp_path, val=val)
    draw_grades(test, tmp_path, val=val)
    assert {path.name for path in tmp_path.iterdir()} == {
        "confusion.png", "confusion_test.png", "reliability.png", "reliability_test.png",
    }  # fmt: skip


def test_any_name_is_drawn_as_text_and_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(figures, "write_bytes", lambda path, content: drawn.append(content))
    classes = len(UNFRIENDLY)
    predictions = simulated_answers(300, classes=classes)
    named = replace(predictions, class_names=UNFRIENDLY)
    with warnings.catch_warnings(), mpl.rc_context({"text.usetex": True}):
        warnings.simplefilter("error")
        draw_grades(named, tmp_path / "$run_1$", val=named)
        rows = [{"epoch": 1, "train/loss": 1.0}], [{"epoch": 1}]
        curves_png(tmp_path / "c.png", [Curve("$a$", rows[:1]), Curve("$b_^$", rows[1:])])
    assert [Image.open(io.BytesIO(content)).format for content in drawn] == ["PNG"] * 3


def test_a_name_in_a_figure_is_one_short_line_with_its_dollars() -> None:
    assert figures.drawn("$1-$5") == r"\$1-\$5"
    assert figures.drawn("two\nlines \x1b[2J") == r"two\nlines \x1b[2J"
    assert figures.drawn("w" * 500) == "w" * 31 + "…"
    assert figures.drawn("\U0010fffd") == "□"  # a letter that no font has


def test_letters_that_dejavu_lacks_come_from_a_font_that_is_installed(tmp_path: Path, fonts_anew: None) -> None:
    lacking = next(iter(figures._fonts()["STIXGeneral"] - figures._fonts()["DejaVu Sans"]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        confusion_png(tmp_path / "matrix.png", MATRIX, (chr(lacking), "dog", "owl"))
    assert figures.drawn(chr(lacking)) == chr(lacking)
    assert "stix" in figures.font_file(chr(lacking)).lower()


@pytest.fixture
def fonts_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine on which the only other font is one that comes with Matplotlib."""
    monkeypatch.setattr(figures, "_OTHER_SCRIPTS", ("STIXGeneral",))
    for cached in (figures._fonts, figures._files):
        cached.cache_clear()
    yield
    for cached in (figures._fonts, figures._files):
        cached.cache_clear()
