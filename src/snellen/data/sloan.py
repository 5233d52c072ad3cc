"""The ten Sloan letters as geometry: strokes one unit wide on a grid of five by five.

Louise Sloan chose C D H K N O R S V Z in 1959 because people confuse them about equally often; eye charts have used
them since. Here each letter is a union of bars, arcs and slanted strokes, kept as a table of distances to its edge:
below 0 is ink. From a distance an edge of any softness can be drawn at any size, without a font file.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

LETTERS = ("C", "D", "H", "K", "N", "O", "R", "S", "V", "Z")
BLANK = len(LETTERS)
"""The table's index of a place without a letter."""

HALF_WIDTH = 3.2
"""The tables cover [-3.2, 3.2) in both directions, in units of one stroke; the ink ends at 2.5."""
TABLE_SIZE = 384
"""Entries along one side: 60 to a stroke, below a tenth of a pixel at every size drawn."""

_Field = NDArray[np.float64]
"""(TABLE_SIZE, TABLE_SIZE): distance to an edge in strokes, negative inside."""
_STEP = 2 * HALF_WIDTH / TABLE_SIZE
_U, _V = np.meshgrid(*[(np.arange(TABLE_SIZE) + 0.5) * _STEP - HALF_WIDTH] * 2)  # right, down


@cache
def distance_tables() -> NDArray[np.float32]:
    """(11, TABLE_SIZE, TABLE_SIZE) float32, [letter, down, right]: strokes to the nearest edge, ink below 0.

    The last table is blank. Only + - * / and square roots are used: IEEE 754 fixes those to the last bit, so the
    tables are the same on each machine.
    """
    fields = [_letter(name) for name in LETTERS] + [np.full_like(_U, HALF_WIDTH)]
    tables = np.stack(fields).astype(np.float32)
    tables.flags.writeable = False
    return tables


def _letter(name: str) -> _Field:
    """Strokes overlap where they meet: a mere touch would leave a seam of distance 0 through the ink."""
    left_bar, right_bar, top_bar = _box(-2.5, -2.5, -1.5, 2.5), _box(1.5, -2.5, 2.5, 2.5), _box(-2.5, -2.5, 2.5, -1.5)
    match name:
        case "C":
            return np.maximum(_ring(0, 0, 2.5), -_box(0, -0.5, 4, 0.5))
        case "D":
            outside = _union(_box(-2.5, -2.5, 0, 2.5), _disc(0, 0, 2.5))
            return np.maximum(outside, -_union(_box(-1.5, -1.5, 0, 1.5), _disc(0, 0, 1.5)))
        case "H":
            return _union(left_bar, right_bar, _box(-2.5, -0.5, 2.5, 0.5))
        case "K":
            arm, leg = _polygon((1.1, -2.5), (2.5, -2.5), (-2, 2), (-2, 0.6)), ((-0.65, -0.1), (0.25, -0.7))
            return _union(left_bar, arm, _polygon(*leg, (2.5, 2.5), (1.2, 2.5)))
        case "N":
            return _union(left_bar, right_bar, _polygon((-2.5, -2.5), (-1.3, -2.5), (2.5, 2.5), (1.3, 2.5)))
        case "O":
            return _ring(0, 0, 2.5)
        case "R":
            outside = _union(_box(-2.5, -2.5, 1, 0.5), _disc(1, -1, 1.5))
            loop = np.maximum(outside, -_union(_box(-1.5, -1.5, 0, -0.5), _line(-1, 1, -1)))
            return _union(left_bar, loop, _polygon((-0.98, -0.2), (0.32, -0.2), (2.5, 2.5), (1.2, 2.5)))
        case "S":
            lines = [_line(-1, 1, row) for row in (-2, 0, 2)]
            bows = np.where(_U < -1, _ring(-1, -1, 1.5), np.where(_U > 1, _ring(1, 1, 1.5), HALF_WIDTH))
            upper_end = np.where(_U > 1, np.maximum(_ring(1, -1, 1.5), _V + 1), HALF_WIDTH)
            return _union(*lines, bows, upper_end, upper_end[::-1, ::-1])
        case "V":
            stroke = _polygon((-2.5, -2.5), (-1.35, -2.5), (0.58, 2.5), (-0.58, 2.5))
            return _union(stroke, stroke[:, ::-1])
        case _:
            slant = _polygon((1.66, -2.2), (3.16, -2.2), (-1.66, 2.2), (-3.16, 2.2))
            return _union(top_bar, top_bar[::-1], np.maximum(slant, np.abs(_U) - 2.5))


def _union(*fields: _Field) -> _Field:
    return np.asarray(np.minimum.reduce(fields))


def _box(left: float, top: float, right: float, bottom: float) -> _Field:
    across = np.abs(_U - (left + right) / 2) - (right - left) / 2
    along = np.abs(_V - (top + bottom) / 2) - (bottom - top) / 2
    outside = np.sqrt(np.maximum(across, 0) ** 2 + np.maximum(along, 0) ** 2)
    return np.asarray(outside + np.minimum(np.maximum(across, along), 0))


def _disc(right: float, down: float, radius: float) -> _Field:
    return np.asarray(np.sqrt((_U - right) ** 2 + (_V - down) ** 2) - radius)


def _ring(right: float, down: float, radius: float) -> _Field:
    """A ring one stroke wide, around (right, down), with this outer radius."""
    return np.asarray(np.abs(_disc(right, down, radius - 0.5)) - 0.5)


def _line(left: float, right: float, row: float) -> _Field:
    """A level stroke with round ends."""
    return np.asarray(np.sqrt((_U - np.clip(_U, left, right)) ** 2 + (_V - row) ** 2) - 0.5)


def _polygon(*corners: tuple[float, float]) -> _Field:
    """A convex polygon, corners clockwise as seen on the page."""
    edges = []
    for (u0, v0), (u1, v1) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = np.sqrt((u1 - u0) ** 2 + (v1 - v0) ** 2)
        edges.append(((v1 - v0) * (_U - u0) - (u1 - u0) * (_V - v0)) / length)
    return np.asarray(np.maximum.reduce(edges))
