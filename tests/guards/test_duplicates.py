from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snellen.data.cifar10 import read
from snellen.data.splits import split
from snellen.guards.copies import Copies, CopyPair, directions, find_copies, find_near_duplicates
from snellen.guards.duplicates import duplicates_in_test, exact_duplicates, near_duplicates


def brighter(images):
    return np.clip(images.astype(np.int16) + 15, 0, 255).astype(np.uint8)


def shifted(images):
    return np.concatenate([images[:, :, :1], images[:, :, :-1]], axis=2)


@pytest.mark.parametrize(
    ("change", "least"),
    [
        (lambda images: images, 1.0),
        (brighter, 0.95),
        (lambda images: images[:, :, ::-1], 1.0),
        (shifted, 0.75),
        (lambda images: (images // 8) * 8, 0.95),
    ],
)
def test_changed_copies_are_found_with_their_originals(train, change, least):
    found = find_near_duplicates(train.images, change(train.images[100:200]))
    right = found.references == 100 + found.queries
    assert right.mean() > 0.95
    assert right.sum() >= least * 100


def test_mirror_images_are_found(train):
    pairs = find_near_duplicates(train.images, train.images[:50, :, ::-1])
    assert (pairs.references == pairs.queries).sum() == 50


def test_different_letters_pass_and_a_tenth_of_copies_does_not(train, val):
    assert near_duplicates(find_copies(train, val)).passed
    copied = replace(val, images=np.concatenate([brighter(train.images[:30]), val.images[30:]]))
    result = near_duplicates(find_copies(train, copied))
    assert result.passed is False
    assert "30 of 300 val images (10.0 %)" in result.evidence
    assert result.severity == "warning"


def found(count, kind, second, first="train", labels=("a", "a"), **others):
    """Copies of `count` pairs, each of other pictures, among 300 of train, 300 of val and 300 of test."""
    one = [
        CopyPair(kind, f"one{at}", first, labels[0], f"other{at}", second, labels[1], 0.95) for at in range(count)
    ]  # fmt: skip
    about = {"train": 300, "val": 300, "test": 300, "near": True, "within_train": False, "test_searched": True}
    return Copies(pairs=tuple(one), **about | others)


@pytest.mark.parametrize(
    ("count", "passed", "severity"), [(0, True, "warning"), (3, False, "warning"), (4, False, "error")]
)
def test_more_than_one_in_a_hundred_of_val_also_in_train_is_an_error(count, passed, severity):
    result = exact_duplicates(found(count, "exact", "val"))
    assert (result.passed, result.severity) == (passed, severity)
    assert f"; {count} of 300 val images are also in train." in result.evidence
    contradicting = exact_duplicates(found(3, "exact", "train", labels=("a", "b"), val=0, test=None))
    assert (contradicting.passed, contradicting.severity) == (False, "warning")
    assert "3 of them under another label. For example train one0 = train other0, " in contradicting.evidence


@pytest.mark.parametrize(
    ("count", "passed", "severity", "points"),
    [(3, True, None, ""), (4, False, "note", "0.1"), (29, False, "note", "1.1"), (60, False, "warning", "2.5")],
)
def test_one_near_copy_in_a_hundred_is_let_pass_and_from_a_tenth_on_it_is_a_warning(count, passed, severity, points):
    result = near_duplicates(found(count, "near", "val"))
    assert result.passed is passed
    if not passed:
        assert (result.severity, f"by up to {points} points" in result.remedy) == (severity, True)
    assert (
        f"{count} of 300 val images ({count / 3:.1f} %) have a near-duplicate in train, {count} of them"
        in result.evidence
    )
    other = near_duplicates(found(count, "near", "val", labels=("a", "b")))
    assert f"{count} of 300 val images ({count / 3:.1f} %) have a near-duplicate in train, 0 of them" in other.evidence
    within = near_duplicates(found(count, "near", "train"))
    assert (
        within.evidence
        == f"0 of 300 val images (0.0 %) have a near-duplicate in train. Within train there are {count} pairs."
    )


@pytest.mark.parametrize("first", ["train", "train+val", "val"])
def test_a_test_picture_that_was_learned_from_is_one_too_many_and_near_ones_may_be_one_in_a_hundred(first):
    for kind, count, passed, severity in (
        ("exact", 1, False, "warning"), ("exact", 3, False, "warning"), ("exact", 4, False, "error"),
        ("near", 3, True, None), ("near", 4, False, "warning"),
    ):  # fmt: skip
        result = duplicates_in_test(found(count, kind, "test", first))
        assert result.passed is passed
        assert passed or result.severity == severity
    twice = found(4, "near", "test", first)  # two pictures, each like two that were learned from
    pairs = tuple(replace(pair, second=f"other{at % 2}") for at, pair in enumerate(twice.pairs))
    assert (
        "0 of 300 test pictures are in train or val to the pixel, 2 more nearly; for example"
        in duplicates_in_test(replace(twice, pairs=pairs)).evidence
    )


def test_without_val_there_is_nothing_to_compare(train):
    assert near_duplicates(find_copies(train, None)).passed is None


def test_blank_pictures_have_no_direction_and_no_near_duplicates():
    blank = np.full((3, 32, 32, 3), 200, dtype=np.uint8)
    assert not directions(blank).any()
    assert len(find_near_duplicates(blank, blank).queries) == 0


@pytest.mark.parametrize("shape", [(16, 16, 1), (8, 8, 3), (37, 50, 3), (5, 40, 3)])
def test_pictures_of_any_size_are_their_own_near_duplicates(shape, rng):
    coarse = rng.integers(0, 256, (20, *shape), dtype=np.uint8)
    found = find_near_duplicates(coarse, coarse)
    np.testing.assert_array_equal(found.references, found.queries)
    assert len(found.queries) == 20


def test_skies_are_no_copies_of_each_other_nor_pictures_that_only_rise_and_fall_alike(rng):
    down, right = np.mgrid[:32, :32]
    skies = 6.0 * down[None, :, :, None] + rng.normal(0, 4, (10, 8, 8, 1)).repeat(4, axis=1).repeat(4, axis=2)
    skies = np.clip(skies + 20, 0, 255).astype(np.uint8)
    alike = directions(skies[:5]) @ directions(skies[5:]).T
    assert alike.min() > 0.95  # what tells them apart is which cell is brighter than its neighbour
    assert len(find_near_duplicates(skies[:5], skies[5:]).queries) == 0
    risen = (255 * (right / 31) ** np.array([0.2, 8]).reshape(2, 1, 1)).astype(np.uint8)[..., None]
    assert len(find_near_duplicates(risen[:1], risen[1:]).queries) == 0


@pytest.mark.parametrize("shape", [(16, 40, 1), (32, 32, 3), (8, 9, 3)])
def test_half_a_grey_level_of_contrast_has_no_direction_and_a_whole_one_has(shape):
    rows, columns = shape[0] // 8, shape[1] // 8
    cells = np.zeros((2, 8, 8, shape[2]), dtype=np.uint8)
    cells[0, :2], cells[1, :4] = 1, 2  # deviations of 0.43 and 1
    pixels = np.zeros((2, *shape), dtype=np.uint8)
    pixels[:, : 8 * rows, : 8 * columns] = cells.repeat(rows, axis=1).repeat(columns, axis=2)
    assert np.linalg.norm(directions(pixels), axis=1) == pytest.approx([0, 1])
    if shape[2] == 1:  # whose cells have a deviation of a half exactly
        assert not directions(pixels[1:] // 2).any()


def test_of_64_cells_16_may_be_brighter_the_other_way_round():
    down, right = np.mgrid[:8, :9]
    rising, falling = 20 * down + right, 20 * down + 8 - right
    sixteen = np.where(down < 2, falling, rising)
    seventeen = sixteen.copy()
    seventeen[5, [3, 4]] = seventeen[5, [4, 3]]
    pictures = np.stack([rising, sixteen, seventeen]).astype(np.uint8)[..., None]
    assert find_near_duplicates(pictures[:1], pictures).queries.tolist() == [0, 1]


def test_of_many_pictures_each_is_found_again(rng):
    many = rng.integers(0, 256, (1_050, 8, 9, 1), dtype=np.uint8)
    found = find_near_duplicates(many, many[::-1])
    np.testing.assert_array_equal(found.references, 1_049 - found.queries)
    assert len(found.queries) == 1_050


def test_a_search_says_what_was_sought(train, val):
    few, other = train.take(np.arange(20), "train"), val.take(np.arange(10), "val")
    for near in (False, True):
        for within in (False, True):
            copies = find_copies(few, other, near=near, within_train=within)
            assert (copies.near, copies.within_train, copies.test_searched) == (near, near and within, False)
            assert (copies.train, copies.val, copies.test) == (20, 10, None)


@pytest.mark.cifar10
def test_cifar10_has_three_percent_of_near_duplicates_all_with_the_right_label(cifar10_folder):
    parts = split(read(cifar10_folder))
    assert parts.val is not None
    found = find_near_duplicates(parts.train.images, parts.val.images)
    assert 130 <= len(found.queries) <= 190
    agree = parts.train.labels[found.references] == parts.val.labels[found.queries]
    assert agree.mean() > 0.97
