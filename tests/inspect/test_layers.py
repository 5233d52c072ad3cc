"""Every model has its three layers, and the features before the last layer are what the logits are made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.inspect import features
from snellen.inspect.features import features_of, images_per_pass, recorded
from snellen.inspect.layers import layers_of
from snellen.models.catalog import MODELS, ModelSpec, build
from snellen.models.external import last_linear
from snellen.models.normalized import Classifier

_NARROW = {"mlp": (6,), "plain_cnn": (4, 4, 6), "small_cnn": (4, 4, 6, 6), "resnet18": (4, 4, 6, 6)}


def model_called(name: str) -> Classifier:
    widths = _NARROW.get(name, ())
    return build(
        ModelSpec(
            name, image_shape=(32, 32, 3), num_classes=3, mean=(0.5,) * 3, std=(0.25,) * 3, options={"widths": widths}
        ),
        seed=0,
    ).eval()


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_three_layers_or_no_maps_at_all(name: str) -> None:
    keys = [layer.key for layer in layers_of(name)]
    assert keys == ([] if name == "mlp" else ["early", "middle", "late"])


@pytest.mark.parametrize("name", MODELS)
def test_maps_get_smaller_or_stay_the_deeper_they_lie_and_are_those_of_named_layers(name: str) -> None:
    model, layers = model_called(name), layers_of(name)
    with torch.no_grad(), recorded(model, layers) as seen:
        model(torch.rand(2, 3, 32, 32))
    sides = [seen[layer.key].shape[-1] for layer in layers]
    assert sides == sorted(sides, reverse=True)
    if name in ("plain_cnn", "small_cnn", "resnet18"):  # what leaves a layer there has been through a ReLU
        assert all(bool((seen[layer.key] >= 0).all()) for layer in layers)


@pytest.mark.parametrize("name", MODELS)
def test_the_head_turns_the_last_features_into_the_logits(name: str, few_images: LabeledImages) -> None:
    model = model_called(name)
    with torch.no_grad():
        logits = model(torch.from_numpy(few_images.images).permute(0, 3, 1, 2).float() / 255)
        last = torch.from_numpy(features_of(model, few_images).last)
        # These divide by their width after the head; a positive factor moves no answer.
        factor = last.shape[1] if name in ("sprint_net", "marathon_net") else 1
        torch.testing.assert_close(last_linear(model)[1](last) / factor, logits, rtol=1e-4, atol=1e-5)


def test_looking_changes_neither_the_logits_nor_the_mode_and_leaves_no_hook(few_images: LabeledImages) -> None:
    model, layers = model_called("small_cnn").train(), layers_of("small_cnn")
    pictures = torch.rand(4, 3, 32, 32)
    features_of(model, few_images, layers)
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    with torch.no_grad():
        plain = model.eval()(pictures)
        with recorded(model, layers):
            looked = model(pictures)
    torch.testing.assert_close(looked, plain, rtol=0, atol=0)


@pytest.mark.parametrize("cut", [(slice(32), slice(16)), (slice(16), slice(32))], ids=["tall", "wide"])
def test_peaks_stand_where_the_largest_entry_of_each_map_is_and_quarters_are_averaged(
    few_images: LabeledImages, cut: tuple[slice, slice]
) -> None:
    model, layers = model_called("small_cnn"), layers_of("small_cnn")
    images = dataclasses.replace(few_images, images=np.ascontiguousarray(few_images.images[:, *cut]))
    found = features_of(model, images, layers)
    peaks = found.peaks["middle"]
    with torch.no_grad(), recorded(model, layers) as seen:
        model(torch.from_numpy(images.images).permute(0, 3, 1, 2).float() / 255)
    maps = seen["middle"].numpy()
    assert peaks.map_shape == maps.shape[-2:]
    rows, columns = np.divmod(peaks.position, maps.shape[-1])
    n, c = np.indices(rows.shape)
    np.testing.assert_allclose(maps[n, c, rows, columns], maps.max(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_allclose(peaks.value, maps.max(axis=(2, 3)), rtol=1e-5)
    high, wide = (side // 2 for side in maps.shape[-2:])
    quarters = maps.reshape(60, -1, 2, high, 2, wide).mean(axis=(3, 5)).reshape(60, -1)
    np.testing.assert_allclose(found.pooled["middle"], quarters, rtol=1e-4, atol=1e-6)


def test_features_are_computed_in_bf16_where_asked(few_images: LabeledImages) -> None:
    model, layers = model_called("plain_cnn"), layers_of("plain_cnn")
    exact, rounded = (features_of(model, few_images, layers, bf16=bf16) for bf16 in (False, True))
    assert rounded.last.dtype == np.float32
    assert (exact.last != rounded.last).any()
    np.testing.assert_allclose(rounded.last, exact.last, atol=0.05 * np.abs(exact.last).max())


def test_large_pictures_are_shown_to_the_model_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert images_per_pass((32, 64, 3)) == 128
    assert images_per_pass((32, 64, 3), gradients=True) == 32
    assert images_per_pass((4000, 4000, 3)) == 1
    model, layers = model_called("plain_cnn"), layers_of("plain_cnn")
    images = make_eyechart(seed=1, train=10, test=0).train
    whole = features_of(model, images, layers)
    monkeypatch.setattr(features, "_PIXELS_PER_PASS", 4 * 32 * 32)
    told: list[int] = []
    model.register_forward_pre_hook(lambda _, given: told.append(len(given[0])))
    parts = features_of(model, images, layers)
    assert told == [4, 4, 2]
    np.testing.assert_allclose(parts.last, whole.last, atol=1e-5)
    np.testing.assert_allclose(parts.peaks["late"].value, whole.peaks["late"].value, atol=1e-5)
