"""The split: disjoint, covering, stratified, and a function of the pictures alone."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.sealed_images import SealedImages
from snellen.data.splits import split, split_final
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


@given(st.permutations(range(30)))
def test_the_order_of_the_files_changes_nothing(order: list[int]) -> None:
    dataset = dataset_with([12, 18])
    shuffled = Dataset("some", dataset.train.take(np.array(order, dtype=np.int64), "all"), None, source="here")
    first, second = split(dataset), split(shuffled)
    assert first.val is not None
    assert second.val is not None
    assert sorted(first.val.ids) == sorted(second.val.ids)
    assert first.train.fingerprint == second.train.fingerprint


def test_equal_pictures_go_by_their_id() -> None:
    same = np.zeros((10, 2, 2, 1), dtype=np.uint8)
    labels = np.arange(10, dtype=np.int64) % 2
    ids = np.arange(10, dtype=np.int64)[::-1].copy()
    images = LabeledImages(same, labels, ("a", "b"), ids, "all", "same")
    val = split(Dataset("same", images, None, source="here"), val_images=4).val
    assert val is not None
    assert sorted(val.ids) == [0, 1, 2, 3]


def test_val_images_overrides_the_fraction() -> None:
    val = split(dataset_with([50, 50]), val_images=30).val
    assert val is not None
    assert val.counts.tolist() == [15, 15]


def test_the_final_split_learns_from_everything_and_keeps_the_seal() -> None:
    test = SealedImages(lambda: dataset_with([1, 1]).train, name="some", count=2)
    parts = split_final(dataset_with([3, 4], test=test))
    assert (parts.train.role, len(parts.train), parts.val) == ("train+val", 7, None)
    assert parts.test is test
    assert split(dataset_with([3, 4], test=test), val_images=2).test is test


@pytest.mark.parametrize(
    ("counts", "val_images", "sentence"),
    [
        ([5, 1], 2, "class 'class1' has 1 image in some; a split needs at least 2"),
        ([0, 5], 2, "class 'class0' has 0 images in some"),
        ([5], 1, "5 images in 1 classes"),
        ([5, 5], 1, "1 of the 10 images of some cannot be val; with 2 classes it takes 2 to 8"),
        ([5, 5], 9, "it takes 2 to 8"),
        ([5, 5], -3, "-3 of the 10"),
    ],
)
def test_what_cannot_be_split_is_one_sentence(counts: list[int], val_images: int, sentence: str) -> None:
    with pytest.raises(BadSplit, match=sentence):
        split(dataset_with(counts), val_images=val_images)


def test_fifty_thousand_images_take_less_than_a_second() -> None:
    dataset = dataset_with([5_000] * 10)
    start = time.process_time()  # of this process alone: other work on the machine does not count
    split(dataset)
    assert time.process_time() - start < 1


@pytest.mark.cifar10
def test_the_split_of_cifar10_is_this_one_everywhere(real_cifar10: Dataset) -> None:
    parts = split(real_cifar10)
    assert parts.val is not None
    assert parts.val.counts.tolist() == [500] * 10
    assert parts.train.counts.tolist() == [4_500] * 10
    assert parts.val.fingerprint == "a961afbfb9384db91729c6a13783714d79cd45d0702f71e6bcecfef3f8b0a551"
