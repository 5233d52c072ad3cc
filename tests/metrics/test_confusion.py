from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from sklearn.metrics import confusion_matrix as sklearn_confusion_matrix
from torchmetrics.functional.classification import multiclass_confusion_matrix

from snellen.metrics.confusion import (
    abbreviate,
    confusion_json,
    confusion_matrix,
    confusion_png,
    confusion_terminal,
    worst_pairs,
)
from snellen.metrics.intervals import Rate

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PETS = ("cat", "dog", "owl")
#        said: cat dog owl
MATRIX = np.array([[70, 25, 5], [15, 84, 1], [0, 4, 96]])


def printed(renderable, width=80, **options) -> str:
    console = Console(file=io.StringIO(), width=width, **options)
    console.print(renderable)
    return console.file.getvalue()


def test_rows_are_the_truth_and_columns_the_answer(votes):
    matrix = confusion_matrix(votes([1, 1, 0], [0, 0, 1], 3))
    assert matrix.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]
    assert matrix.dtype == np.int64


@given(st.integers(0, 10**6), st.integers(1, 300), st.integers(2, 10))
@settings(max_examples=40, deadline=None)
def test_the_matrix_equals_scikit_learns_and_torchmetrics(simulated, seed, n, classes):
    predictions = simulated(n, classes=classes, seed=seed)
    expected = sklearn_confusion_matrix(predictions.labels, predictions.predicted, labels=range(classes))
    np.testing.assert_array_equal(confusion_matrix(predictions), expected)
    answers, labels = (torch.from_numpy(each) for each in (predictions.predicted, predictions.labels))
    np.testing.assert_array_equal(expected, multiclass_confusion_matrix(answers, labels, classes))


def test_worst_pairs_merge_both_directions_worked_by_hand():
    first, second, third = worst_pairs(MATRIX, PETS)
    assert (first.first, first.second, first.count) == ("cat", "dog", 40)
    assert (first.first_as_second, first.second_as_first) == (25, 15)
    assert first.share_of_errors == pytest.approx(40 / 50)
    assert first.rate == Rate(40, 200)
    # Equal counts stay in class order.
    assert [(p.first, p.second, p.count) for p in (second, third)] == [("cat", "owl", 5), ("dog", "owl", 5)]
    assert str(first) == "cat ↔ dog: 40 errors, 80 % of all (25 cat as dog, 15 the other way)"


def test_pairs_without_errors_are_left_out():
    assert worst_pairs(np.diag([5, 5, 5]), PETS) == ()


@given(st.integers(0, 10**6), st.integers(2, 8))
@settings(max_examples=40, deadline=None)
def test_the_pairs_hold_every_error_exactly_once_and_are_sorted(seed, classes):
    matrix = np.random.default_rng(seed).integers(0, 9, (classes, classes))
    pairs = worst_pairs(matrix, [str(i) for i in range(classes)])
    assert sum(pair.count for pair in pairs) == matrix.sum() - np.trace(matrix)
    assert [p.count for p in pairs] == sorted((p.count for p in pairs), reverse=True)
    transposed = worst_pairs(matrix.T, [str(i) for i in range(classes)])
    assert [p.count for p in pairs] == [p.count for p in transposed]


def test_json_holds_the_matrix_its_orientation_and_the_pairs():
    written = json.loads(json.dumps(confusion_json(MATRIX, PETS), allow_nan=False))
    assert written["matrix"] == MATRIX.tolist()
    assert (written["rows"], written["columns"]) == ("true", "predicted")
    assert written["worst_pairs"][0]["count"] == 40


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
