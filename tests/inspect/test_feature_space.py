"""Features laid flat, the same map every time; nearest pictures, no feature louder than the others; fair samples."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from snellen.data.labeled_images import LabeledImages
from snellen.errors import UsageError
from snellen.inspect import feature_space
from snellen.inspect.feature_space import (
    METHODS,
    Method,
    embed,
    nearest,
    principal_components,
    require_library,
    spread_over_classes,
)

BOTH = ["tsne", pytest.param("umap", marks=pytest.mark.slow)]  # umap compiles itself first: a quarter of a minute


def test_a_cloud_along_one_line_lies_along_the_first_axis(rng: np.random.Generator) -> None:
    along = rng.normal(size=200)
    direction = np.array([3.0, 4.0, 0.0]) / 5
    flat = principal_components(along[:, None] * direction + 7, axes=2)
    np.testing.assert_allclose(flat.points[:, 0], along - along.mean(), atol=1e-5)
    np.testing.assert_allclose(flat.points[:, 1], 0, atol=1e-5)
    np.testing.assert_allclose(flat.share, [1, 0], atol=1e-9)


def test_distances_survive_when_no_direction_is_left_out(rng: np.random.Generator) -> None:
    points = rng.normal(size=(20, 3)) * [5, 2, 1]
    flat = principal_components(points, axes=3).points
    before = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(flat[:, None] - flat[None], axis=2), before, atol=1e-4)
    assert (np.diff(flat.var(axis=0)) <= 0).all()


@pytest.mark.parametrize("shape", [(1, 4), (5, 1), (0, 3), (5, 0)])
def test_too_few_points_or_features_give_zeros_instead_of_an_error(shape: tuple[int, int]) -> None:
    flat = principal_components(np.ones(shape), axes=2)
    assert flat.points.shape == (shape[0], 2)
    assert (flat.points == 0).all()
    assert (flat.share == 0).all()


def test_two_points_have_a_map() -> None:
    flat = principal_components(np.array([[1.0, 0.0], [1.0, -4.0]]), axes=2)
    np.testing.assert_allclose(flat.points, [[2, 0], [-2, 0]])


def test_both_methods_have_a_name_for_people() -> None:
    assert set(METHODS) == {"tsne", "umap"}


@pytest.fixture
def two_clouds(rng: np.random.Generator) -> np.ndarray:
    """(60, 8): thirty points around 0 and thirty around 10."""
    return np.concatenate([rng.normal(size=(30, 8)), rng.normal(size=(30, 8)) + 10]).astype(np.float32)


@pytest.mark.parametrize("method", BOTH)
def test_points_that_stand_together_stay_together_and_the_map_repeats(method: Method, two_clouds: np.ndarray) -> None:
    flat = embed(two_clouds, method)
    assert flat.shape == (60, 2)
    assert flat.dtype == np.float32
    distance = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(axis=1)
    assert ((nearest < 30) == (np.arange(60) < 30)).mean() > 0.95
    np.testing.assert_array_equal(embed(two_clouds, method), flat)


@pytest.mark.parametrize("method", BOTH)
def test_a_handful_of_points_still_has_a_map(method: Method) -> None:
    assert embed(np.eye(3, dtype=np.float32), method).shape == (3, 2)
    assert np.isfinite(embed(np.eye(6, dtype=np.float32), method)).all()


@pytest.mark.parametrize("count", [3, 4, 16, 60, 61, 200])
@pytest.mark.parametrize("size", [3, 70])
def test_what_the_libraries_are_given_fits_the_number_of_points(
    count: int, size: int, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    told: list[dict[str, object]] = []

    def maker(**options: object) -> SimpleNamespace:
        told.append(options)
        return SimpleNamespace(fit_transform=lambda points: torch.set_num_threads(before + 1) or points)

    before = torch.get_num_threads()
    for name in ("sklearn.manifold", "umap"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(TSNE=maker, UMAP=maker))
    features = rng.normal(size=(count, size))
    axes = 2 if count < 4 else min(50, count, size)
    for method in METHODS:
        np.testing.assert_array_equal(embed(features, method), principal_components(features, axes=axes).points)
    tsne = {"perplexity": min(30, (count - 1) / 3), "init": "pca", "random_state": 0}
    init = "spectral" if count > 60 else "random"
    umap = {"n_neighbors": min(15, count - 1), "init": init, "random_state": 0, "n_jobs": 1}
    assert told == ([tsne, umap] if count >= 4 else [])
    assert torch.get_num_threads() == before  # numba, on which umap rests, sets PyTorch's


def test_without_the_library_one_sentence_holds_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match=r"--map umap .* pip install 'snellen\[map\]'"):
        require_library("umap")


def test_the_nearest_to_a_known_point_is_itself(rng: np.random.Generator) -> None:
    base = rng.normal(size=(40, 6))
    rows, similar = nearest(base[[3, 17]], base, count=4)
    assert rows[:, 0].tolist() == [3, 17]
    np.testing.assert_allclose(similar[:, 0], 1, atol=1e-6)
    assert (np.diff(similar, axis=1) <= 0).all()


def test_units_and_zero_of_a_feature_and_how_many_are_asked_at_once_do_not_matter(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, queries = rng.normal(size=(40, 6)), rng.normal(size=(5, 6))
    scale, zero = np.array([1, 1000, 1, 0.01, 1, 7]), np.array([0, 0, 50, 0, -20, 0])
    rows, similar = nearest(queries, base, count=5)
    monkeypatch.setattr(feature_space, "_CHUNK", 2)
    again, as_similar = nearest(queries * scale + zero, base * scale + zero, count=5)
    np.testing.assert_array_equal(again, rows)
    np.testing.assert_allclose(as_similar, similar, atol=1e-5)


def test_of_equally_near_ones_the_first_are_named() -> None:
    rows, similar = nearest(np.array([[5.0], [-2.0]]), np.array([[1.0], [-1.0]] * 50), count=20)
    assert rows.tolist() == [list(range(0, 40, 2)), list(range(1, 40, 2))]
    assert (similar == 1).all()


def test_a_feature_that_never_varies_is_harmless(rng: np.random.Generator) -> None:
    base = np.column_stack([rng.normal(size=(10, 2)), np.full(10, 3.0)])
    assert np.isfinite(nearest(base, base, count=3)[1]).all()


def test_there_are_never_more_neighbours_than_pictures(rng: np.random.Generator) -> None:
    assert nearest(rng.normal(size=(2, 3)), rng.normal(size=(4, 3)), count=9)[0].shape == (2, 4)


def test_every_class_gives_the_same_share_and_a_small_one_all_it_has(few_images: LabeledImages) -> None:
    short = few_images.take(np.arange(45), "train")  # 20, 20 and 5
    chosen = spread_over_classes(short, 30)
    assert np.bincount(short.labels[chosen]).tolist() == [10, 10, 5]
    assert len(np.unique(chosen)) == len(chosen)
    assert chosen[:10].tolist() == [0, 2, 4, 6, 8, 11, 13, 15, 17, 19]  # from the first of a class to its last
    mixed = few_images.take(np.arange(60).reshape(3, 20).T.ravel(), "train")
    assert spread_over_classes(mixed, 6).tolist() == [0, 1, 2, 57, 58, 59]  # in the order of the file
    assert spread_over_classes(mixed, 2).tolist() == [0, 1, 2]  # fewer than classes: one of each
