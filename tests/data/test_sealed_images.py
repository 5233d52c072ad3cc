"""The seal: one way in, and the ledger line comes first."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import TestSet
from snellen.data.sealed_images import SealedImages
from snellen.errors import DataError, SealError, StorageError


@pytest.fixture
def sealed(few_images: LabeledImages) -> SealedImages:
    return SealedImages(lambda: few_images, name="few", count=60, identity="made")


def test_nothing_is_loaded_before_it_is_opened() -> None:
    def never() -> LabeledImages:
        raise AssertionError("loaded")

    sealed = SealedImages(never, name="few", count=60, identity="made")
    assert (sealed.name, sealed.count, repr(sealed), str(sealed)) == ("few", 60, "sealed", "sealed")


def test_opening_writes_the_identity_first_and_gives_the_role_test(
    sealed: SealedImages, few_images: LabeledImages
) -> None:
    lines: list[TestSet] = []
    opened = sealed.open(lines.append)
    assert [(line.name, line.count, line.fingerprint) for line in lines] == [("few", 60, few_images.fingerprint)]
    assert opened.role == "test"
    np.testing.assert_array_equal(opened.images, few_images.images)


def test_a_ledger_that_cannot_write_keeps_the_seal(sealed: SealedImages) -> None:
    def full(test_set: TestSet) -> None:
        raise StorageError("the disk is full")

    with pytest.raises(StorageError):
        sealed.open(full)


def test_a_test_set_of_another_size_than_promised_is_refused_before_the_ledger(few_images: LabeledImages) -> None:
    lines: list[TestSet] = []
    with pytest.raises(DataError, match="60 images, 59 were expected"):
        SealedImages(lambda: few_images, name="few", count=59, identity="made").open(lines.append)
    assert lines == []


@pytest.mark.parametrize(
    "look",
    [
        len,
        list,
        lambda sealed: sealed[0],
        lambda sealed: 3 in sealed,
        np.asarray,
        lambda sealed: np.asarray(sealed, dtype=np.uint8),
        np.array,
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
    ],
)
def test_every_other_way_in_says_how_it_is_done(look: Callable[[SealedImages], Any], sealed: SealedImages) -> None:
    with pytest.raises(SealError, match="snellen evaluate RUN --split test"):
        look(sealed)


def test_under_another_name_or_with_other_labels_it_is_the_same_set(few_images: LabeledImages) -> None:
    plain = SealedImages(lambda: few_images, name="few", count=60, identity="made")
    assert (plain.names[0], plain.names[-1], len(plain.names), plain.identities.tolist()) == ("#0", "#59", 60, [])
    assert plain.search_copies(len) is None
    files, hashes = tuple(f"{number}.png" for number in range(60)), few_images.content_hashes
    pixels = few_images.images
    sealed = SealedImages(
        lambda: few_images, name="few", count=60, identity="made", pixels=lambda: pixels, files=files, identities=hashes
    )
    turned = sealed.corrected(lambda images: replace(images, labels=images.labels[::-1].copy()), "turned round")
    for one, name, note in ((sealed.named("other"), "other", ""), (turned.named("third"), "third", "turned round")):
        assert (one.name, one.note, one.names, one.count) == (name, note, files, 60)
        assert one.identities is hashes
        assert one.search_copies(lambda given: given is pixels)
        assert (one.describe() == sealed.describe()) == (note == "")
        opened = one.open(lambda _: None)
        assert (opened.name, opened.labels[0]) == (name, 2 if note else 0)
    assert turned.describe() != sealed.corrected(lambda images: images, "another").describe()
