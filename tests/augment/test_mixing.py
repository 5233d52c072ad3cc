"""Mixup and CutMix: pixels and targets are mixed in the same measure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import betaincinv

from snellen.augment.batched import to_device
from snellen.augment.draws import draw
from snellen.augment.mixing import beta_quantile, mix, mixed_targets
from snellen.recipes.recipe import Augment


def some_batch(count=40, height=12, width=10, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((count, 3, height, width), dtype=np.float32))


def drawn(augment, count=40, epoch=0):
    draws = draw(augment, seed=4, epoch=epoch, count=count)
    mixes = to_device(draws, "cpu").mixes
    assert mixes is not None
    return draws, mixes


def _mix_two(image, other, own, cut, down, right):
    """(H, W, C) float32 of two, and how much of it is the first; the numbers mean what `mixing.Mixes` says."""
    if not cut:
        return own * image + (np.float32(1) - own) * other, float(own)
    parts = []
    for middle, size in ((down, image.shape[0]), (right, image.shape[1])):
        half = int(np.float32(size) * np.sqrt(np.float32(1) - own) / np.float32(2))
        centre = int(middle * np.float32(size))
        parts.append(slice(max(centre - half, 0), centre + half))
    pasted = image.copy()
    pasted[tuple(parts)] = other[tuple(parts)]
    outside = np.ones(image.shape[:2])
    outside[tuple(parts)] = 0
    return pasted, float(outside.mean())


@pytest.mark.parametrize("augment", [Augment(mixup=0.2), Augment(cutmix=1.0), Augment(mixup=0.8, cutmix=1.0)])
def test_each_image_is_mixed_with_the_one_before_it_as_the_reference_does_it(augment):
    batch = some_batch()
    draws, mixes = drawn(augment)
    mixed, share = mix(batch, mixes)
    for i in range(len(batch)):
        image, other = (batch[at].permute(1, 2, 0).numpy() for at in (i, i - 1))
        expected, expected_share = _mix_two(image, other, *draws[i].mix)
        np.testing.assert_allclose(mixed[i].permute(1, 2, 0).numpy(), expected, rtol=0, atol=1e-6)
        assert share[i].item() == pytest.approx(expected_share, abs=1e-6)


def test_cutmix_pixels_come_whole_from_one_of_the_two_and_the_target_counts_them():
    batch = some_batch()
    _, mixes = drawn(Augment(cutmix=1.0))
    mixed, share = mix(batch, mixes)
    own = (mixed == batch).all(dim=1)
    other = (mixed == batch.roll(1, 0)).all(dim=1)
    assert (own ^ other).all()
    torch.testing.assert_close(own.float().mean(dim=(1, 2)), share)


def test_targets_are_the_two_labels_by_their_shares():
    targets = mixed_targets(torch.tensor([0, 2, 2]), torch.tensor([0.75, 0.5, 1.0]), 4)
    assert targets.tolist() == [[0.75, 0, 0.25, 0], [0.5, 0, 0.5, 0], [0, 0, 1, 0]]


@pytest.mark.parametrize("a", [0.05, 0.2, 0.4, 1.0, 3.0])
def test_the_weights_follow_the_beta_distribution(a):
    fraction = np.linspace(0, 1, 997, endpoint=False)
    np.testing.assert_allclose(beta_quantile(a, fraction), betaincinv(a, a, fraction), rtol=0, atol=2e-4)


def test_with_both_on_about_half_of_the_images_are_cut():
    draws, _ = drawn(Augment(mixup=1.0, cutmix=1.0), count=10_000)
    assert draws.mixes is not None
    assert abs(draws.mixes.cut.mean() - 0.5) < 0.02


def test_mixed_batches_stay_channels_last():
    batch = some_batch().to(memory_format=torch.channels_last)
    for augment in (Augment(mixup=0.2), Augment(cutmix=1.0)):
        assert mix(batch, drawn(augment)[1])[0].is_contiguous(memory_format=torch.channels_last)
