from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snellen.data.cifar10 import read
from snellen.data.splits import split
from snellen.guards.copies import directions, find_copies, find_near_duplicates
from snellen.guards.duplicates import near_duplicates


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


@pytest.mark.cifar10
def test_cifar10_has_three_percent_of_near_duplicates_all_with_the_right_label(cifar10_folder):
    parts = split(read(cifar10_folder))
    assert parts.val is not None
    found = find_near_duplicates(parts.train.images, parts.val.images)
    assert 130 <= len(found.queries) <= 190
    agree = parts.train.labels[found.references] == parts.val.labels[found.queries]
    assert agree.mean() > 0.97
