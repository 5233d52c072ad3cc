"""Layer views: what one run's model sees early, midway and late, for some of the pictures (three pairs of glasses)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.augment.batched import to_float
from snellen.data.labeled_images import LabeledImages
from snellen.inspect.feature_space import nearest
from snellen.inspect.features import Features, images_per_pass, recorded
from snellen.inspect.filters import cut, first_filters, patch_side, selective_channels
from snellen.inspect.gradcam import grad_cam
from snellen.inspect.layers import Layer
from snellen.metrics.confidence import confidence_groups
from snellen.models.normalized import Classifier
from snellen.predict.predictions import Predictions
from snellen.report.encoding import Sprite, make_sprite, packed_map

_NEIGHBOURS = 5
_MAPS = 6  # channels shown per picture and layer
_MAP_SIDE = 16  # positions a side; they are shown as large as a thumb
_CAM_SIDE = 32  # of the maps that lie over a picture: the page smoothes them
_NEAR_SIDE = 96  # pixels of a neighbour or patch: there may be hundreds


@dataclass(frozen=True)
class LayerViews:
    """The JSON for the page and the sheets of pictures it refers to by name."""

    content: dict[str, Any]
    sprites: dict[str, Sprite]


@dataclass(frozen=True)
class InspectedModel:
    """A model, the split it is shown on, its answers there, and pictures it has learned from.

    Attributes:
        model: in eval mode.
        layers: where to look, from early to late.
        images: the split's pictures, row for row with `predictions`.
        predictions: its answers.
        features: of the split's pictures, with all layers.
        learned: some training pictures.
        learned_features: theirs, with all layers.
        bf16: whether the model computes in bf16, as it was trained.
    """

    model: Classifier
    layers: tuple[Layer, ...]
    images: LabeledImages
    predictions: Predictions
    features: Features
    learned: LabeledImages
    learned_features: Features
    bf16: bool = False


def chosen_pictures(predictions: Predictions, rows: NDArray[np.int64], count: int) -> list[int]:
    """Rows to look at closely: each confidence group's first in turn, then its second, until there are `count`."""
    shown = set(rows.tolist())
    heads = [[row for row in group.index.tolist() if row in shown] for group in confidence_groups(predictions)]
    in_turn = [row for turn in zip_longest(*reversed(heads)) for row in turn if row is not None]
    return in_turn[:count]


def layer_views(inspected: InspectedModel, chosen: list[int]) -> LayerViews:
    """Filters, the most selective channels' patches; for each chosen row its maps, Grad-CAM and nearest pictures."""
    sprites = {"filters": make_sprite(first_filters(inspected.model, inspected.images.image_shape))}
    described = []
    for layer in inspected.layers:
        about, sheet = _channels(inspected, layer)
        described.append(about)
        if sheet is not None:
            sprites[f"patches-{layer.key}"] = sheet
    pictures, sprites["learned"] = views_of_pictures(inspected, chosen)
    spaces = [*(layer.key for layer in inspected.layers[:-1]), "last"]
    content = {"layers": described, "spaces": spaces, "learned_count": len(inspected.learned), "pictures": pictures}
    return LayerViews(content, sprites)


def views_of_pictures(inspected: InspectedModel, chosen: list[int]) -> tuple[list[dict[str, Any]], Sprite]:
    """For each chosen row its maps, Grad-CAM and nearest training pictures; and the sheet of those pictures."""
    neighbours, sheet = _neighbours(inspected, chosen)
    length = images_per_pass(inspected.images.image_shape, gradients=True)
    maps = [each for at in range(0, len(chosen), length) for each in _maps(inspected, chosen[at : at + length])]
    each = zip(chosen, maps, neighbours, strict=True)
    return [{"row": row, **own, "neighbours": near} for row, own, near in each], sheet


def _channels(inspected: InspectedModel, layer: Layer) -> tuple[dict[str, Any], Sprite | None]:
    learned, peaks = inspected.learned, inspected.learned_features.peaks[layer.key]
    side = patch_side(inspected.model, learned, layer)
    channels = selective_channels(peaks, image_shape=learned.image_shape, side=side)
    about = {
        "key": layer.key,
        "path": layer.path.removeprefix("net."),
        "channels": int(peaks.value.shape[1]),
        "map": list(peaks.map_shape),
        "side": side,
        "units": [{"channel": channel.number, "labels": learned.labels[channel.rows].tolist()} for channel in channels],
    }
    patches = [cut(learned.images, channel) for channel in channels]
    return about, make_sprite(np.concatenate(patches), most=_NEAR_SIDE) if patches else None


def _maps(inspected: InspectedModel, chosen: list[int]) -> list[dict[str, Any]]:
    """For each chosen row: Grad-CAM for the answer and, where it is wrong, for the label; the strongest channels."""
    model, layers = inspected.model, inspected.layers
    if not layers:
        return [{"cams": [], "activations": []} for _ in chosen]
    pixels = to_float(torch.from_numpy(inspected.images.images[chosen]).to(next(model.parameters()).device))
    answers, labels = inspected.predictions.predicted[chosen], inspected.predictions.labels[chosen]
    wrong = np.flatnonzero(answers != labels)
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=inspected.bf16):
        for_answer = grad_cam(model, pixels, torch.from_numpy(answers), layers)
        for_label = grad_cam(model, pixels[wrong], torch.from_numpy(labels[wrong]), layers) if len(wrong) else {}
        with torch.inference_mode(), recorded(model, layers) as seen:
            model(pixels)
            activations = {layer.key: seen[layer.key].float().cpu().numpy() for layer in layers}
    described: list[dict[str, Any]] = [
        {
            "cams": [{"class": int(answer), "maps": [_cam(for_answer[layer.key][n]) for layer in layers]}],
            "activations": [_strongest(activations[layer.key][n]) for layer in layers],
        }
        for n, answer in enumerate(answers)
    ]
    for at, n in enumerate(wrong.tolist()):
        maps = [_cam(for_label[layer.key][at]) for layer in layers]
        described[n]["cams"].append({"class": int(labels[n]), "maps": maps})
    return described


def _cam(values: NDArray[np.float32]) -> dict[str, Any]:
    return packed_map(_shrunk(values, math.ceil(values.shape[0] / _CAM_SIDE)))


def _strongest(maps: NDArray[np.float32]) -> list[dict[str, Any]]:
    """The channels (C, h, w) with the most contrast within this picture, the strongest first."""
    order = np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:_MAPS]
    step = max(1, math.ceil(maps.shape[1] / _MAP_SIDE))
    return [{"channel": int(channel), **packed_map(_shrunk(maps[channel], step))} for channel in order]


def _shrunk(values: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """The map (h, w) with each step x step square as its mean; a rest at the edges is left out."""
    height, width = values.shape[0] // step, values.shape[1] // step
    squares = values[: height * step, : width * step].reshape(height, step, width, step)
    return np.asarray(squares.mean(axis=(1, 3)))


def _neighbours(inspected: InspectedModel, chosen: list[int]) -> tuple[list[list[list[list[float]]]], Sprite]:
    """For each chosen row and space: [tile, label, similarity] of the nearest training pictures; and their sheet."""
    own, learned, labels = inspected.features, inspected.learned_features, inspected.learned.labels
    spaces = [(own.pooled[layer.key], learned.pooled[layer.key]) for layer in inspected.layers[:-1]]
    spaces.append((own.last, learned.last))
    found = [nearest(asked[chosen], base, count=_NEIGHBOURS) for asked, base in spaces]
    used = np.unique(np.concatenate([rows.ravel() for rows, _ in found])).astype(np.int64)
    tile_of = {row: tile for tile, row in enumerate(used.tolist())}
    listed = [[_listed(rows[n], near[n], tile_of, labels) for rows, near in found] for n in range(len(chosen))]
    return listed, make_sprite(inspected.learned.images[used], most=_NEAR_SIDE, lossless=False)


def _listed(
    rows: NDArray[np.int64], similar: NDArray[np.float32], tile_of: dict[int, int], labels: NDArray[np.int64]
) -> list[list[float]]:
    return [[tile_of[row], int(labels[row]), round(float(s), 3)] for row, s in zip(rows.tolist(), similar, strict=True)]
