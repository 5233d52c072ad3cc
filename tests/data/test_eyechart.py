"""The built-in pictures: the same everywhere, a beginning of more, and neither trivial nor hidden."""

from __future__ import annotations

import numpy as np
import pytest

from snellen.data.eyechart import (
    BLANK,
    CHUNK_IMAGES,
    DRAWS,
    HALF_WIDTH,
    LETTERS,
    TABLE_SIZE,
    _Draws,
    distance_tables,
    draw_letters,
    make_eyechart,
    seed_of,
)
from snellen.data.labeled_images import LabeledImages
from snellen.errors import InvalidSetting


def opened(seed: int, count: int) -> LabeledImages:
    test = make_eyechart(seed, train=0, test=count).test
    assert test is not None
    return test.open(lambda test_set: None)


def test_its_shape_is_that_of_cifar10() -> None:
    dataset = make_eyechart(train=50, test=20)
    train = dataset.train
    assert (train.images.shape, train.images.dtype, train.role) == ((50, 32, 32, 3), np.uint8, "all")
    assert train.counts.tolist() == [5] * 10
    assert train.class_names == ("C", "D", "H", "K", "N", "O", "R", "S", "V", "Z")
    assert dataset.test is not None
    assert (dataset.test.count, dataset.test.name, dataset.source) == (20, "eyechart", "made from seed 0")


def test_the_same_seed_gives_the_same_bits_everywhere() -> None:
    # Pinned: only + - * / and square roots go into it. If this changes, every number measured on eyechart is void.
    assert (
        make_eyechart(0, train=600, test=0).train.fingerprint
        == "c829d517fd42a85122086d87a248bedff250468900ad3fdb2659300c4c6755f4"
    )
    assert opened(0, 100).fingerprint == "deecf69c6b21c3d7009839b64ab3702d1d8d5991f874f4e20518562c77300c86"


def test_fewer_images_are_the_beginning_of_more() -> None:
    more = make_eyechart(3, train=2 * CHUNK_IMAGES + 9, test=0).train.images
    for count in (1, 17, CHUNK_IMAGES, CHUNK_IMAGES + 1):
        np.testing.assert_array_equal(make_eyechart(3, train=count, test=0).train.images, more[:count])


def test_a_letter_drawn_alone_is_the_one_of_the_set() -> None:
    letters = make_eyechart(3, train=CHUNK_IMAGES + 9, test=0).train.images
    for number in (0, 5, CHUNK_IMAGES + 1):
        np.testing.assert_array_equal(draw_letters(3, "train", number, number + 1)[0], letters[number])
    assert (seed_of(make_eyechart(3, train=1, test=0).source), seed_of("made from seedlings")) == (3, None)


def test_seeds_and_splits_have_no_picture_in_common() -> None:
    sets = [make_eyechart(0, train=200, test=0).train, make_eyechart(1, train=200, test=0).train, opened(0, 200)]
    hashes = np.concatenate([images.content_hashes for images in sets])
    assert len(np.unique(hashes)) == 600


def test_the_letter_can_be_told_from_its_ground() -> None:
    images = make_eyechart(train=500, test=0).train.images.astype(np.float64)
    assert images.mean(axis=3).std(axis=(1, 2)).min() > 5  # no blank picture
    assert 90 < images.mean() < 165
    assert 45 < images.std() < 90


def test_the_pictures_use_no_more_draws_than_there_are() -> None:
    draws = _Draws(np.full((2, DRAWS), 0.25, dtype=np.float32))
    assert draws.between(2.0, 4.0).ravel().tolist() == [2.5, 2.5]
    assert draws.choice(8).ravel().tolist() == [2, 2]
    assert draws.coin(0.25).ravel().tolist() == [False, False]
    assert draws.rarely(0.5).ravel().tolist() == [0.5, 0.5]
    cosine, sine = draws.direction()
    np.testing.assert_allclose(cosine * cosine + sine * sine, 1, rtol=1e-6)


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 2**64}, {"train": -1}, {"test": -5}])
def test_impossible_numbers_are_named(arguments: dict[str, int]) -> None:
    name, value = next(iter(arguments.items()))
    with pytest.raises(InvalidSetting, match=f"{name}={value}"):
        make_eyechart(**arguments)


# The letters' geometry, checked where a person can check it: on the grid of five by five

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
