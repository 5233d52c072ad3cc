"""Recipes for `eyechart`, the built-in letters: for a first look, for tests and for CI."""

from __future__ import annotations

from snellen.recipes.recipe import SGD, Augment, Recipe, Schedule

GLANCE = Recipe(
    name="glance",
    note="A small CNN for about a minute and a half: a first look at the whole pipeline on two CPU cores.",
    model="small_cnn",
    widths=(16, 16, 32, 32),
    epochs=6,
    batch_size=128,
    # No flip: a mirrored letter is another shape, and some would become illegible.
    augment=Augment(crop_pixels=2),
    optimizer=SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
    schedule=Schedule(shape="cosine", warmup_fraction=0.1),
    tta="none",
)

EYECHART_RECIPES = (GLANCE,)
