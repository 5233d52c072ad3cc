"""Weights to begin a training with: of another run, or of a network that somebody else trained."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from snellen.errors import InvalidSetting
from snellen.models.normalized import Classifier

_LEAST = 0.5  # of the network's values; a file that fits less is of another network


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


def load_pretrained(model: Classifier, path: Path) -> LoadReport:
    """Copy into `model` every tensor of a .safetensors file whose name and shape agree. The head may differ.

    Names are those of the bare network, as timm and torchvision have them, or of a run's `weights.safetensors`. The
    normalisation stays that of the training images.

    Raises:
        InvalidSetting: the file cannot be read, or fits less than half of the network.
    """
    from safetensors import SafetensorError  # here, so that a training without a file needs no more than PyTorch
    from safetensors.torch import load

    if path.suffix != ".safetensors":
        raise InvalidSetting(
            f"--weights {path} is not a .safetensors file. Others can run code when they are read; convert it on a "
            "machine you trust: safetensors.torch.save_file(torch.load(FILE, weights_only=True), NEW)"
        )
    try:
        content = path.read_bytes()
        stored = {name.removeprefix("net."): value for name, value in load(content).items()}
    except OSError as error:
        raise InvalidSetting(f"--weights {path} cannot be read: {error.strerror}.") from error
    except SafetensorError as error:
        raise InvalidSetting(f"--weights {path} is not a valid .safetensors file: {error}.") from error
    own = model.net.state_dict()
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


def _fits(value: torch.Tensor, place: torch.Tensor) -> bool:
    return value.shape == place.shape and value.is_floating_point() == place.is_floating_point()
