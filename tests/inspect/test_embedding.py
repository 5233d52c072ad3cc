"""Principal components: the widest direction first, and the same map every time."""

from __future__ import annotations

import numpy as np
import pytest

from snellen.inspect.embedding import principal_components


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


@pytest.mark.parametrize("shape", [(1, 4), (5, 1), (0, 3)])
def test_too_few_points_or_features_give_zeros_instead_of_an_error(shape: tuple[int, int]) -> None:
    flat = principal_components(np.ones(shape), axes=2)
    assert flat.points.shape == (shape[0], 2)
    assert (flat.points == 0).all()
