"""What a trace starts from, without a training before it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from snellen.data.labeled_images import LabeledImages
from snellen.explain.context import Context
from snellen.recipes.recipe import Augment, Recipe

RECIPE = Recipe(name="traced", model="mlp", epochs=2.5, batch_size=16, augment=Augment(crop_pixels=4, flip="random"))


def context_with(recipe: Recipe, images: LabeledImages, source: str = "made by hand") -> Context:
    """Of the last 40 of 60 pictures for training and the first 20 as val."""
    splits = SimpleNamespace(
        train=images.take(np.arange(20, 60), "train"),
        val=images.take(np.arange(20), "val"),
        dataset=SimpleNamespace(source=source),
    )
    run = SimpleNamespace(recipe=recipe, info={"seed": 3}, folder=Path("runs/traced"))
    return Context(*cast(Any, (run, None, splits, None, None)))
