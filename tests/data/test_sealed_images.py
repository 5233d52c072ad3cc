"""The seal: one way in, and the ledger line comes first."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
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
