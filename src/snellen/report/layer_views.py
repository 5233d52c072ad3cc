"""The three pairs of glasses: what one run's model sees early, midway and late, for some of the pictures."""

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
from snellen.inspect.features import Features, features_of, recorded
from snellen.inspect.filters import first_filters
from snellen.inspect.gradcam import grad_cam
from snellen.inspect.layers import Layer, layers_of
from snellen.inspect.neighbours import nearest
from snellen.inspect.patches import cut, loudest_channels, patch_side
from snellen.metrics.confidence_groups import confidence_groups
from snellen.models.normalized import Classifier
from snellen.predict.predictions import Predictions
from snellen.report.pack import packed_map
from snellen.report.sprite import Sprite, make_sprite

_NEIGHBOURS = 5
_MAPS = 6  # channels shown per picture and depth
_MAP_SIDE = 16  # positions a side; they are shown as large as a thumb


@dataclass(frozen=True)
class Glasses:
    """The JSON for the page and the sheets of pictures it refers to by name."""

    content: dict[str, Any]
    sprites: dict[str, Sprite]


@dataclass(frozen=True)
class Subject:
    """Whom to look at: a model, the split it is shown on, its answers there, and pictures it has learned from.

    Attributes:
        model: in eval mode.
        model_name: its name in the catalog.
        images: the split's pictures, row for row with `predictions`.
        predictions: its answers.
        features: of the split's pictures, with all depths.
        learned: some training pictures.
    """

    model: Classifier
    model_name: str
    images: LabeledImages
    predictions: Predictions
    features: Features
    learned: LabeledImages


def chosen_pictures(predictions: Predictions, rows: NDArray[np.int64], count: int) -> list[int]:
    """Rows to look at closely: each confidence group's first in turn, then its second, until there are `count`."""
    shown = set(rows.tolist())
    heads = [[row for row in group.index.tolist() if row in shown] for group in confidence_groups(predictions)]
    in_turn = [row for turn in zip_longest(*reversed(heads)) for row in turn if row is not None]
    return in_turn[:count]


def look_through(subject: Subject, chosen: list[int]) -> Glasses:
    """Filters, the loudest channels' patches, and for each chosen row its maps, Grad-CAM and nearest pictures.

    Args:
        subject: whom.
        chosen: rows of the predictions.
    """
    depths = layers_of(subject.model_name)
    learned = features_of(subject.model, subject.learned, depths)
    sprites = {"filters": make_sprite(first_filters(subject.model, subject.images.image_shape))}
    described = []
    for depth in depths:
        about, sheet = _channels(subject, depth, learned)
        described.append(about)
        if sheet is not None:
            sprites[f"patches-{depth.key}"] = sheet
    pictures, sprites["learned"] = look_closely(subject, learned, depths, chosen)
    return Glasses(
        content={
            "layers": described,
            "spaces": [*(depth.key for depth in depths[:-1]), "last"],
            "learned_count": len(subject.learned),
            "pictures": pictures,
        },
        sprites=sprites,
    )


def look_closely(
    subject: Subject, learned: Features, depths: tuple[Layer, ...], chosen: list[int]
) -> tuple[list[dict[str, Any]], Sprite]:
    """For each chosen row its maps, Grad-CAM and nearest training pictures; and the sheet of those pictures.

    Args:
        subject: whom.
        learned: features of its training pictures, with all depths.
        depths: where to look.
        chosen: rows of the predictions.
    """
    neighbours, sheet = _neighbours(subject, learned, depths, chosen)
    maps = _maps(subject, depths, chosen)
    return [
        {"row": row, **own, "neighbours": near} for row, own, near in zip(chosen, maps, neighbours, strict=True)
    ], sheet


def _channels(subject: Subject, depth: Layer, learned: Features) -> tuple[dict[str, Any], Sprite | None]:
    side = patch_side(subject.model, subject.learned, depth)
    peaks = learned.peaks[depth.key]
    channels = loudest_channels(peaks, image_shape=subject.images.image_shape, side=side)
    about = {
        "key": depth.key,
        "layer": depth.layer.removeprefix("net."),
        "channels": int(peaks.value.shape[1]),
        "map": list(peaks.map_shape),
        "side": side,
        "units": [
            {"channel": channel.number, "labels": subject.learned.labels[channel.rows].tolist()} for channel in channels
        ],
    }
    patches = [cut(subject.learned.images, channel) for channel in channels]
    return about, make_sprite(np.concatenate(patches)) if patches else None


def _maps(subject: Subject, depths: tuple[Layer, ...], chosen: list[int]) -> list[dict[str, Any]]:
    """For each chosen row: Grad-CAM for the answer and, where it is wrong, for the label; the strongest channels."""
    if not depths or not chosen:
        return [{"cams": [], "activations": []} for _ in chosen]
    device = next(subject.model.parameters()).device
    pixels = to_float(torch.from_numpy(subject.images.images[chosen]).to(device))
    answers, labels = subject.predictions.predicted[chosen], subject.predictions.labels[chosen]
    for_answer = grad_cam(subject.model, pixels, torch.from_numpy(answers), depths)
    for_label = grad_cam(subject.model, pixels, torch.from_numpy(labels), depths)
    with torch.inference_mode(), recorded(subject.model, depths) as seen:
        subject.model(pixels)
        activations = {depth.key: seen[depth.key].float().cpu().numpy() for depth in depths}
    described = []
    for n, (answer, label) in enumerate(zip(answers.tolist(), labels.tolist(), strict=True)):
        targets = [(answer, for_answer)] + ([(label, for_label)] if label != answer else [])
        described.append(
            {
                "cams": [
                    {"class": target, "maps": [packed_map(maps[depth.key][n]) for depth in depths]}
                    for target, maps in targets
                ],
                "activations": [_strongest(activations[depth.key][n]) for depth in depths],
            }
        )
    return described


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


def _neighbours(
    subject: Subject, learned: Features, depths: tuple[Layer, ...], chosen: list[int]
) -> tuple[list[list[list[list[float]]]], Sprite]:
    """For each chosen row and space: [tile, label, similarity] of the nearest training pictures; and their sheet."""
    spaces = [(subject.features.pooled[depth.key], learned.pooled[depth.key]) for depth in depths[:-1]]
    spaces.append((subject.features.last, learned.last))
    found = [nearest(own[chosen], base, count=_NEIGHBOURS) for own, base in spaces]
    used = np.unique(np.concatenate([rows.ravel() for rows, _ in found])).astype(np.int64)
    tile_of = {row: tile for tile, row in enumerate(used.tolist())}
    listed = [
        [_listed(rows[n], near[n], tile_of, subject.learned.labels) for rows, near in found] for n in range(len(chosen))
    ]
    return listed, make_sprite(subject.learned.images[used], lossless=False)


def _listed(
    rows: NDArray[np.int64], similar: NDArray[np.float32], tile_of: dict[int, int], labels: NDArray[np.int64]
) -> list[list[float]]:
    return [[tile_of[row], int(labels[row]), round(float(s), 3)] for row, s in zip(rows.tolist(), similar, strict=True)]
