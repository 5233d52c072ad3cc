"""The first layer as pictures; patches cut where a channel answers, as large as what moves it, inside the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from snellen.data.labeled_images import LabeledImages
from snellen.inspect import features, filters
from snellen.inspect.features import Peaks, features_of
from snellen.inspect.filters import cut, first_filters, patch_side, selective_channels
from snellen.inspect.layers import Layer
from snellen.models.catalog import ModelSpec, build
from snellen.models.normalized import Classifier, Normalized

_LAYER = Layer("early", "net.0", rectify=True)


def made(name: str, *widths: int) -> Classifier:
    return build(ModelSpec(name, (32, 32, 3), 3, (0.5,) * 3, (0.25,) * 3, {"widths": widths}), seed=0)


def test_zero_is_mid_grey_and_the_largest_weight_is_white() -> None:
    model = made("small_cnn", 4, 4, 6, 6)
    with torch.no_grad():
        model.net.conv1.weight.zero_()  # type: ignore[union-attr, operator]
        model.net.conv1.weight[0, 0, 1, 1] = 0.02  # type: ignore[index, union-attr]
        model.net.conv1.weight[2, 1, 0, 2] = -0.001  # type: ignore[index, union-attr]
    pictures = first_filters(model, (32, 32, 3))
    assert pictures.shape == (4, 3, 3, 3)
    assert pictures[0, 1, 1].tolist() == [255, 128, 128]
    assert set(np.unique(pictures[1])) == {128}
    assert pictures[2, 0, 2].tolist() == [128, 0, 128]  # each filter is stretched by itself


def test_units_of_an_mlp_are_pictures_of_whole_images_the_strongest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_FILTERS", 2)
    model = made("mlp", 6)
    with torch.no_grad():
        model.net.hidden.weight[4] *= 10  # type: ignore[union-attr, operator, index]
    weights = model.net.hidden.weight.detach()[4].reshape(3, 32, 32).permute(1, 2, 0).numpy()  # type: ignore[union-attr, operator, index]
    pictures = first_filters(model, (32, 32, 3))
    assert pictures.shape == (2, 32, 32, 3)
    assert np.corrcoef(pictures[0].ravel(), weights.ravel())[0, 1] > 0.999


def test_of_equally_strong_units_of_an_mlp_the_first_64_are_shown_also_of_pictures_that_are_no_squares() -> None:
    units = nn.Linear(3 * 4 * 9, 108)
    nn.init.eye_(units.weight)
    pictures = first_filters(
        Classifier(Normalized((0.0,) * 3, (1.0,) * 3), nn.Sequential(nn.Flatten(), units)), (4, 9, 3)
    )
    assert pictures.shape == (64, 4, 9, 3)
    assert pictures.transpose(0, 3, 1, 2).reshape(64, -1).argmax(axis=1).tolist() == list(range(64))


def network(kernel: int) -> Classifier:
    """One convolution that sums its window, a mean and a head."""
    window = nn.Conv2d(3, 1, kernel, padding=kernel // 2, bias=False)
    nn.init.ones_(window.weight)
    net = nn.Sequential(window, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    return Classifier(Normalized((0.0,) * 3, (1.0,) * 3), net).eval()


def dark_with_one_bright_square(places: list[tuple[int, int]]) -> LabeledImages:
    images = np.zeros((len(places), 16, 16, 3), dtype=np.uint8)
    for image, (top, left) in zip(images, places, strict=True):
        image[top : top + 3, left : left + 3] = 255
    count = len(places)
    return LabeledImages(images, np.zeros(count, dtype=np.int64), ("a", "b"), np.arange(count), "train", "squares")


@pytest.mark.parametrize("side", [3, 5, 7])
def test_patches_are_as_large_as_the_window_that_a_unit_sees(side: int) -> None:
    assert patch_side(network(side), dark_with_one_bright_square([(7, 7)]), _LAYER) == side


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
def test_the_unit_in_the_middle_is_measured_also_of_pictures_that_are_no_squares(shape: tuple[int, int]) -> None:
    images = dark_with_one_bright_square([(0, 0)])
    pixels = np.zeros((1, *shape, 3), dtype=np.uint8)
    pixels[:, shape[0] // 2, shape[1] // 2] = 255  # whatever lies further away is silent
    assert patch_side(network(5), replace(images, images=pixels), _LAYER) == 5


def test_64_pictures_are_asked_or_as_many_as_six_passes_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    model, told = network(3), list[int]()
    model.register_forward_pre_hook(lambda _, given: told.append(len(given[0])))
    images = dark_with_one_bright_square([(7, 7)] * 70)
    patch_side(model, images, _LAYER)
    monkeypatch.setattr(features, "_PIXELS_PER_PASS", 4 * 3 * 16 * 16)  # a quarter of it where gradients are kept
    patch_side(model, images, _LAYER)
    assert told == [64, *[3] * 6]


def test_of_a_silent_unit_the_whole_picture_is_shown() -> None:
    dark = dark_with_one_bright_square([(0, 0)])
    assert patch_side(network(5), dark, _LAYER) == 16
    for long in (dark.images[:, :, :11], dark.images[:, :11]):  # as much of it as a square can hold
        assert patch_side(network(5), replace(dark, images=np.ascontiguousarray(long)), _LAYER) == 11


def test_the_patch_holds_what_excited_the_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_PATCHES", 2)
    images = dark_with_one_bright_square([(2, 9), (20, 20), (10, 4)])  # the second one lies outside: all dark
    peaks = features_of(network(3), images, (_LAYER,)).peaks["early"]
    (channel,) = selective_channels(peaks, image_shape=(16, 16, 3), side=3)
    assert sorted(channel.rows.tolist()) == [0, 2]
    patches = cut(images.images, channel)
    assert patches.shape == (2, 3, 3, 3)
    assert (patches == 255).all()


def test_patches_at_the_edge_are_moved_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_PATCHES", 4)
    images = dark_with_one_bright_square([(0, 0), (13, 13), (0, 13), (6, 6), (20, 20)])
    peaks = features_of(network(3), images, (_LAYER,)).peaks["early"]
    (channel,) = selective_channels(peaks, image_shape=(16, 16, 3), side=9)
    corners = {row: tuple(corner) for row, corner in zip(channel.rows.tolist(), channel.corners.tolist(), strict=True)}
    assert corners == {0: (0, 0), 1: (7, 7), 2: (0, 7), 3: (3, 3)}


def test_a_patch_lies_around_its_units_place_also_in_pictures_that_are_no_squares(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filters, "_PATCHES", 60)
    position = np.arange(60)[:, None]
    peaks = Peaks(np.arange(60, 0, -1, dtype=np.float32)[:, None], position, (6, 10))
    (channel,) = selective_channels(peaks, image_shape=(12, 20, 3), side=4)  # two pixels a unit
    row, column = np.divmod(position[:, 0], 10)
    assert channel.rows.tolist() == list(range(60))
    assert channel.corners.tolist() == np.stack([(2 * row - 1).clip(0, 8), (2 * column - 1).clip(0, 16)], 1).tolist()


def test_equals_come_in_order_and_a_channel_must_answer_to_as_many_pictures_as_are_shown() -> None:
    value = np.zeros((100, 30), dtype=np.float32)
    value[40:90, 10:] = 1
    value[:8, 1] = value[:9, 3] = 1
    found = selective_channels(
        Peaks(value, np.zeros((100, 30), dtype=np.int64), (4, 4)), image_shape=(16, 16, 3), side=5
    )
    assert [channel.number for channel in found] == [3, *range(10, 17)]
    assert [channel.rows.tolist() for channel in found] == [list(range(9)), *[list(range(40, 49))] * 7]


def test_a_silent_channel_is_not_shown_and_a_picky_one_comes_before_one_that_always_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filters, "_PATCHES", 3)
    rng = np.random.default_rng(0)
    steady = 5 + rng.random(100)
    picky = np.where(np.arange(100) < 3, 9.0, rng.random(100))
    peaks = Peaks(
        np.stack([np.zeros(100), steady, picky], axis=1).astype(np.float32), np.zeros((100, 3), dtype=np.int64), (4, 4)
    )
    found = selective_channels(peaks, image_shape=(16, 16, 3), side=5)
    assert [channel.number for channel in found] == [2, 1]
    assert sorted(found[0].rows.tolist()) == [0, 1, 2]


def test_of_many_picky_channels_the_eight_clearest_are_shown() -> None:
    rng = np.random.default_rng(0)
    value = rng.random((100, 12)).astype(np.float32)
    value[:9] += np.arange(12) + 1  # each stands out further than the one before
    peaks = Peaks(value, np.zeros((100, 12), dtype=np.int64), (4, 4))
    found = selective_channels(peaks, image_shape=(16, 16, 3), side=5)
    assert [channel.number for channel in found] == [11, 10, 9, 8, 7, 6, 5, 4]


def test_measuring_asks_the_weights_for_no_gradient() -> None:
    model = network(3)
    patch_side(model, dark_with_one_bright_square([(3, 3)]), _LAYER)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(isinstance(value, torch.Tensor) and value.requires_grad for value in model.buffers())
