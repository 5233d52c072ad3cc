"""The arithmetic done by hand, on cases small enough to be checked by eye."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from snellen.augment.batched import to_float
from snellen.explain import by_hand
from snellen.predict.predict import views as batched_views
from snellen.recipes.recipe import TTA
from snellen.train.losses import batch_losses


def test_a_picture_of_two_pixels_is_stored_red_first_and_found_again() -> None:
    image = np.array([[[1, 2, 3], [4, 5, 6]]], dtype=np.uint8)  # two pixels side by side
    row = by_hand.planes(image)
    assert row.tolist() == [1, 4, 2, 5, 3, 6]
    np.testing.assert_array_equal(by_hand.unfold(row, (1, 2, 3), planes=True), image)
    np.testing.assert_array_equal(by_hand.unfold(image.reshape(-1), (1, 2, 3), planes=False), image)


def test_a_row_that_is_unfolded_the_wrong_way_is_another_picture(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    assert np.array_equal(by_hand.unfold(by_hand.planes(image), (4, 5, 3), planes=True), image)
    assert (by_hand.unfold(by_hand.planes(image), (4, 5, 3), planes=False) != image).any()


def test_a_filter_of_ones_sums_its_patch() -> None:
    patch = np.arange(8.0).reshape(2, 2, 2)
    weight = np.stack([np.ones((2, 2, 2)), np.zeros((2, 2, 2))])
    assert by_hand.convolve_at(patch, weight, np.array([0.5, 1.0])).tolist() == [28.5, 1.0]


def test_layers_are_those_of_torch(rng: np.random.Generator) -> None:
    maps, four = rng.normal(size=(3, 4, 5)), rng.uniform(0.5, 2, (4, 3))
    mean, variance, scale, shift = four
    torchs = functional.batch_norm(
        torch.tensor(maps[None]), *map(torch.tensor, (mean, variance, scale, shift)), eps=0.1
    )
    np.testing.assert_allclose(by_hand.batch_norm(maps, *four[..., None, None], 0.1), torchs[0].numpy())
    weight, bias = rng.normal(size=(2, 5)), rng.normal(size=2)
    torchs = functional.linear(*map(torch.tensor, (maps[0, 0], weight, bias)))
    np.testing.assert_allclose(by_hand.linear(maps[0, 0], weight, bias), torchs.numpy())
    np.testing.assert_allclose(by_hand.softmax(weight[0]), functional.softmax(torch.tensor(weight[0]), 0).numpy())
    np.testing.assert_allclose(by_hand.average(np.array([0.25, 0.75]), weight), 0.25 * weight[0] + 0.75 * weight[1])
    normal = by_hand.normalise(maps.astype(np.float32), mean.astype(np.float32), scale.astype(np.float32))
    np.testing.assert_allclose(normal[2], (maps[2] - mean[2]) / scale[2], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.2, 1.0, 3.0]])
def test_the_loss_is_the_one_that_training_takes(smoothing: float, weights: list[float]) -> None:
    logits = np.array([0.3, -1.2, 2.5])
    batch = torch.tensor(logits[None].repeat(3, axis=0)), torch.arange(3)
    taken = batch_losses(*batch, class_weights=torch.tensor(weights), label_smoothing=smoothing)
    again = [by_hand.cross_entropy(logits, label, smoothing, np.array(weights))[0] for label in range(3)]
    assert taken.tolist() == pytest.approx(again, rel=1e-6)


def test_equal_probabilities_rank_in_class_order() -> None:
    assert by_hand.most_probable(np.array([0.2, 0.4, 0.4, 0.0]), 3) == [1, 2, 0]


@pytest.mark.parametrize("tta", ["none", "flip", "shift", "ten_crop"])
def test_views_are_those_of_the_batch_with_the_same_weights(tta: TTA, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)
    made = list(batched_views(to_float(torch.from_numpy(image[None])), tta))
    seen = by_hand.views(image, tta)
    assert [weight for weight, _ in seen] == [weight for weight, _ in made]
    for (_, own), (_, batch) in zip(seen, made, strict=True):
        np.testing.assert_array_equal(by_hand.as_fractions(own), batch[0].numpy())
