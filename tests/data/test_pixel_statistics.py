"""Mean and std: exact, per channel, and of training images only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages, Role
from snellen.data.pixel_statistics import CHUNK_IMAGES, _histograms, measure
from snellen.data.splits import split_final
from snellen.errors import DataError


def test_half_black_half_white_is_half_and_half() -> None:
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    images[1] = 255
    images[1, ..., 2] = 51
    train = LabeledImages(images, np.array([0, 1]), ("a", "b"), np.arange(2), "train", "two")
    statistics = measure(train)
    assert statistics.mean == (0.5, 0.5, 0.1)
    assert statistics.std == (0.5, 0.5, 0.1)
    assert (statistics.source, statistics.count, statistics.fingerprint) == ("train", 2, train.fingerprint)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]))
def test_measured_as_numpy_measures_it_in_double_precision(seed: int, channels: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (7, 5, 6, channels), dtype=np.uint8)
    statistics = measure(LabeledImages(images, np.zeros(7, np.int64), ("a",), np.arange(7), "train+val", "some"))
    np.testing.assert_allclose(statistics.mean, (images / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, (images / 255).std((0, 1, 2)), rtol=1e-12)


def test_parts_of_a_large_set_are_all_counted(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (2 * CHUNK_IMAGES + 1, 1, 1, 3), dtype=np.uint8)
    histograms = _histograms(images)
    assert histograms.sum(axis=1).tolist() == [len(images)] * 3
    assert histograms[2, 7] == np.count_nonzero(images[..., 2] == 7)


@pytest.mark.parametrize("role", ["all", "val", "test", "new"])
def test_other_roles_are_refused(role: Role, few_images: LabeledImages) -> None:
    way_out = "Split first" if role == "all" else "train split"
    with pytest.raises(DataError, match=f"role '{role}'.*{way_out}"):
        measure(replace(few_images, role=role))


def test_nothing_and_sameness_are_refused(few_images: LabeledImages) -> None:
    with pytest.raises(DataError, match="mean of nothing"):
        measure(few_images.take(np.array([], dtype=np.int64), "train"))
    with pytest.raises(DataError, match="same value"):
        measure(replace(few_images, images=np.zeros_like(few_images.images), role="train"))


@pytest.mark.cifar10
def test_the_constants_of_cifar10_are_the_well_known_ones(real_cifar10: Dataset) -> None:
    statistics = measure(split_final(real_cifar10).train)
    assert [f"{value:.4f}" for value in statistics.mean] == ["0.4914", "0.4822", "0.4465"]
    assert [f"{value:.4f}" for value in statistics.std] == ["0.2470", "0.2435", "0.2616"]
