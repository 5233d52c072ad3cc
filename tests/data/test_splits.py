"""The split: disjoint, covering, stratified, and a function of the pictures alone."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.sealed_images import SealedImages
from snellen.data.splits import folds_of, one_fold, parts_by_hash, split, split_final
from snellen.errors import BadSplit


def dataset_with(counts: list[int], seed: int = 0, test: SealedImages | None = None) -> Dataset:
    """Random 2x2 grey pictures, `counts[k]` of class k, in a random order."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts), dtype=np.int64), counts))
    images = rng.integers(0, 256, (len(labels), 2, 2, 1), dtype=np.uint8)
    names = tuple(f"class{k}" for k in range(len(counts)))
    ids = np.arange(len(labels), dtype=np.int64)
    return Dataset("some", LabeledImages(images, labels, names, ids, "all", "some"), test, source="here")


@given(st.lists(st.integers(2, 40), min_size=2, max_size=6), st.floats(0.05, 0.5), st.integers(0, 9))
def test_train_and_val_are_disjoint_covering_and_stratified(counts: list[int], fraction: float, seed: int) -> None:
    dataset = dataset_with(counts, seed)
    wanted = round(fraction * len(dataset.train))
    if wanted < len(counts):
        return
    parts = split(dataset, val_fraction=fraction)
    assert parts.val is not None
    assert (parts.train.role, parts.val.role) == ("train", "val")
    assert sorted([*parts.train.ids, *parts.val.ids]) == list(range(sum(counts)))
    share = np.array(counts) * wanted / sum(counts)
    assert np.all(np.abs(parts.val.counts - share) <= 1)
    assert np.all(parts.val.counts >= 1)
    assert np.all(parts.train.counts >= 1)
    assert len(parts.val) == wanted or np.any(share < 1)  # only a rare class's one image may come on top


@given(
    st.lists(st.integers(2, 20), min_size=2, max_size=5), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 0.25, 0.5])
)
def test_the_order_of_the_files_changes_nothing(counts: list[int], seed: int, fraction: float) -> None:
    images = dataset_with(counts).train
    order = np.random.default_rng(seed).permutation(len(images))
    shuffled = replace(images.take(order, "all"), ids=images.ids)  # another file order gives other positions
    wanted = max(len(counts), round(fraction * len(images)))
    first, second = (
        split(Dataset("some", each, None, "here"), val_fraction=wanted / len(images)) for each in (images, shuffled)
    )
    assert first.val is not None
    assert second.val is not None
    assert sorted(first.val.content_hashes) == sorted(second.val.content_hashes)
    assert first.train.fingerprint == second.train.fingerprint


def test_the_split_is_this_one_on_every_machine() -> None:
    numbers = np.arange(40, dtype=np.int64)
    pixels = np.stack([numbers * 37 % 251, numbers, numbers**2 % 256, 255 - numbers], axis=1).astype(np.uint8)
    images = LabeledImages(pixels.reshape(40, 2, 2, 1), numbers % 2, ("a", "b"), numbers, "all", "some")
    val = split(Dataset("some", images, None, source="here"), val_fraction=0.2).val
    assert val is not None
    assert sorted(val.ids) == [4, 8, 13, 18, 23, 25, 28, 33]


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_a_split_that_the_data_bring_along_is_taken_as_it_is_and_shares_no_picture(given_val: list[bool]) -> None:
    dataset = replace(dataset_with([len(given_val), 3]), in_val=np.array([*given_val, False, True, False]))
    parts = split(dataset)
    assert parts.val is not None
    assert (parts.train.role, parts.val.role) == ("train", "val")
    assert dataset.in_val is not None
    assert parts.val.ids.tolist() == np.flatnonzero(dataset.in_val).tolist()
    assert parts.train.ids.tolist() == np.flatnonzero(~dataset.in_val).tolist()


def test_equal_pictures_go_by_their_id() -> None:
    same = np.zeros((10, 2, 2, 1), dtype=np.uint8)
    labels = np.arange(10, dtype=np.int64) % 2
    ids = np.arange(10, dtype=np.int64)[::-1].copy()
    images = LabeledImages(same, labels, ("a", "b"), ids, "all", "same")
    val = split(Dataset("same", images, None, source="here"), val_fraction=0.4).val
    assert val is not None
    assert sorted(val.ids) == [0, 1, 2, 3]


def test_the_final_split_learns_from_everything_and_keeps_the_seal() -> None:
    test = SealedImages(lambda: dataset_with([1, 1]).train, name="some", count=2, identity="made")
    parts = split_final(dataset_with([3, 4], test=test))
    assert (parts.train.role, len(parts.train), parts.val) == ("train+val", 7, None)
    assert parts.test is test
    assert split(dataset_with([3, 4], test=test), val_fraction=0.3).test is test


@pytest.mark.parametrize(
    ("counts", "fraction", "sentence"),
    [
        ([5, 1], 0.3, "class 'class1' has 1 image in some; a split needs at least 2"),
        ([0, 5], 0.4, "class 'class0' has 0 images in some"),
        ([5], 0.2, "5 images in 1 classes"),
        ([0, 0], 0.2, "0 images in 2 classes; a classifier needs"),
        ([5, 5], 0.1, "1 of the 10 images of some cannot be val; with 2 classes it takes 2 to 8"),
        ([5, 5], 0.9, "it takes 2 to 8"),
        ([5, 5], -0.3, "-3 of the 10"),
    ],
)
def test_what_cannot_be_split_is_one_sentence(counts: list[int], fraction: float, sentence: str) -> None:
    with pytest.raises(BadSplit, match=sentence):
        split(dataset_with(counts), val_fraction=fraction)


def test_fifty_thousand_images_take_less_than_a_second() -> None:
    dataset = dataset_with([5_000] * 10)
    start = time.process_time()  # of this process alone: other work on the machine does not count
    split(dataset)
    assert time.process_time() - start < 1


# Data that grow

hashes_of_a_class = st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=30, unique=True)


def parts_of(hashes: list[int], test_fraction: float = 0.0) -> dict[int, int]:
    labels = np.zeros(len(hashes), dtype=np.int64)
    numbers = np.array(hashes, dtype=np.uint64)
    parts = parts_by_hash(labels, numbers, val_fraction=0.1, test_fraction=test_fraction)
    return dict(zip(hashes, parts.tolist(), strict=True))


@given(hashes_of_a_class, hashes_of_a_class, st.sampled_from([0.0, 0.1, 0.3]))
def test_adding_images_never_moves_one_but_a_stand_in(before: list[int], added: list[int], fraction: float) -> None:
    first, then = parts_of(before, fraction), parts_of(list(dict.fromkeys([*before, *added])), fraction)
    line, end = 0.1 * 2**64, (1 - fraction) * 2**64
    for value, part in first.items():
        if then[value] != part:
            assert (part == 1 and value >= line) or (part == 0 and value < line)  # it stood in, and goes home
            assert then[value] == (0 if value >= line else 1)
        assert (then[value] == 2) == (part == 2) == (fraction > 0 and value >= end)


@given(hashes_of_a_class, hashes_of_a_class)
def test_adding_images_never_moves_one_where_each_side_has_its_own(before: list[int], added: list[int]) -> None:
    line = int(0.1 * 2**64)
    own = [*before, 5, line + 5]
    first, then = parts_of(list(dict.fromkeys(own))), parts_of(list(dict.fromkeys([*own, *added])))
    assert {value: then[value] for value in first} == first


@given(hashes_of_a_class)
def test_each_class_has_one_on_either_side_and_the_order_changes_nothing(hashes: list[int]) -> None:
    parts = parts_of(hashes)
    assert set(parts.values()) == {0, 1}
    assert parts_of(hashes[::-1]) == parts


@given(hashes_of_a_class, st.sampled_from([0.1, 0.3, 0.5]))
def test_a_test_part_moves_no_line_of_val(hashes: list[int], fraction: float) -> None:
    line = 0.1 * 2**64
    parts = parts_of([*hashes, 5], fraction)
    assert all(parts[value] != 1 for value in hashes if value >= line)


def test_about_a_tenth_becomes_val_and_another_tenth_test() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, 20_000, dtype=np.uint64)
    parts = parts_by_hash(np.arange(20_000) % 4, hashes, val_fraction=0.1, test_fraction=0.1)
    shares = np.bincount(parts) / 20_000
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)


def test_copies_of_a_file_go_together() -> None:
    hashes = np.array([2**63, 2**63, 2**63 + 1], dtype=np.uint64)  # none below the line: the lowest stand in
    assert parts_by_hash(np.zeros(3, dtype=np.int64), hashes, val_fraction=0.1).tolist() == [1, 1, 0]


@pytest.mark.cifar10
def test_the_split_of_cifar10_is_this_one_everywhere(real_cifar10: Dataset) -> None:
    parts = split(real_cifar10)
    assert parts.val is not None
    assert parts.val.counts.tolist() == [500] * 10
    assert parts.train.counts.tolist() == [4_500] * 10
    assert parts.val.fingerprint == "a961afbfb9384db91729c6a13783714d79cd45d0702f71e6bcecfef3f8b0a551"


@given(st.lists(st.integers(2, 40), min_size=2, max_size=6), st.integers(2, 7), st.integers(0, 9))
def test_copies_share_a_fold_and_every_class_is_dealt_out_evenly(counts: list[int], count: int, seed: int) -> None:
    images = dataset_with(counts, seed).train
    twice = replace(images.take(np.tile(images.ids, 2), "all"), ids=np.arange(2 * len(images), dtype=np.int64))
    fold = folds_of(twice, count)
    np.testing.assert_array_equal(fold[: len(images)], fold[len(images) :])
    for label in range(len(counts)):
        dealt = np.bincount(fold[: len(images)][images.labels == label], minlength=count)
        assert len(dealt) == count
        assert dealt.max() - dealt.min() <= 1
    order = np.random.default_rng(seed).permutation(len(twice))
    np.testing.assert_array_equal(folds_of(twice.take(order, "all"), count), fold[order])


@pytest.mark.parametrize(
    ("hashes", "parts"),
    [([5, 9, 9], [1, 0, 0]), ([2**63, 2**63, 2**64 - 1], [1, 1, 0])],
    ids=["all below the line", "all above it"],
)
def test_all_copies_of_a_stand_in_go_to_its_side(hashes: list[int], parts: list[int]) -> None:
    found = parts_by_hash(np.zeros(3, dtype=np.int64), np.array(hashes, dtype=np.uint64), val_fraction=0.1)
    assert found.tolist() == parts


def test_a_hash_on_a_line_is_behind_it_and_the_smallest_share_is_none() -> None:
    val, test = int(0.1 * 2**64), int((1 - 0.2) * 2**64)
    hashes = np.array([val - 1, val, test - 1, test, test + 1], dtype=np.uint64)
    parts = parts_by_hash(np.zeros(5, dtype=np.int64), hashes, val_fraction=0.1, test_fraction=0.2)
    assert parts.tolist() == [1, 0, 0, 2, 2]
    assert parts_by_hash(np.zeros(5, dtype=np.int64), hashes, val_fraction=0, test_fraction=0.2).tolist() == [
        0,
        0,
        0,
        2,
        2,
    ]
    assert parts_by_hash(np.zeros(5, dtype=np.int64), hashes, val_fraction=0.1, test_fraction=1e-30).max() == 1


def test_each_fold_takes_a_picture_of_every_class_and_copies_are_one() -> None:
    dataset = dataset_with([3, 5])
    images = dataset.train
    thrice = replace(images.take(np.tile(images.ids, 3), "all"), ids=np.arange(24, dtype=np.int64))
    for each in (dataset, replace(dataset, train=thrice)):
        folds = [one_fold(each, number, 3) for number in range(3)]
        assert [fold.fold for fold in folds] == [(0, 3), (1, 3), (2, 3)]
        assert np.stack([fold.in_val for fold in folds]).sum(axis=0).tolist() == [1] * len(each.train)  # type: ignore[misc]
        with pytest.raises(BadSplit, match="4 folds are not possible: .* 'class0' has 3 different ones"):
            one_fold(each, 0, 4)
