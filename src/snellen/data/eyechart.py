"""The built-in data set: Sloan letters as a tired eye meets them, made from a seed in seconds.

Each picture is one of ten letters, tilted, sheared, moved, in two colours, over a plain, shaded, striped or blotched
ground, at times with neighbours in its row, out of focus, behind a bar or a disc, and grainy. Whoever sees the letter
can name it; a network has to learn to.

Nothing is downloaded, nothing is licensed, nothing differs between machines: the random numbers are raw words of a
counter (Philox), picture i always takes the same ones, and the arithmetic is + - * / and square roots in float32,
which IEEE 754 fixes to the last bit. So a smaller set is the beginning of a larger one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.sealed_images import SealedImages
from snellen.errors import InvalidSetting

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

SIZE = 32
CHUNK_IMAGES = 256
"""Drawn at a time: the planes of one chunk (1 MiB each) stay in the processor's cache."""
DRAWS = 48
"""Uniform numbers an image may use for its pose, colours and disturbances; about 40 are used."""
GRAIN_BYTES = 32 + 3 * SIZE * SIZE
"""Random bytes an image may use: 25 for the blotches, then one per pixel and channel for the grain."""
SPACING = 6.6
"""From letter to letter in a crowded row, in strokes."""
_MADE_FROM = "made from seed "

Split = Literal["train", "test"]

Plane = NDArray[np.float32]
"""(n, 32, 32) float32, one number per pixel."""
Column = NDArray[np.float32]
"""(n, 1, 1) float32, one number per image."""


def make_eyechart(seed: int = 0, train: int = 50_000, test: int = 10_000) -> Dataset:
    """Ten Sloan letters, 32x32 RGB; label i % 10, so each class has its equal share.

    Args:
        seed: another seed, another set of pictures; 0 to 2**64 - 1.
        train: number of images to learn from.
        test: number of sealed images, drawn when they are opened.

    Raises:
        InvalidSetting: a number is negative, or the seed too large.
    """
    if not 0 <= seed < 2**64 or train < 0 or test < 0:
        raise InvalidSetting(f"eyechart: seed={seed}, train={train}, test={test} must be 0 or more, seed below 2**64.")
    identity = f"eyechart, seed {seed}, {test} letters"
    return Dataset(
        name="eyechart",
        train=_make(seed, "train", train),
        test=SealedImages(lambda: _make(seed, "test", test), name="eyechart", count=test, identity=identity),
        source=f"{_MADE_FROM}{seed}",
    )


def seed_of(source: str) -> int | None:
    """The seed that an eye chart was made from, by its `Dataset.source`; None for that of other data."""
    seed = source.removeprefix(_MADE_FROM)
    return int(seed) if seed != source and seed.isdecimal() else None


def _make(seed: int, split: Split, count: int) -> LabeledImages:
    ids = np.arange(count, dtype=np.int64)
    images = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8)
    for start in range(0, count, CHUNK_IMAGES):
        stop = min(start + CHUNK_IMAGES, count)
        images[start:stop] = draw_letters(seed, split, start, stop)
    return LabeledImages(images, ids % len(LETTERS), LETTERS, ids, "all", "eyechart")


def draw_letters(seed: int, split: Split, start: int, stop: int) -> NDArray[np.uint8]:
    """(n, 32, 32, 3) uint8: the pictures from number `start` to before `stop`, whatever was drawn before them."""
    count, stream = stop - start, 0 if split == "train" else 2
    # A step of the counter makes four words of 8 bytes.
    pose = np.random.Philox(key=np.array([seed, stream], dtype=np.uint64), counter=start * DRAWS // 4)
    grain = np.random.Philox(key=np.array([seed, stream + 1], dtype=np.uint64), counter=start * GRAIN_BYTES // 32)
    words = pose.random_raw(count * DRAWS).reshape(count, DRAWS)
    uniform = (words >> np.uint64(40)).astype(np.float32) / np.float32(2**24)  # 24 bits: exact in float32
    speckles = grain.random_raw(count * GRAIN_BYTES // 8).astype("<u8", copy=False).view(np.uint8)
    labels = np.arange(start, stop, dtype=np.int64) % len(LETTERS)
    return _draw(labels, uniform, speckles.reshape(count, GRAIN_BYTES))


def _draw(labels: NDArray[np.int64], uniform: NDArray[np.float32], grain: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 32, 32, 3) uint8. The order of draws is part of the data set: new ones go to the end."""
    draws = _Draws(uniform)
    softness = draws.between(1.0, 1.6) + 3.0 * draws.rarely(0.3)  # width of an edge in pixels; 1 is sharp
    ink, centre = _ink(labels, draws, softness)
    ground_rgb, ink_rgb, contrast = _colours(draws)
    texture = _texture(draws, grain[:, :25]) * (contrast * draws.between(0.15, 0.6))
    tint = [draws.between(0.6, 1.0) for _ in range(3)]
    shade = _ramp(draws) * (contrast * draws.between(-0.3, 0.3))  # uneven ink
    cover = _cover(draws, centre, softness)
    cover_rgb = [draws.between(0.05, 0.95) for _ in range(3)]
    coarse = draws.between(0.0, 1.0)
    grain_strength = 0.04 + 0.3 * coarse * coarse * coarse
    images = np.empty((len(labels), SIZE, SIZE, 3), dtype=np.uint8)
    for channel in range(3):
        plane = ground_rgb[channel] + texture * tint[channel]
        plane += ink * (ink_rgb[channel] + shade - plane)
        plane += cover * (cover_rgb[channel] - plane)
        first = 32 + channel * SIZE * SIZE
        speckle = grain[:, first : first + SIZE * SIZE].reshape(plane.shape).astype(np.float32)
        plane += (speckle - np.float32(127.5)) * (grain_strength / np.float32(255))
        images[..., channel] = np.clip(plane * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
    return images


class _Draws:
    """An image's uniform numbers, handed out in order, as columns over the chunk."""

    def __init__(self, uniform: NDArray[np.float32]) -> None:
        self._columns: Iterator[Column] = iter(uniform.T[:, :, None, None])

    def between(self, low: float, high: float) -> Column:
        return np.float32(low) + np.float32(high - low) * next(self._columns)

    def coin(self, probability: float) -> NDArray[np.bool_]:
        return np.asarray(next(self._columns) < np.float32(probability))

    def rarely(self, probability: float) -> Column:
        """0 for most images, else uniform in [0, 1): one draw decides both."""
        return np.asarray(np.maximum(0, 1 - next(self._columns) / np.float32(probability)))

    def choice(self, count: int) -> NDArray[np.int64]:
        return (next(self._columns) * np.float32(count)).astype(np.int64)

    def direction(self, reach: float = 1.0) -> tuple[Column, Column]:
        """A unit vector within +-2 atan(reach) of "right", from the tangent of half its angle: no sine needed."""
        tangent = self.between(-reach, reach)
        square = tangent * tangent
        return (1 - square) / (1 + square), 2 * tangent / (1 + square)


_X, _Y = np.meshgrid(*[np.arange(SIZE, dtype=np.float32) - np.float32((SIZE - 1) / 2)] * 2)  # pixels from the middle


def _ink(labels: NDArray[np.int64], draws: _Draws, softness: Column) -> tuple[Plane, tuple[Column, Column]]:
    """How much of each pixel is letter, in [0, 1], and where the letter's middle is, in pixels."""
    cosine, sine = draws.direction(0.27)  # +-30 degrees: a Z never becomes an N
    stroke = draws.between(2.2, 4.8)  # pixels; the letter is five strokes high
    narrow = draws.between(0.8, 1.1)
    slant = draws.between(-0.35, 0.35)
    crowded = draws.coin(0.4)
    # A small letter has room to wander; in a row the one to be named stays nearest to the middle.
    room = np.minimum(np.float32(15.0) - np.float32(2.5) * stroke, np.where(crowded, 2 * stroke, np.float32(SIZE)))
    right, down = room * draws.between(-1.0, 1.0), room * draws.between(-1.0, 1.0)
    before, after = (np.where(crowded, draws.choice(len(LETTERS)), BLANK) for _ in range(2))

    # The way back from a pixel to the letter: undo the move, the turn, the slant and the size.
    x, y = _X - right, _Y - down
    v = (cosine * y - sine * x) / stroke
    u = (cosine * x + sine * y) / (stroke * narrow) + slant * v
    half = np.float32(SPACING / 2)
    letter = np.where(u > half, after, np.where(u < -half, before, labels[:, None, None]))
    u -= np.where(u > half, np.float32(SPACING), np.where(u < -half, np.float32(-SPACING), np.float32(0)))
    distance = distance_tables()[letter, _cell(v), _cell(u)]
    return _covered(distance * stroke, softness), (right, down)


def _cell(coordinate: Plane) -> NDArray[np.int64]:
    scale = np.float32(TABLE_SIZE / (2 * HALF_WIDTH))
    cell = np.clip((coordinate + np.float32(HALF_WIDTH)) * scale, 0, TABLE_SIZE - 1)
    return np.asarray(cell, dtype=np.int64)


def _covered(distance_pixels: Plane, softness: Column) -> Plane:
    """The edge of a shape as a ramp `softness` pixels wide: 1 inside, 0 outside."""
    return np.asarray(np.clip(np.float32(0.5) - distance_pixels / softness, 0, 1))


def _colours(draws: _Draws) -> tuple[list[Column], list[Column], Column]:
    """Red, green and blue of ground and ink, and how far apart they are in lightness, all fractions."""
    contrast = draws.between(0.3, 0.75)
    middle = contrast / 2 + (1 - contrast) * draws.between(0.05, 0.95)
    side = np.where(draws.coin(0.5), contrast, -contrast) * np.float32(0.5)
    return _tinted(middle - side, draws), _tinted(middle + side, draws), contrast


def _tinted(lightness: Column, draws: _Draws) -> list[Column]:
    """A colour of this lightness: a hue is added without its own lightness, so contrast stays what it was."""
    hue, strength = draws.between(0.0, 6.0), draws.between(0.0, 0.5)
    red = np.clip(abs(hue - 3) - 1, 0, 1)
    green = np.clip(2 - abs(hue - 2), 0, 1)
    blue = np.clip(2 - abs(hue - 4), 0, 1)
    own = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return [np.clip(lightness + strength * (primary - own), 0, 1) for primary in (red, green, blue)]


def _ramp(draws: _Draws) -> Plane:
    """From -1 on one side of the picture to 1 on the other."""
    across, along = draws.direction()
    return np.asarray((across * _X + along * _Y) / np.float32(SIZE / 2))


def _texture(draws: _Draws, lattice: NDArray[np.uint8]) -> Plane:
    """The ground's pattern in [-1, 1]: plain, shaded, striped or blotched."""
    kind = draws.choice(4)
    across, along = draws.direction()
    period, phase = draws.between(3.5, 11.0), draws.between(0.0, 1.0)
    edge = draws.between(1.0, 3.0)
    ramp = (across * _X + along * _Y) / np.float32(SIZE / 2)
    turns = ramp * (np.float32(SIZE / 2) / period) + phase
    stripes = np.clip(edge * (4 * abs(turns - np.floor(turns) - np.float32(0.5)) - 1), -1, 1)
    return np.select([kind == 1, kind == 2, kind == 3], [ramp, stripes, _blotches(lattice)], np.float32(0))


def _blotches(lattice: NDArray[np.uint8]) -> Plane:
    """25 random bytes as a 5x5 lattice, drawn out smoothly over the picture."""
    corners = lattice.reshape(-1, 5, 5).astype(np.float32) / np.float32(127.5) - 1
    place = np.arange(SIZE, dtype=np.float32) / np.float32(SIZE) * 4
    first = place.astype(np.int64)
    share = place - np.floor(place)
    share = share * share * (3 - 2 * share)
    rows = corners[:, first] * (1 - share)[:, None] + corners[:, first + 1] * share[:, None]
    return np.asarray(rows[:, :, first] * (1 - share) + rows[:, :, first + 1] * share)


def _cover(draws: _Draws, centre: tuple[Column, Column], softness: Column) -> Plane:
    """What lies in front of the letter: nothing for most, else a bar or a disc near its middle."""
    kind = draws.between(0.0, 1.0)
    across, along = draws.direction()
    reach = draws.between(-6.0, 6.0)
    size = draws.between(0.9, 1.9)
    # A bar lies anywhere across; a disc lies on the same line, further out and twice as thick.
    x, y = _X - centre[0] - across * reach, _Y - centre[1] - along * reach
    bar = abs(across * x + along * y) - size
    disc = np.sqrt(x * x + y * y) - 2 * size
    nothing = np.float32(SIZE)
    return _covered(np.where(kind < 0.2, bar, np.where(kind < 0.4, disc, nothing)), softness)


# The ten Sloan letters as geometry: strokes one unit wide on a grid of five by five.
#
# Louise Sloan chose C D H K N O R S V Z in 1959 because people confuse them about equally often; eye charts have used
# them since. Here each letter is a union of bars, arcs and slanted strokes, kept as a table of distances to its edge:
# below 0 is ink. From a distance an edge of any softness can be drawn at any size, without a font file.


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
