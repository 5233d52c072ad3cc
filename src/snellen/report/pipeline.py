"""The traces for the page: one picture of each confidence group at every stop of the pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np

from snellen.data.run_images import RunImages
from snellen.explain.context import context_of
from snellen.explain.stage import Picture, Pixels
from snellen.explain.trace import Trace, trace
from snellen.predict.predictions import Predictions
from snellen.report.encoding import Sprite, make_sprite
from snellen.report.layer_views import chosen_pictures
from snellen.runs.run import Run
from snellen.serialize import to_json

_TRACES = 4  # as many as confidence groups


def trace_some(run: Run, images: RunImages, predictions: Predictions) -> tuple[dict[str, Any], dict[str, Sprite]]:
    """Trace a few val pictures of the run, mistakes first: the JSON for the page, and the sheets it names.

    Args:
        run: with weights.
        images: its own.
        predictions: those on val.
    """
    context = context_of(run, images)
    chosen = chosen_pictures(predictions, np.arange(len(predictions)), _TRACES)
    traces = [trace(context, image=int(predictions.ids[row])) for row in chosen]
    sheets = _Sheets()
    content = {"split": "val", "run": 0, "epoch": 0, "traces": [_trace_json(each, sheets) for each in traces]}
    return content, sheets.sprites()


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


def _trace_json(traced: Trace, sheets: _Sheets) -> dict[str, Any]:
    stages = [
        {**to_json(stage), "pictures": [sheets.add(picture) for picture in stage.pictures]} for stage in traced.stages
    ]
    return {"id": traced.image, "name": traced.name, "passed": traced.passed, "stages": stages}
