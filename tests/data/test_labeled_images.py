"""The first noun: what it says of its classes; what is taken out of it, neighbours in place, the rest copied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snellen.data.labeled_images import LabeledImages
from snellen.errors import DataError


def test_balanced_weights_give_each_class_the_same_say(few_images: LabeledImages) -> None:
    uneven = replace(few_images, labels=np.repeat([0, 1], (15, 45)))  # none of the third class
    np.testing.assert_allclose(uneven.balanced_weights, [60 / 3 / 15, 60 / 3 / 45, 0])


def numbered(count: int = 12) -> LabeledImages:
    pixels = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 4, 4, 3)).copy()
    labels = np.arange(count, dtype=np.int64) % 2
    hashes = np.arange(count, dtype=np.uint64) * np.uint64(7)
    files = ("left out",) * 100 + tuple(f"{'ab'[place % 2]}/{place}.png" for place in range(count))
    return LabeledImages(pixels, labels, ("a", "b"), np.arange(100, 100 + count), "all", "n", hashes, files)


@given(st.lists(st.integers(0, 11), max_size=12))
def test_whatever_is_taken_pixels_labels_ids_names_and_hashes_stay_together(places: list[int]) -> None:
    images = numbered()
    taken = images.take(np.array(places, dtype=np.int64), "train")
    assert taken.role == "train"
    assert taken.images[:, 0, 0, 0].tolist() == places
    assert taken.labels.tolist() == [place % 2 for place in places]
    assert taken.ids.tolist() == [100 + place for place in places]
    assert taken.identities.tolist() == [7 * place for place in places]
    assert taken.names == tuple(f"{'ab'[place % 2]}/{place}.png" for place in places)
    assert replace(taken, files=()).names == tuple(f"#{100 + place}" for place in places)


@pytest.mark.parametrize(
    ("places", "view"),
    [
        ([2, 3, 4], True),
        (list(range(12)), True),
        ([4, 3, 2], False),
        ([2, 4], False),
        ([2, 2, 4], False),
        ([2, 3, 3, 5], False),
        ([5], False),
    ],
)
def test_neighbours_are_a_view(places: list[int], view: bool) -> None:
    images = numbered()
    taken = images.take(np.array(places, dtype=np.int64), "train")
    assert np.shares_memory(taken.images, images.images) == view
    assert taken.images[:, 0, 0, 0].tolist() == places


@given(st.integers(1, 12), st.integers(1, 30))
def test_evenly_spread_are_as_many_as_asked_for_from_the_first_to_the_last(images: int, asked: int) -> None:
    places = numbered(images).evenly(asked)
    assert len(places) == min(asked, images)
    assert len(places) == 1 or (places[0], places[-1]) == (0, images - 1)
    assert np.ptp(np.diff(places)) <= 1 if len(places) > 2 else True


def test_pixels_that_are_hashed_are_not_hashed_again_under_another_name_or_in_another_part() -> None:
    images, places = numbered(), np.array([7, 2])
    assert "content_hashes" not in vars(images.take(places, "train")) | vars(images.named("other"))
    hashes = images.content_hashes.tolist()
    assert vars(images.named("other"))["content_hashes"].tolist() == hashes
    assert vars(images.take(places, "train"))["content_hashes"].tolist() == [hashes[7], hashes[2]]
    assert (images.named("other").name, images.named("other").names) == ("other", images.names)


def test_pictures_are_known_by_their_files_where_there_are_files() -> None:
    images = numbered()
    assert images.identities.tolist() == [7 * place for place in range(12)]
    without = replace(images, source_hashes=None)
    assert without.identities.tolist() == without.content_hashes.tolist()
    assert without.take(np.array([3, 1]), "train").identities.tolist() == without.content_hashes[[3, 1]].tolist()


@given(st.permutations(range(12)))
def test_the_fingerprint_is_of_pictures_and_labels_in_any_order_and_this_one_on_every_machine(order: list[int]) -> None:
    images = numbered()
    assert images.take(np.array(order), "train").fingerprint == images.fingerprint
    assert images.fingerprint.startswith("76c91e2a63a2")
    assert replace(images, labels=images.labels[::-1].copy()).fingerprint != images.fingerprint


@pytest.mark.parametrize(
    ("images", "mend", "not_said"),
    [
        (np.zeros((6, 8, 9, 4), np.uint8), r"images\[\.\.\., :3\]", "Channels first"),
        (np.zeros((6, 3, 8, 9), np.uint8), r"images\.transpose\(0, 2, 3, 1\)", "Transparency"),
        (np.zeros((6, 8, 9), np.uint8), r"images\[\.\.\., None\]", "255"),
        (np.zeros((6, 8, 9, 3), np.float32), r"\(images \* 255\)\.round\(\)", "Grey"),
        (np.zeros((6, 8, 9)), r"Grey\? images\[\.\.\., None\].*\(images \* 255\)", "Channels first"),
        (np.zeros((6, 8, 9, 3), np.int64), "must be", "255"),
        (np.zeros((6, 8, 9, 2), np.uint8), r"1 or 3 channels, got shape \(6, 8, 9, 2\)\.$", "Transparency"),
        (np.zeros((6, 3, 9, 3), np.uint8), "channels first or last; pass", "Transparency"),
        (np.zeros((6, 1, 9, 1), np.uint8), "channels first or last; pass", "Transparency"),
    ],
)
def test_arrays_of_another_form_are_told_their_own_way_out(images: Any, mend: str, not_said: str) -> None:
    with pytest.raises(DataError, match=mend) as raised:
        LabeledImages(images, np.zeros(6, np.int64), ("a", "b"), np.arange(6), "all", "few")
    assert not_said not in str(raised.value)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (9, 3), (9, 1)])
def test_few_rows_are_no_channels_where_the_picture_is_square_or_higher(shape: tuple[int, int]) -> None:
    for channels in (1, 3):
        pixels = np.zeros((6, *shape, channels), np.uint8)
        assert LabeledImages(pixels, np.zeros(6, np.int64), ("a",), np.arange(6), "all", "few").image_shape[:2] == shape


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"images": np.zeros((59, 32, 32, 3), np.uint8)}, "59 images, 60 labels and 60 ids do not match"),
        ({"ids": np.arange(61)}, "60 images, 60 labels and 61 ids do not match"),
        ({"class_names": ("ant", "bee", "bee")}, "two classes are called 'bee'"),
        ({"labels": np.repeat([0, 3], (58, 2))}, r"image 58 has label 3, outside 0\.\.2"),
        ({"labels": np.repeat([0, -1], (57, 3))}, r"image 57 has label -1, outside 0\.\.2"),
    ],
)
def test_what_does_not_fit_together_is_said(few_images: LabeledImages, changed: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        replace(few_images, **changed)
