"""The walks for the page: one picture of each confidence group at every stop of the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snellen.data.dataset import Dataset
from snellen.explain.context import context_of
from snellen.explain.stage import Picture, Pixels
from snellen.explain.trace import Walk, walk
from snellen.predict.predictions import Predictions
from snellen.report.layer_views import chosen_pictures
from snellen.report.sprite import Sprite, make_sprite
from snellen.runs.run import Run

_WALKS = 4  # as many as confidence groups


@dataclass(frozen=True)
class Pipeline:
    """The JSON for the page, None where nothing was walked, and the sheets of pictures it refers to by name."""

    content: dict[str, Any] | None
    sprites: dict[str, Sprite]


def walk_along(run: Run, dataset: Dataset, predictions: Predictions | None) -> Pipeline:
    """Walk with a few val pictures of the run, mistakes first.

    Args:
        run: with weights and val predictions.
        dataset: its data.
        predictions: those on val; None walks nowhere.
    """
    if predictions is None:
        return Pipeline(None, {})
    ground = context_of(run, dataset)
    everything = np.arange(len(predictions))
    chosen = chosen_pictures(predictions, everything, _WALKS)
    walks = [walk(ground, image_id=int(predictions.ids[row])) for row in chosen]
    sheets = _Sheets()
    content = {"split": "val", "run": 0, "epoch": 0, "walks": [_walk_json(each, sheets) for each in walks]}
    return Pipeline(content, sheets.sprites())


class _Sheets:
    """Pictures in the order they come, on one sheet for each size."""

    def __init__(self) -> None:
        self._tiles: dict[str, list[Pixels]] = {}

    def add(self, picture: Picture) -> dict[str, Any]:
        """Where the picture will be found."""
        height, width = picture.pixels.shape[:2]
        name = f"pipeline-{height}x{width}"
        tiles = self._tiles.setdefault(name, [])
        tiles.append(picture.pixels)
        return {"sheet": name, "tile": len(tiles) - 1, "caption": picture.caption}

    def sprites(self) -> dict[str, Sprite]:
        """One sheet for each size."""
        return {name: make_sprite(np.stack(tiles)) for name, tiles in self._tiles.items()}


def _walk_json(walked: Walk, sheets: _Sheets) -> dict[str, Any]:
    stages = [
        {**stage.to_json(), "pictures": [sheets.add(picture) for picture in stage.pictures]} for stage in walked.stages
    ]
    return {"id": walked.image_id, "passed": walked.passed, "stages": stages}
