"""Weights: of a run, written and read back as they were trained; and of a file that a training begins with.

safetensors is imported where a file is read or written: a training without either needs PyTorch and NumPy only.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snellen import parts
from snellen.errors import InvalidSetting, RunError, SnellenWarning
from snellen.models.catalog import ModelSpec, build, is_own
from snellen.models.external import last_linear
from snellen.models.normalized import Classifier
from snellen.runs.atomic import write_bytes
from snellen.runs.run import WEIGHTS, Run

_LEAST = 0.5  # of the network's values; a file that fits less is of another network


def save_weights(run: Run, model: Classifier) -> None:
    """Write the model's weights and statistics into the run folder, in one rename."""
    write_bytes(run.folder / WEIGHTS, _as_file(model))


def model_hash(model: nn.Module) -> str:
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
        InvalidSetting: its network is code that nobody has allowed.
    """
    info, recipe = run.info, run.recipe
    if is_own(recipe.model) and (sentence := parts.changed(info.get("parts"), [recipe.model])):
        warnings.warn(f"{run.name}: {sentence} Its weights are asked all the same.", SnellenWarning, stacklevel=2)
    try:
        model = rebuilt(recipe.model, recipe.model_options, {**info["data"], **info["statistics"]}, _read(run))
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run.folder / WEIGHTS} does not fit the run's recipe: {error}") from error
    return model.to(device or torch.device("cpu"))


def rebuilt(name: str, options: dict[str, Any], described: Mapping[str, Any], content: bytes) -> Classifier:
    """The network of this name with the weights of a safetensors file, on the CPU, in eval mode and channels_last.

    A description that comes with a file may ask for a network of any size, so its shapes are compared first, on
    PyTorch's device without memory.

    Args:
        name: as in `models.catalog`.
        options: of that model.
        described: its "image_shape", "class_names", "mean" and "std".
        content: of the file.

    Raises:
        ValueError: the file is none, does not hold this network's tensors and no others, or holds what is no number.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        height, width, channels = described["image_shape"]
        classes, mean, std = len(described["class_names"]), described["mean"], described["std"]
        spec = ModelSpec(name, (height, width, channels), classes, mean, std, options)
        tensors = load(content)
        # A network of somebody's own need not build there; and whoever may run code needs no large description.
        with torch.device("cpu" if is_own(name) else "meta"):
            expected = build(spec, seed=0).state_dict()
        if faults := _faults(tensors, expected):
            raise ValueError(", ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else ""))
        model = build(spec, seed=0)
        model.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError, SafetensorError) as error:
        raise ValueError(" ".join(str(error).split())[:300]) from error
    return model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


def _faults(tensors: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> list[str]:
    faults = [f"{name} is missing" for name in expected if name not in tensors]
    for name, value in sorted(tensors.items()):  # safetensors has them in another order each time
        if name not in expected:
            faults.append(f"{name} has no place in it")
        elif (place := expected[name]).shape != value.shape or place.dtype != value.dtype:
            found, wanted = (f"{str(each.dtype)[6:]} {tuple(each.shape)}" for each in (value, place))
            faults.append(f"{name} is {found} and should be {wanted}")
        elif value.is_floating_point() and not torch.isfinite(value).all():
            faults.append(f"{name} holds what is no finite number")
    return faults


def _as_file(model: nn.Module) -> bytes:
    from safetensors.torch import save

    return save({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()})


def _read(run: Run) -> bytes:
    try:
        return (run.folder / WEIGHTS).read_bytes()
    except FileNotFoundError:
        raise RunError(f"{run.folder} has no weights. {run.way_out}") from None
    except OSError as error:
        raise RunError(f"{run.folder / WEIGHTS} cannot be read: {error.strerror}.") from error


# To begin with


@dataclass(frozen=True)
class LoadReport:
    """What a file of weights gave to a model.

    Attributes:
        file: its name, without the folder.
        sha256: of its bytes.
        values: fraction of the network's values that came from it.
        new: tensors of the network that the file did not have in this shape; they keep their random start.
        unused: tensors of the file that the network has no place for.
    """

    file: str
    sha256: str
    values: float
    new: tuple[str, ...]
    unused: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """For `run.json`."""
        return {"file": self.file, "sha256": self.sha256, "values": self.values, "new": list(self.new)}

    def __str__(self) -> str:
        rest = f"; new: {', '.join(self.new)}" if self.new else ""
        return f"begins with {self.file}, which gives {100 * self.values:.1f} % of the network's values{rest}"


def load_pretrained(model: Classifier, path: Path, class_names: Sequence[str] = ()) -> LoadReport:
    """Copy into `model` every tensor of a .safetensors file whose name and shape agree. The head may differ.

    Names are those of the bare network, as timm and torchvision have them, or of a run's `weights.safetensors`. The
    normalisation stays that of the training images. Of a run on other classes than `class_names` the head is not taken,
    however many classes there are.

    Raises:
        InvalidSetting: the file cannot be read, or fits less than half of the network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    if path.suffix != ".safetensors":
        raise InvalidSetting(
            f"--weights {path} is not a .safetensors file. Others can run code when they are read; convert it on a "
            "machine you trust: safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW)"
        )
    try:
        content = path.read_bytes()
        stored = {name.removeprefix("net."): value for name, value in sorted(load(content).items())}
    except OSError as error:
        raise InvalidSetting(f"--weights {path} cannot be read: {error.strerror}.") from error
    except SafetensorError as error:
        raise InvalidSetting(f"--weights {path} is not a valid .safetensors file: {error}.") from error
    own = model.net.state_dict()
    if class_names and _classes_beside(path) not in (None, list(class_names)):
        with suppress(ValueError):  # a network without a head in our sense
            head, _ = last_linear(model.net)
            stored = {name: value for name, value in stored.items() if not name.startswith(f"{head}.")}
    fitting = {name: stored[name] for name, value in own.items() if name in stored and _fits(stored[name], value)}
    share = sum(value.numel() for value in fitting.values()) / max(1, sum(value.numel() for value in own.values()))
    if share < _LEAST:
        raise InvalidSetting(
            f"--weights {path} fits {100 * share:.0f} % of this network: it is of another one. It begins with "
            f"{', '.join(list(stored)[:3])}; this one with {', '.join(list(own)[:3])}."
        )
    with torch.no_grad():
        for name, value in fitting.items():
            own[name].copy_(value)
    unused = [name for name in stored if name not in fitting and not name.startswith("normalize.")]
    return LoadReport(
        path.name,
        hashlib.sha256(content).hexdigest(),
        share,
        tuple(name for name in own if name not in fitting),
        tuple(unused),
    )


def _classes_beside(path: Path) -> list[str] | None:
    """The classes, in order, of the run whose weights this file is; None where it lies in no run."""
    try:
        named = Run(path.parent).read("run.json")["data"]["class_names"]
    except (RunError, LookupError, TypeError):
        return None
    return named if isinstance(named, list) else None


def _fits(value: torch.Tensor, place: torch.Tensor) -> bool:
    return value.shape == place.shape and value.is_floating_point() == place.is_floating_point()
