"""Snellen: an eye test for image classifiers.

Train one with a recipe, see what it looks at, grade it once, honestly.

    run = snellen.fit("glance", "eyechart", epochs=1)
    run.evaluate()
    run.predict("letter.png")

Importing this costs nothing: each name below is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from snellen.version import VERSION

if TYPE_CHECKING:
    from snellen.api.classifier import SnellenClassifier
    from snellen.api.shop import compare, fit, from_arrays, list_runs, load, open_run, recipe, tune
    from snellen.api.trained_run import TrainedRun
    from snellen.data.dataset import Dataset
    from snellen.errors import SnellenError
    from snellen.parts import allow, register
    from snellen.recipes.recipe import Recipe

__version__ = VERSION

_ROOMS = {
    "snellen.api.classifier": ["SnellenClassifier"],
    "snellen.api.shop": ["compare", "fit", "from_arrays", "list_runs", "load", "open_run", "recipe", "tune"],
    "snellen.api.trained_run": ["TrainedRun"],
    "snellen.data.dataset": ["Dataset"],
    "snellen.errors": ["SnellenError"],
    "snellen.parts": ["allow", "register"],
    "snellen.recipes.recipe": ["Recipe"],
}
_WINDOW = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Dataset",
    "Recipe",
    "SnellenClassifier",
    "SnellenError",
    "TrainedRun",
    "allow",
    "compare",
    "fit",
    "from_arrays",
    "list_runs",
    "load",
    "open_run",
    "recipe",
    "register",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _WINDOW:
        raise AttributeError(f"module 'snellen' has no attribute {name!r}. It has: {', '.join(__all__)}.")
    return getattr(importlib.import_module(_WINDOW[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
