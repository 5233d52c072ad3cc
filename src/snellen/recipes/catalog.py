"""Recipes by name, and the one for `eyechart`, the built-in letters."""

from __future__ import annotations

from snellen.errors import unknown_name
from snellen.paths import user_path
from snellen.recipes.cifar10 import CIFAR10_RECIPES
from snellen.recipes.folder import FOLDER_RECIPES
from snellen.recipes.json_form import read_recipe
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

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (*CIFAR10_RECIPES, GLANCE, *FOLDER_RECIPES)}

_DEFAULTS = {"cifar10": "sprint", "eyechart": "glance"}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name, or the one in a .json file of that path.

    Raises:
        UnknownName: neither; the nearest name is offered.
        InvalidSetting: the file holds no valid recipe.
    """
    if name.endswith(".json"):
        recipe = read_recipe(user_path(name))
        # What was measured is the published recipe; an edited one has no right to its numbers.
        return recipe if recipe == RECIPES.get(recipe.name) else recipe.replace(expect=None)
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES, list_with="snellen recipes")
    return RECIPES[name]


def default_recipe(data: str) -> Recipe:
    """The recipe used when none is named: the fast one; for a user's own pictures, the one that suits few of them."""
    return RECIPES[_DEFAULTS.get(data, "folder")]
