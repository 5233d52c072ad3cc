"""Copies across the parts of one's own pictures, test included, which stays sealed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snellen.data.labeled_images import LabeledImages
from snellen.data.sealed_images import SealedImages
from snellen.data.splits import Splits
from snellen.guards import duplicates
from snellen.guards.copies import CopyPair, find_copies
from snellen.guards.duplicates import check_duplicates, duplicates_in_test

FILES = tuple(f"bird{number}.jpg" for number in range(100))


def smooth(count: int, first: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pictures of slow waves, each its own."""
    rng = np.random.default_rng(first)
    down, right = np.mgrid[:32, :32] / 32

    def wave() -> np.ndarray[Any, Any]:
        along, across, phase = rng.uniform(0, 3, 3)
        return rng.normal() * np.sin(2 * np.pi * (along * down + across * right + phase))

    waves = [sum(wave() for _ in range(4)) for _ in range(count)]
    grey = np.clip(128 + 40 * np.stack(waves), 0, 255)
    return np.repeat(grey[..., None], 3, axis=3).astype(np.uint8)


def part(pixels: np.ndarray[Any, Any], role: Any, first_id: int) -> LabeledImages:
    count = len(pixels)
    labels = np.arange(count, dtype=np.int64) % 2
    return LabeledImages(pixels, labels, ("a", "b"), np.arange(first_id, first_id + count), role, "birds", files=FILES)


def sealed(pixels: np.ndarray[Any, Any]) -> SealedImages:
    def never() -> LabeledImages:
        raise AssertionError("the seal was broken: labels were handed out")

    return SealedImages(never, name="birds", count=len(pixels), identity="made", pixels=lambda: pixels)


@pytest.fixture
def splits() -> Splits:
    return Splits(part(smooth(40, 1), "train", 0), part(smooth(20, 2), "val", 40), sealed(smooth(20, 3)))


def by_name(found: Any) -> dict[str, Any]:
    return {result.name: result for result in found}


def test_parts_without_copies_pass(splits: Splits) -> None:
    found = by_name(check_duplicates(splits))
    assert list(found) == ["exact-duplicates", "near-duplicates", "test-duplicates"]
    assert [result.passed for result in found.values()] == [True, True, True]
    assert found["test-duplicates"].evidence.startswith(
        "0 of 20 test pictures are in train or val to the pixel, 0 more"
    )


@pytest.mark.parametrize(("which", "name"), [("train", "bird7.jpg"), ("val", "bird47.jpg")])
def test_a_test_picture_that_is_in_train_or_val_is_found_and_named(splits: Splits, which: str, name: str) -> None:
    test = smooth(20, 3)
    test[4] = getattr(splits, which).images[7]
    result = by_name(check_duplicates(replace(splits, test=sealed(test))))["test-duplicates"]
    assert (result.passed, result.severity) == (False, "error")
    assert "1 of 20 test pictures are in train or val to the pixel, 0 more nearly" in result.evidence
    assert name in result.evidence


def test_a_part_of_nothing_but_copies_has_no_near_ones(splits: Splits) -> None:
    copied = replace(splits, val=part(splits.train.images[:20], "val", 40))
    found = by_name(check_duplicates(copied))
    assert found["exact-duplicates"].evidence.startswith("0 copies within train")
    assert "20 of 20 val images are also in train" in found["exact-duplicates"].evidence
    assert found["near-duplicates"].passed
    assert found["test-duplicates"].passed


def test_a_brightened_copy_is_a_near_copy(splits: Splits) -> None:
    test = smooth(20, 3)
    test[4] = np.clip(splits.train.images[7].astype(int) + 12, 0, 255)
    result = by_name(check_duplicates(replace(splits, test=sealed(test))))["test-duplicates"]
    assert (result.passed, result.severity) == (False, "warning")
    assert "0 of 20 test pictures are in train or val to the pixel, 1 more nearly" in result.evidence
    assert "bird7.jpg" in result.evidence


def test_copies_between_train_and_val_are_named_by_file(splits: Splits) -> None:
    assert splits.val is not None
    splits.val.images[3] = splits.train.images[9]
    found = by_name(check_duplicates(splits))
    assert not found["exact-duplicates"].passed
    assert "For example train bird9.jpg = val bird43.jpg." in found["exact-duplicates"].evidence
    assert found["near-duplicates"].passed  # a copy to the pixel is told once
    assert splits.val is not None
    splits.val.images[3, 5:9] //= 2
    splits.val.__dict__.pop("content_hashes")
    assert "train bird9.jpg ~ val bird43.jpg" in by_name(check_duplicates(splits))["near-duplicates"].evidence


def test_a_picture_under_two_labels_is_named(splits: Splits) -> None:
    splits.train.images[1] = splits.train.images[0]
    result = by_name(check_duplicates(splits))["exact-duplicates"]
    assert "1 of them under another label" in result.evidence
    assert "train bird0.jpg = train bird1.jpg" in result.evidence


def test_a_final_training_is_compared_with_test(splits: Splits) -> None:
    test = smooth(20, 3)
    test[4] = splits.train.images[7]
    final = Splits(replace(splits.train, role="train+val"), None, sealed(test))
    assert by_name(check_duplicates(final))["test-duplicates"].passed is False


def test_many_pictures_are_compared_to_the_pixel_only(splits: Splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "MOST_COMPARED", 80)
    assert by_name(check_duplicates(splits))["near-duplicates"].passed
    monkeypatch.setattr(duplicates, "MOST_COMPARED", 79)
    found = by_name(check_duplicates(splits))
    assert found["near-duplicates"].passed is None
    assert "80 pictures are more than the 79 compared before" in found["near-duplicates"].evidence
    assert "snellen doctor DATA" in found["near-duplicates"].evidence
    learned = by_name(check_duplicates(replace(splits, train=part(smooth(60, 1), "train", 0), test=None)))
    assert learned["near-duplicates"].evidence.startswith("80 pictures are more than the 79")
    assert found["test-duplicates"].evidence == "0 of 20 test pictures are in train or val to the pixel."


def test_a_test_set_that_does_not_allow_it_is_not_searched(splits: Splits) -> None:
    closed = SealedImages(lambda: splits.train, name="birds", count=40, identity="made")
    assert duplicates_in_test(find_copies(splits.train, splits.val, closed)).passed is None
    assert duplicates_in_test(find_copies(splits.train, splits.val)).passed is None


def brighter(pixels: np.ndarray[Any, Any], by: int) -> np.ndarray[Any, Any]:
    return np.clip(pixels.astype(int) + by, 0, 255).astype(np.uint8)


def test_all_pairs_are_named_with_part_and_label_once_each(splits: Splits) -> None:
    """An exact copy and a burst of three within train, a mirror image in val, and all of that in test."""
    train, val, test = splits.train, splits.val, smooth(20, 3)
    assert val is not None
    train.images[1] = train.images[0]
    train.images[11], train.images[12] = brighter(train.images[10], 9), brighter(train.images[10], 15)
    val.images[5] = brighter(train.images[20], 9)[:, ::-1]
    val.images[6], val.images[7] = val.images[8], brighter(val.images[8], 9)
    test[3], test[4] = train.images[0], brighter(val.images[8], 20)
    test[5], test[7] = test[6], brighter(test[6], 9)  # copies within test are nobody's concern
    sealed_test = SealedImages(
        lambda: splits.train, name="birds", count=20, identity="made", pixels=lambda: test,
        files=tuple(f"test{number}.jpg" for number in range(20)),
    )  # fmt: skip
    found = find_copies(train, val, sealed_test, within_train=True)
    assert [str(pair) for pair in found.pairs if pair.kind == "exact"] == [
        "train bird0.jpg = train bird1.jpg", "val bird46.jpg = val bird48.jpg", "train bird0.jpg = test test3.jpg",
    ]  # fmt: skip
    burst = {"train bird10.jpg ~ train bird11.jpg", "train bird11.jpg ~ train bird12.jpg"}
    near = [str(pair) for pair in found.pairs if pair.kind == "near"]
    assert len(near) == len(set(near))
    assert set(near) - burst - {"train bird10.jpg ~ train bird12.jpg"} == {
        "train bird20.jpg ~ val bird45.jpg", "val bird46.jpg ~ val bird47.jpg", "val bird46.jpg ~ test test4.jpg",
    }  # fmt: skip
    assert {name for name in ("bird10", "bird11", "bird12") if name in " ".join(near)} == {"bird10", "bird11", "bird12"}
    by_second = {pair.second: pair for pair in found.pairs}
    assert by_second["bird1.jpg"].contradicts
    assert not by_second["bird48.jpg"].contradicts
    assert not by_second["test3.jpg"].contradicts  # of test no label is known
    assert by_second["test3.jpg"] == CopyPair("exact", "bird0.jpg", "train", "a", "test3.jpg", "test", None, 1.0)
    likeness = [pair.likeness for pair in found.pairs if pair.kind == "near"]
    assert likeness == sorted(likeness, reverse=True)
    without = find_copies(train, val, sealed_test)
    assert not burst & {str(pair) for pair in without.pairs}
