"""From a run folder back to the model as it was trained."""

from __future__ import annotations

import hashlib

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from snellen.errors import RunError
from snellen.models.catalog import build
from snellen.models.normalized import Classifier
from snellen.runs.atomic import write_bytes
from snellen.runs.run import Run

_WEIGHTS = "weights.safetensors"


def save_weights(run: Run, model: Classifier) -> None:
    """Write the model's weights and statistics into the run folder, in one rename."""
    write_bytes(run.folder / _WEIGHTS, _as_file(model))


def model_hash(model: Classifier) -> str:
    """SHA-256 that the model's weights file would have now: two models with equal hashes are equal to the bit."""
    return hashlib.sha256(_as_file(model)).hexdigest()


def weights_hash(run: Run) -> str:
    """SHA-256 of the run's weights file: the model's identity in the ledger.

    Raises:
        RunError: the run has no weights yet.
    """
    return hashlib.sha256(_read(run)).hexdigest()


def restore(run: Run, device: torch.device | None = None) -> Classifier:
    """The trained model of a run, in eval mode.

    Raises:
        RunError: there are no weights yet, or they do not fit the recipe.
    """
    info = run.info
    try:
        height, width, channels = info["data"]["image_shape"]
        model = build(
            run.recipe.model,
            image_shape=(height, width, channels),
            num_classes=len(info["data"]["class_names"]),
            mean=tuple(info["statistics"]["mean"]),
            std=tuple(info["statistics"]["std"]),
            seed=int(info["seed"]),
            options=run.recipe.model_options,
        )
        model.load_state_dict(load(_read(run)))
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"{run.folder / _WEIGHTS} does not fit the run's recipe: {reason}") from error
    return model.to(device or torch.device("cpu")).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


def _as_file(model: Classifier) -> bytes:
    return save({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()})


def _read(run: Run) -> bytes:
    try:
        return (run.folder / _WEIGHTS).read_bytes()
    except FileNotFoundError:
        raise RunError(
            f"{run.folder} has no weights yet. Finish the training first: snellen train --resume {run.typed}"
        ) from None
    except OSError as error:
        raise RunError(f"{run.folder / _WEIGHTS} cannot be read: {error.strerror}.") from error
