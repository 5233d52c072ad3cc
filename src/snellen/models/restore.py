"""From a run folder back to the model as it was trained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from snellen.errors import RunError
from snellen.models.catalog import ModelSpec, build
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
        model = with_weights(
            lambda: build(
                ModelSpec(
                    run.recipe.model,
                    image_shape=(height, width, channels),
                    num_classes=len(info["data"]["class_names"]),
                    mean=tuple(info["statistics"]["mean"]),
                    std=tuple(info["statistics"]["std"]),
                    options=run.recipe.model_options,
                ),
                seed=int(info["seed"]),
            ),
            _read(run),
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RunError(f"{run.folder / _WEIGHTS} does not fit the run's recipe: {reason}") from error
    return model.to(device or torch.device("cpu")).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


def with_weights(build: Callable[[], Classifier], content: bytes) -> Classifier:
    """The network that `build` makes, with the weights of a safetensors file.

    A description that comes with a file may ask for a network of any size, so its shapes are compared first, on
    PyTorch's device without memory.

    Raises:
        ValueError: the file is none, does not hold this network's tensors and no others, or holds what is no number.
    """
    try:
        tensors = load(content)
        with torch.device("meta"):
            expected = build().state_dict()
        if faults := _faults(tensors, expected):
            raise ValueError(", ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else ""))
        model = build()
        model.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError, OverflowError, SafetensorError) as error:
        raise ValueError(str(error)) from error
    return model


def _faults(tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> list[str]:
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    for name, value in tensors.items():
        if name not in expected:
            faults.append(f"{name} has no place in it")
        elif (place := expected[name]).shape != value.shape or place.dtype != value.dtype:
            found, wanted = (f"{str(each.dtype)[6:]} {tuple(each.shape)}" for each in (value, place))
            faults.append(f"{name} is {found} and should be {wanted}")
        elif value.is_floating_point() and not torch.isfinite(value).all():
            faults.append(f"{name} holds what is no finite number")
    return faults


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
