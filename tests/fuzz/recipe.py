"""Fuzz target: the recipe parser. `python -m tests.fuzz.recipe [libFuzzer options]`"""

from __future__ import annotations

import json
from random import Random

from tests.fuzz import harness
from tests.fuzz.edits import edited_json

from snellen.recipes.json_form import from_json, read_recipe, recipe_hash, with_settings
from snellen.serialize import to_json

FOLDER = harness.own_folder()


def read(content: bytes) -> None:
    """A file is a recipe that can be written, hashed and changed and comes back from its own JSON, or a sentence."""
    path = FOLDER / "recipe.json"
    path.write_bytes(content)
    recipe = read_recipe(path)
    written = json.loads(json.dumps(to_json(recipe), allow_nan=False))
    assert from_json(written) == recipe
    assert len(recipe_hash(recipe)) == 64
    recipe.side_at(0.5, full=32)
    with_settings(recipe, [f"note={content[:40].decode('latin-1')}"])


def edit(content: bytes, chance: Random) -> bytes:
    """Fields, kinds, numbers and names of a valid recipe changed."""
    return edited_json(content, chance)


if __name__ == "__main__":
    harness.fuzz(read, edit, folder=FOLDER)
