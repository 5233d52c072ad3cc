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
    np.testing.assert_allclose(uneven.balanced_weights * uneven.counts, [60 / 3, 60 / 3, 0])


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
    assert taken.images[:, 0, 0, 0].tolist() == places
    assert taken.labels.tolist() == [place % 2 for place in places]
    assert taken.ids.tolist() == [100 + place for place in places]
    assert taken.identities.tolist() == [7 * place for place in places]
    assert taken.names == tuple(f"{'ab'[place % 2]}/{place}.png" for place in places)
    assert replace(taken, files=()).names == tuple(f"#{100 + place}" for place in places)


@pytest.mark.parametrize(
    ("places", "view"),
    [([2, 3, 4], True), (list(range(12)), True), ([4, 3, 2], False), ([2, 4], False), ([2, 2, 4], False), ([5], False)],
)
def test_neighbours_are_a_view(places: list[int], view: bool) -> None:
    images = numbered()
    taken = images.take(np.array(places, dtype=np.int64), "train")
    assert np.shares_memory(taken.images, images.images) == view


@given(st.integers(1, 12), st.integers(1, 30))
def test_evenly_spread_are_as_many_as_asked_for_from_the_first_to_the_last(images: int, asked: int) -> None:
    places = numbered(images).evenly(asked)
    assert len(places) == min(asked, images)
    assert len(places) == 1 or (places[0], places[-1]) == (0, images - 1)
    assert np.ptp(np.diff(places)) <= 1 if len(places) > 2 else True


def test_pictures_are_known_by_their_files_where_there_are_files() -> None:
    images = numbered()
    assert images.identities.tolist() == [7 * place for place in range(12)]
    without = replace(images, source_hashes=None)
    assert without.identities.tolist() == without.content_hashes.tolist()


@pytest.mark.parametrize(
    ("images", "mend", "not_said"),
    [
        (np.zeros((6, 8, 9, 4), np.uint8), r"images\[\.\.\., :3\]", "Channels first"),
        (np.zeros((6, 3, 8, 9), np.uint8), r"images\.transpose\(0, 2, 3, 1\)", "Transparency"),
        (np.zeros((6, 8, 9), np.uint8), r"images\[\.\.\., None\]", "255"),
        (np.zeros((6, 8, 9, 3), np.float32), r"\(images \* 255\)\.round\(\)", "Grey"),
        (np.zeros((6, 8, 9)), r"Grey\? images\[\.\.\., None\].*\(images \* 255\)", "Channels first"),
        (np.zeros((6, 8, 9, 3), np.int64), "must be", "255"),
    ],
)
def test_arrays_of_another_form_are_told_their_own_way_out(images: Any, mend: str, not_said: str) -> None:
    with pytest.raises(DataError, match=mend) as raised:
        LabeledImages(images, np.zeros(6, np.int64), ("a", "b"), np.arange(6), "all", "few")
    assert not_said not in str(raised.value)
