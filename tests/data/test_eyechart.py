"""The built-in pictures: the same everywhere, a beginning of more, and neither trivial nor hidden."""

from __future__ import annotations

import numpy as np
import pytest

from snellen.data.eyechart import CHUNK_IMAGES, DRAWS, _Draws, make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.errors import InvalidSetting


def opened(seed: int, count: int) -> LabeledImages:
    test = make_eyechart(seed, train=0, test=count).test
    assert test is not None
    return test.open(lambda test_set: None)


def test_its_shape_is_that_of_cifar10() -> None:
    dataset = make_eyechart(train=50, test=20)
    train = dataset.train
    assert (train.images.shape, train.images.dtype, train.role) == ((50, 32, 32, 3), np.uint8, "all")
    assert train.counts.tolist() == [5] * 10
    assert train.class_names == ("C", "D", "H", "K", "N", "O", "R", "S", "V", "Z")
    assert dataset.test is not None
    assert (dataset.test.count, dataset.test.name, dataset.source) == (20, "eyechart", "made from seed 0")


def test_the_same_seed_gives_the_same_bits_everywhere() -> None:
    # Pinned: only + - * / and square roots go into it. If this changes, every number measured on eyechart is void.
    assert (
        make_eyechart(0, train=600, test=0).train.fingerprint
        == "c829d517fd42a85122086d87a248bedff250468900ad3fdb2659300c4c6755f4"
    )
    assert opened(0, 100).fingerprint == "deecf69c6b21c3d7009839b64ab3702d1d8d5991f874f4e20518562c77300c86"


def test_fewer_images_are_the_beginning_of_more() -> None:
    more = make_eyechart(3, train=2 * CHUNK_IMAGES + 9, test=0).train.images
    for count in (1, 17, CHUNK_IMAGES, CHUNK_IMAGES + 1):
        np.testing.assert_array_equal(make_eyechart(3, train=count, test=0).train.images, more[:count])


def test_seeds_and_splits_have_no_picture_in_common() -> None:
    sets = [make_eyechart(0, train=200, test=0).train, make_eyechart(1, train=200, test=0).train, opened(0, 200)]
    hashes = np.concatenate([images.content_hashes for images in sets])
    assert len(np.unique(hashes)) == 600


def test_the_letter_can_be_told_from_its_ground() -> None:
    images = make_eyechart(train=500, test=0).train.images.astype(np.float64)
    assert images.mean(axis=3).std(axis=(1, 2)).min() > 5  # no blank picture
    assert 90 < images.mean() < 165
    assert 45 < images.std() < 90


def test_the_pictures_use_no_more_draws_than_there_are() -> None:
    draws = _Draws(np.full((2, DRAWS), 0.25, dtype=np.float32))
    assert draws.between(2.0, 4.0).ravel().tolist() == [2.5, 2.5]
    assert draws.choice(8).ravel().tolist() == [2, 2]
    assert draws.coin(0.25).ravel().tolist() == [False, False]
    assert draws.rarely(0.5).ravel().tolist() == [0.5, 0.5]
    cosine, sine = draws.direction()
    np.testing.assert_allclose(cosine * cosine + sine * sine, 1, rtol=1e-6)


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 2**64}, {"train": -1}, {"test": -5}])
def test_impossible_numbers_are_named(arguments: dict[str, int]) -> None:
    name, value = next(iter(arguments.items()))
    with pytest.raises(InvalidSetting, match=f"{name}={value}"):
        make_eyechart(**arguments)
