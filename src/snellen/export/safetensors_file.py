"""The weights as they are, with a JSON file that says how to build the network around them. No code is in either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from snellen.errors import RunError
from snellen.models.catalog import ModelSpec, build
from snellen.models.normalized import Classifier
from snellen.models.weights import with_weights
from snellen.serialize import read_json

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


def description(about: dict[str, Any], model: str, options: dict[str, Any]) -> dict[str, Any]:
    """The content of model.json: what `rebuild` needs, then everything else that is known.

    Args:
        about: from `model_card.facts_of`.
        model: its name in `models.catalog`.
        options: of that model.
    """
    return {"format": 1, "model": model, "model_options": options, "weights": WEIGHTS, **about}


def rebuild(about: dict[str, Any], weights: bytes) -> Classifier:
    """The trained network from the contents of both files, on the CPU, in eval mode.

    Raises:
        RunError: they do not belong together.
    """
    try:
        height, width, channels = about["image_shape"]
        model = with_weights(
            lambda: build(
                ModelSpec(
                    about["model"],
                    image_shape=(height, width, channels),
                    num_classes=len(about["class_names"]),
                    mean=about["mean"],
                    std=about["std"],
                    options=about["model_options"],
                ),
                seed=0,
            ),
            weights,
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"{WEIGHTS} and {DESCRIPTION} do not belong together: {reason}") from error
    return model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


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
