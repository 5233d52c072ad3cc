"""What a terminal shows of grades, in any width and with any class name."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from tests.metrics.made import simulated_answers

from snellen.metrics.confidence import confidence
from snellen.metrics.scorecard import scorecard
from snellen.predict.predictions import Predictions
from snellen.show.terminal import abbreviate, class_table, confusion_terminal, show_confidence
from snellen.show.text import new_console

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PETS = ("cat", "dog", "owl")
#        said: cat dog owl
MATRIX = np.array([[70, 25, 5], [15, 84, 1], [0, 4, 96]])


def printed(renderable, width=80, **options) -> str:
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(renderable)
    return console.file.getvalue()


def test_names_are_cut_at_their_beginning_where_that_tells_them_apart():
    assert abbreviate(CIFAR10, 5)[:3] == ["airpl", "autom", "bird"]


def test_names_that_begin_alike_keep_their_ends_and_else_become_numbers():
    assert abbreviate(["class_1", "class_2"], 4) == ["cl_1", "cl_2"]
    assert abbreviate(["aXbz", "aXcz"], 2) == ["0", "1"]


@given(st.lists(st.text("abc_", min_size=1, max_size=12), min_size=1, max_size=9, unique=True), st.integers(3, 8))
@settings(max_examples=60, deadline=None)
def test_abbreviations_are_short_and_all_different(names, width):
    short = abbreviate(names, width)
    assert len(set(short)) == len(names)
    assert all(len(name) <= width for name in short)


@pytest.mark.parametrize("scale", [1, 40])
def test_ten_classes_fit_80_columns_and_show_every_count_without_colour(scale):
    matrix = np.random.default_rng(5).integers(0, 30, (10, 10)) * scale + np.diag([400 * scale] * 10)
    text = printed(confusion_terminal(matrix, CIFAR10, 80), no_color=True)
    lines = text.splitlines()
    assert len(lines) == 11
    assert max(len(line) for line in lines) <= 80
    for line, name, row in zip(lines[1:], CIFAR10, matrix, strict=True):
        shown = line.split()
        assert shown[0] == name
        assert shown[1:11] == [str(count) if count else "·" for count in row]
        assert float(shown[11]) == pytest.approx(100 * row[CIFAR10.index(name)] / row.sum(), abs=0.05)


def test_the_header_stands_above_its_column():
    header, first = printed(confusion_terminal(MATRIX, PETS, 80), no_color=True).splitlines()[:2]
    for name, count in zip(PETS, ("70", "25", "5"), strict=True):
        assert header.index(name) + len(name) == first.index(f" {count} ") + 1 + len(count)


def test_the_worst_cell_is_shaded_and_an_empty_one_is_not():
    text = printed(confusion_terminal(MATRIX, PETS, 80), force_terminal=True, color_system="truecolor")
    cat, _, owl = text.splitlines()[1:]
    assert re.search(r"48;2;184;72;10m +25 ", cat)
    assert owl.count("48;2") == 2  # its diagonal and its 4 errors; not its zero


def test_a_class_without_images_has_a_dash_for_recall():
    matrix = np.array([[3, 1], [0, 0]])
    assert printed(confusion_terminal(matrix, ("a", "b"), 80), no_color=True).splitlines()[2].split()[-1] == "–"


def test_many_classes_fall_back_to_the_worst_pairs():
    matrix = np.eye(100, dtype=np.int64) * 50
    matrix[7, 93] = 12
    text = printed(confusion_terminal(matrix, [f"class {i}" for i in range(100)], 80))
    assert "class 7" in text
    assert "class 93" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_many_classes_without_an_error_say_so():
    text = printed(confusion_terminal(np.eye(60, dtype=np.int64), [str(i) for i in range(60)], 80))
    assert text == "No errors among 60 images.\n"


def test_square_brackets_in_class_names_are_printed_as_they_are():
    assert "[red]" in printed(confusion_terminal(np.array([[3, 1], [1, 3]]), ("[red]", "[/]"), 80))


def test_the_class_table_starts_with_the_worst_class_and_shows_absent_ones_as_a_dash():
    console = Console(file=io.StringIO(), width=80, no_color=True)
    logits = np.eye(3, dtype=np.float32)[[0, 0, 0, 1]]
    voted = Predictions(logits, np.array([0, 0, 1, 1]), np.arange(4), ("a", "b", "c"), "val")
    console.print(class_table(scorecard(voted)))
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert [line[0] for line in lines] == ["class", "b", "a", "c"]
    assert lines[1][1:4] == ["50.0", "%", "(9.5-90.5)"]
    assert lines[3][1:] == ["–", "–", "–", "0"]


def test_the_line_of_groups_counts_every_image_once() -> None:
    found = confidence(simulated_answers(500), val=None)
    shown = new_console(file=io.StringIO())
    show_confidence(shown, found)
    text = " ".join(shown.file.getvalue().split())
    counts = [int(re.search(rf"([\d,]+) {group.name}", text)[1].replace(",", "")) for group in found.groups]
    assert counts == [len(group.index) for group in found.groups]
    assert "temperature" not in text


@pytest.mark.parametrize(
    "name", ["\x1b]0;title\x07", "\x1b[2J", "\x9b2J", "a\nb", "\u202eleft", "\ud800", "[red]", "w" * 500]
)
def test_no_class_name_steers_the_terminal(name: str) -> None:
    for classes in (3, 60):
        matrix = np.ones((classes, classes), dtype=np.int64)
        text = printed(confusion_terminal(matrix, [name, *map(str, range(classes - 1))], 80), no_color=True)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800]", text)
        assert len(text.splitlines()) <= 17
