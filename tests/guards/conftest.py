"""Letters to make mistakes with."""

from __future__ import annotations

import pytest

from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.data.splits import split


@pytest.fixture(scope="session")
def letters() -> tuple[LabeledImages, LabeledImages]:
    """Train and val of 1,200 letters: 900 and 300."""
    parts = split(make_eyechart(train=1_200, test=10), val_fraction=0.25)
    assert parts.val is not None
    return parts.train, parts.val


@pytest.fixture
def train(letters: tuple[LabeledImages, LabeledImages]) -> LabeledImages:
    return letters[0]


@pytest.fixture
def val(letters: tuple[LabeledImages, LabeledImages]) -> LabeledImages:
    return letters[1]
