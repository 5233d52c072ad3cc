"""Recipes by name."""

from __future__ import annotations

from pathlib import Path

from snellen.errors import unknown_name
from snellen.recipes.cifar10 import CIFAR10_RECIPES
from snellen.recipes.eyechart import EYECHART_RECIPES
from snellen.recipes.folder import FOLDER_RECIPES
from snellen.recipes.json_form import read_recipe
from snellen.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (*CIFAR10_RECIPES, *EYECHART_RECIPES, *FOLDER_RECIPES)}

_DEFAULTS = {"cifar10": "sprint", "eyechart": "glance"}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name, or the one in a .json file of that path.

    Raises:
        UnknownName: neither; the nearest name is offered.
        InvalidSetting: the file holds no valid recipe.
    """
    if name.endswith(".json"):
        recipe = read_recipe(Path(name))
        # What was measured is the published recipe; an edited one has no right to its numbers.
        return recipe if recipe == RECIPES.get(recipe.name) else recipe.replace(expect=None)
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES, list_with="snellen recipes")
    return RECIPES[name]


def default_recipe(data: str) -> Recipe:
    """The recipe used when none is named: the fast one; for a user's own pictures, the one that suits few of them."""
    return RECIPES[_DEFAULTS.get(data, "folder")]
