"""t-SNE and UMAP: neighbours stay together, the map repeats, and a missing library says what to do."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from snellen.errors import UsageError
from snellen.inspect.neighbour_map import METHODS, Method, neighbour_map, require_library

BOTH = ["tsne", pytest.param("umap", marks=pytest.mark.slow)]  # umap compiles itself first: a quarter of a minute


def test_both_methods_have_a_name_for_people() -> None:
    assert set(METHODS) == {"tsne", "umap"}


@pytest.fixture
def two_clouds(rng: np.random.Generator) -> np.ndarray:
    """(60, 8): thirty points around 0 and thirty around 10."""
    return np.concatenate([rng.normal(size=(30, 8)), rng.normal(size=(30, 8)) + 10]).astype(np.float32)


@pytest.mark.parametrize("method", BOTH)
def test_points_that_stand_together_stay_together_and_the_map_repeats(method: Method, two_clouds: np.ndarray) -> None:
    flat = neighbour_map(two_clouds, method)
    assert flat.shape == (60, 2)
    assert flat.dtype == np.float32
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(axis=1)
    assert ((nearest < 30) == (np.arange(60) < 30)).mean() > 0.95
    np.testing.assert_array_equal(neighbour_map(two_clouds, method), flat)


@pytest.mark.parametrize("method", BOTH)
def test_a_handful_of_points_still_has_a_map(method: Method) -> None:
    assert neighbour_map(np.eye(3, dtype=np.float32), method).shape == (3, 2)
    assert np.isfinite(neighbour_map(np.eye(6, dtype=np.float32), method)).all()


def test_without_the_library_one_sentence_holds_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match=r"--map umap .* pip install 'snellen\[map\]'"):
        require_library("umap")
