"""What the page shows of a network's inside is of the class that it says."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.inspect.features import features_of, recorded
from snellen.inspect.layers import layers_of
from snellen.metrics.confidence import confidence_groups
from snellen.models.catalog import ModelSpec, build
from snellen.models.normalized import Classifier
from snellen.predict.predictions import Predictions
from snellen.report import layer_views
from snellen.report.layer_views import InspectedModel, chosen_pictures, views_of_pictures


def test_a_wrong_answer_has_a_map_of_the_answer_and_one_of_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_class(model: Any, pixels: torch.Tensor, classes: torch.Tensor, layers: Any) -> dict[str, np.ndarray]:
        """A map of 2 x 3 for each picture, of which every value tells picture and class."""
        told = pixels[:, 0, 0, 0].numpy() * 255 * 100 + classes.numpy() + 1
        return {"last": np.repeat(told, 6).reshape(-1, 2, 3).astype(np.float32)}

    @contextmanager
    def recorded(*_: Any) -> Iterator[dict[str, torch.Tensor]]:
        yield {"last": torch.zeros(3, 1, 2, 2)}

    monkeypatch.setattr(layer_views, "grad_cam", of_class)
    monkeypatch.setattr(layer_views, "recorded", recorded)
    images = np.zeros((9, 4, 4, 3), dtype=np.uint8) + np.arange(9, dtype=np.uint8)[:, None, None, None]
    answers, labels = np.array([0, 1, 2, 3, 4, 0, 0, 0, 0]), np.array([0, 1, 2, 0, 4, 1, 0, 0, 2])
    inspected = SimpleNamespace(
        model=torch.nn.Conv2d(3, 2, 1), layers=(SimpleNamespace(key="last"),), images=SimpleNamespace(images=images),
        predictions=SimpleNamespace(predicted=answers, labels=labels), bf16=False,
    )  # fmt: skip
    shown = layer_views._maps(inspected, [3, 4, 8])  # type: ignore[arg-type]
    tops = [[(cam["class"], round(cam["maps"][0]["top"])) for cam in each["cams"]] for each in shown]
    assert tops == [[(3, 304), (0, 301)], [(4, 405)], [(0, 801), (2, 803)]]
    assert {len(base64.b64decode(shown[0]["cams"][0]["maps"][0]["data"]))} == {6}


def test_the_six_channels_with_the_most_contrast_are_shown_the_strongest_first_at_sixteen_rows_at_most() -> None:
    maps = np.zeros((9, 40, 60), dtype=np.float32)
    maps[:, ::2] = np.array([3, 8, 0, 5, 1, 7, 2, 6, 4], dtype=np.float32)[:, None, None]  # contrast, not brightness
    maps += 20 * np.arange(9, 0, -1, dtype=np.float32)[:, None, None]
    shown = layer_views._strongest(maps)
    assert [each["channel"] for each in shown] == [1, 5, 7, 3, 8, 0]
    assert shown[0]["shape"] == [13, 20]  # thirds
    assert layer_views._strongest(maps[:, :16, :20])[0]["shape"] == [16, 20]
    assert len(layer_views._strongest(maps[:2])) == 2
    alike = np.repeat(maps[:1, :16], 40, axis=0) * np.tile(np.array([1, 2], dtype=np.float32), 20)[:, None, None]
    assert [each["channel"] for each in layer_views._strongest(alike)] == [1, 3, 5, 7, 9, 11]


@pytest.mark.parametrize(
    ("shape", "shown"),
    [((32, 40), [32, 40]), ((33, 40), [16, 20]), ((65, 50), [21, 16]), ((16, 8), [16, 8])],
)
def test_a_map_over_a_picture_has_thirty_two_rows_at_most_and_means_of_squares(
    shape: tuple[int, int], shown: list[int]
) -> None:
    values = np.arange(shape[0], dtype=np.float32)[:, None] + 100 * np.arange(shape[1], dtype=np.float32)
    step = shape[0] // shown[0]
    told = layer_views._cam(values)
    assert told["shape"] == shown
    last = values[(shown[0] - 1) * step : shown[0] * step, (shown[1] - 1) * step : shown[1] * step]
    assert told["top"] == pytest.approx(last.mean())


def test_of_each_group_in_turn_the_first_is_looked_at_the_wrong_ones_first() -> None:
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 3, 90)
    answers = Predictions((rng.normal(size=(90, 3)) * 2).astype(np.float32), labels, np.arange(90), tuple("abc"), "val")
    groups = [group.index.tolist() for group in confidence_groups(answers)]
    assert min(map(len, groups)) >= 2
    assert chosen_pictures(answers, np.arange(90), 6) == [
        groups[number][turn] for turn, number in ((0, 3), (0, 2), (0, 1), (0, 0), (1, 3), (1, 2))
    ]
    only = np.array(sorted([*groups[0][:9], groups[2][1]]))
    assert chosen_pictures(answers, only, 99) == [groups[2][1], *groups[0][:9]]


@pytest.fixture(scope="module")
def inspected() -> InspectedModel:
    """A network that never learned, 30 letters to look at, and 50 others with three of the 30 among them."""
    dataset = make_eyechart(seed=2, train=80, test=0).train
    layers = layers_of("small_cnn")
    spec = ModelSpec("small_cnn", (32, 32, 3), 10, (0.5,) * 3, (0.25,) * 3, {"widths": (4, 4, 6, 6)})
    model = build(spec, seed=0).eval()
    shown = dataset.take(np.arange(30), "val")
    learned = dataset.take(np.array([*range(30, 77), 5, 11, 20]), "train")
    own, known = (features_of(model, images, layers) for images in (shown, learned))
    return InspectedModel(model, layers, shown, Predictions.of(shown, logits_of(model, shown)), own, learned, known)


def logits_of(model: Classifier, images: LabeledImages) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(images.images).permute(0, 3, 1, 2).float() / 255).numpy()


def test_a_picture_that_was_learned_from_is_its_own_nearest_in_every_space(inspected: InspectedModel) -> None:
    pictures, sheet = views_of_pictures(inspected, [20, 5, 7, 11])
    assert [each["row"] for each in pictures] == [20, 5, 7, 11]
    decoded = np.asarray(Image.open(io.BytesIO(sheet.sheets[0])).convert("RGB")).astype(int)
    for each in pictures:
        assert [len(near) for near in each["neighbours"]] == [5, 5, 5]  # early, middle, and what is classified
        assert all(near[n][2] >= near[n + 1][2] for near in each["neighbours"] for n in range(4))
        if each["row"] == 7:
            assert all(near[0][2] < 1 for near in each["neighbours"])
            continue
        for near in each["neighbours"]:
            tile, label, similarity = near[0]
            assert (label, similarity) == (inspected.images.labels[each["row"]], 1)
            top, left = tile // sheet.columns * 32, tile % sheet.columns * 32
            found = decoded[top : top + 32, left : left + 32]
            assert 0 < abs(found - inspected.images.images[each["row"]]).mean() < 20  # it, as a photograph is kept


def test_a_few_at_a_time_are_the_same_as_all_at_once(
    inspected: InspectedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = [20, 5, 7, 11, 0]
    whole = views_of_pictures(inspected, chosen)[0]
    monkeypatch.setattr(layer_views, "images_per_pass", lambda shape, *, gradients=False: 2 if gradients else 99)
    maps, told = layer_views._maps, list[list[int]]()
    monkeypatch.setattr(layer_views, "_maps", lambda given, rows: told.append(rows) or maps(given, rows))
    for one, other in zip(views_of_pictures(inspected, chosen)[0], whole, strict=True):
        assert (one["row"], one["neighbours"]) == (other["row"], other["neighbours"])
        assert [cam["class"] for cam in one["cams"]] == [cam["class"] for cam in other["cams"]]
        tops = [[each["top"] for each in cam["maps"]] for cam in one["cams"]]
        assert tops == [pytest.approx([each["top"] for each in cam["maps"]], rel=1e-3) for cam in other["cams"]]
    assert told == [[20, 5], [7, 11], [0]]


def test_maps_are_those_of_the_network_at_the_precision_it_was_trained_in(inspected: InspectedModel) -> None:
    with torch.no_grad(), recorded(inspected.model, inspected.layers) as seen:
        inspected.model(torch.from_numpy(inspected.images.images[[7]]).permute(0, 3, 1, 2).float() / 255)
    exact = [each["top"] for each in tops_of(inspected, 7)]
    assert exact == pytest.approx([float(seen["late"][0, each["channel"]].max()) for each in tops_of(inspected, 7)])
    rounded = [each["top"] for each in tops_of(replace(inspected, bf16=True), 7)]
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.05, abs=0.01)


def tops_of(inspected: InspectedModel, row: int) -> list[dict[str, Any]]:
    """The late layer's channels of a picture, in order of their numbers."""
    (picture,), _ = views_of_pictures(inspected, [row])
    return sorted(picture["activations"][-1], key=lambda each: each["channel"])


def test_patches_and_neighbours_are_small_and_a_layer_without_a_picky_channel_has_no_patches(
    inspected: InspectedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layer_views, "_NEAR_SIDE", 2)
    views = layer_views.layer_views(inspected, [3])
    assert {sheet.tile for name, sheet in views.sprites.items() if name != "filters"} == {(2, 2)}
    assert views.content["spaces"] == ["early", "middle", "last"]
    monkeypatch.setattr(layer_views, "selective_channels", lambda *_, **__: [])
    assert set(layer_views.layer_views(inspected, [3]).sprites) == {"filters", "learned"}


def test_a_layer_is_described_with_its_channels_and_the_labels_of_what_excites_them(inspected: InspectedModel) -> None:
    views = layer_views.layer_views(inspected, [3])
    assert [(each["key"], each["path"], each["channels"]) for each in views.content["layers"]] == [
        ("early", "bn2", 4), ("middle", "bn3", 6), ("late", "bn4", 6),
    ]  # fmt: skip
    assert views.content["learned_count"] == 50
    for layer in views.content["layers"]:
        peaks = inspected.learned_features.peaks[layer["key"]]
        assert layer["map"] == list(peaks.map_shape)
        if layer["units"]:
            patches = views.sprites[f"patches-{layer['key']}"]
            assert patches.count == sum(len(unit["labels"]) for unit in layer["units"])
            assert patches.tile == (min(layer["side"], 96),) * 2
        for unit in layer["units"]:
            strongest = np.argsort(-peaks.value[:, unit["channel"]], kind="stable")[: len(unit["labels"])]
            assert unit["labels"] == inspected.learned.labels[strongest].tolist()
    assert any(layer["units"] for layer in views.content["layers"])
