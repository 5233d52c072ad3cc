"""The weights as they are, with a JSON file that says how to build the network around them. No code is in either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snellen.errors import RunError
from snellen.models.normalized import Classifier
from snellen.models.weights import rebuilt
from snellen.recipes.recipe import Recipe
from snellen.serialize import read_json

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


def description(about: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The content of model.json: what `rebuild` needs, then what is known `about` it, from `model_card.facts_of`."""
    network = {"model": recipe.model, "model_options": recipe.model_options}
    return {"format": 1, **network, "weights": WEIGHTS, **about}


def rebuild(about: dict[str, Any], weights: bytes) -> Classifier:
    """The trained network from the contents of both files, on the CPU, in eval mode.

    Raises:
        RunError: they do not belong together.
    """
    try:
        return rebuilt(about["model"], about["model_options"], about, weights)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{WEIGHTS} and {DESCRIPTION} do not belong together: {error}") from error


def load_folder(folder: Path) -> Classifier:
    """`rebuild` from the two files in a folder.

    Raises:
        RunError: one is missing, unreadable, or they do not belong together.
    """
    try:
        about = read_json((folder / DESCRIPTION).read_text(encoding="utf-8"))
        weights = (folder / WEIGHTS).read_bytes()
    except (OSError, ValueError) as error:
        raise RunError(
            f"{folder} holds no exported model ({error}). Make one: snellen export RUN --to safetensors"
        ) from error
    return rebuild(about, weights)
