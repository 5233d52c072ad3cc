"""Fixtures shared by all rooms."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from snellen.data.labeled_images import LabeledImages


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261124)


@pytest.fixture(scope="session")
def cifar10_folder() -> Path:
    """The real CIFAR-10 python batches, or a skip that says where they were looked for."""
    root = os.environ.get("SNELLEN_DATA", "")
    for folder in (Path(root), Path(root) / "cifar-10-batches-py"):
        if root and (folder / "data_batch_1").is_file():
            return folder.resolve()
    pytest.skip(f"CIFAR-10 is not in SNELLEN_DATA={root!r}")


@pytest.fixture
def few_images(rng: np.random.Generator) -> LabeledImages:
    """60 random 32x32 RGB pictures of three classes, 20 each."""
    return LabeledImages(
        images=rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8),
        labels=np.repeat(np.arange(3, dtype=np.int64), 20),
        class_names=("ant", "bee", "cat"),
        ids=np.arange(60, dtype=np.int64),
        role="all",
        name="few",
    )
