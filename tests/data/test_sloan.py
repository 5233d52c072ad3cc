"""The letters' geometry, checked where a person can check it: on the grid of five by five."""

from __future__ import annotations

import numpy as np
import pytest

from snellen.data.sloan import BLANK, HALF_WIDTH, LETTERS, TABLE_SIZE, distance_tables

ON_THE_GRID = {
    "C": [" ### ", "#   #", "#    ", "#   #", " ### "],
    "D": ["#### ", "#   #", "#   #", "#   #", "#### "],
    "H": ["#   #", "#   #", "#####", "#   #", "#   #"],
    "N": ["##  #", "##  #", "# # #", "#  ##", "#  ##"],
    "O": [" ### ", "#   #", "#   #", "#   #", " ### "],
    "S": ["#####", "#    ", "#####", "    #", "#####"],
    "Z": ["#####", "   # ", "  #  ", " #   ", "#####"],
}
"""Ink at the middle of each cell; the slanted strokes of K, R and V run between the cells."""


def at(letter: str, right: float, down: float) -> float:
    """Distance to the edge at a point, in strokes from the middle of the letter."""
    row, column = (int((value + HALF_WIDTH) / (2 * HALF_WIDTH) * TABLE_SIZE) for value in (down, right))
    return float(distance_tables()[LETTERS.index(letter), row, column])


@pytest.mark.parametrize("letter", ON_THE_GRID)
def test_ink_lies_where_the_chart_has_it(letter: str) -> None:
    cells = ["".join("#" if at(letter, u, v) < 0 else " " for u in range(-2, 3)) for v in (-2, -0.95, 0, 0.95, 2)]
    assert cells == ON_THE_GRID[letter]


@pytest.mark.parametrize("letter", LETTERS)
def test_each_letter_fills_five_by_five_and_no_more(letter: str) -> None:
    ink = distance_tables()[LETTERS.index(letter)] < 0
    edges = [np.flatnonzero(ink.any(axis=axis))[[0, -1]] for axis in (0, 1)]
    to_strokes = 2 * HALF_WIDTH / TABLE_SIZE
    assert np.allclose([edge * to_strokes - HALF_WIDTH for edge in edges], [[-2.5, 2.5]] * 2, atol=0.07)


@pytest.mark.parametrize("letter", LETTERS)
def test_no_seam_runs_through_the_ink(letter: str) -> None:
    # A seam is a place whose distance is 0, within half an entry (0.008), although ink lies on all sides of it.
    table = distance_tables()[LETTERS.index(letter)]
    ink = table < 0
    inner = ink.copy()
    for _ in range(12):  # peel off a fifth of a stroke
        inner[1:-1, 1:-1] &= inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    assert table[inner].max() < -0.04


def test_letters_differ_and_blank_is_blank() -> None:
    tables = distance_tables()
    assert tables.shape == (len(LETTERS) + 1, TABLE_SIZE, TABLE_SIZE)
    assert (tables[BLANK] > 1).all()
    shares = [(tables[a] < 0).__xor__(tables[b] < 0).mean() for a in range(10) for b in range(a)]
    assert min(shares) > 0.02


def test_the_tables_cannot_be_changed_by_their_users() -> None:
    with pytest.raises(ValueError, match="read-only"):
        distance_tables()[0, 0, 0] = 1
