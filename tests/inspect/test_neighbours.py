"""Nearest pictures: itself first, no feature louder than the others; and a fair sample of classes."""

from __future__ import annotations

import numpy as np

from snellen.data.labeled_images import LabeledImages
from snellen.inspect.feature_space import nearest, spread_over_classes


def test_the_nearest_to_a_known_point_is_itself(rng: np.random.Generator) -> None:
    base = rng.normal(size=(40, 6))
    rows, similar = nearest(base[[3, 17]], base, count=4)
    assert rows[:, 0].tolist() == [3, 17]
    np.testing.assert_allclose(similar[:, 0], 1, atol=1e-6)
    assert (np.diff(similar, axis=1) <= 0).all()


def test_units_of_a_feature_do_not_matter(rng: np.random.Generator) -> None:
    base, queries = rng.normal(size=(40, 6)), rng.normal(size=(5, 6))
    scale = np.array([1, 1000, 1, 0.01, 1, 7])
    np.testing.assert_array_equal(
        nearest(queries, base, count=5)[0], nearest(queries * scale, base * scale, count=5)[0]
    )


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
