"""Fixtures of the data room."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from snellen.data import cifar10
from snellen.data.dataset import Dataset

# A property is about what is computed; how long it takes depends on what else the machine is doing.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def real_cifar10(cifar10_folder: Path) -> Dataset:
    """The official CIFAR-10, read once for all tests."""
    return cifar10.read(cifar10_folder)


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache folder of this test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
