"""Recipes for a user's own pictures: hundreds to thousands of photographs at 64 pixels, on two CPU cores."""

from __future__ import annotations

from snellen.recipes.recipe import SGD, Augment, Recipe, Schedule

FOLDER = Recipe(
    name="folder",
    note="Your own pictures, hundreds to thousands of them, in minutes on two CPU cores.",
    model="small_cnn",
    widths=(32, 32, 64, 64),
    epochs=40,
    batch_size=64,
    augment=Augment(crop_pixels=6, flip="random", brightness=0.2, contrast=0.2, saturation=0.2),
    optimizer=SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
    schedule=Schedule(shape="cosine", warmup_fraction=0.1),
    label_smoothing=0.1,
    tta="flip",
)

FOLDER_RECIPES = (FOLDER,)
