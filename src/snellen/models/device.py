"""The device a model lives on."""

from __future__ import annotations

import torch

from snellen.errors import InvalidSetting


def choose_device(name: str) -> torch.device:
    """The device called "auto", "cpu", "cuda", "cuda:1" or "mps".

    Raises:
        InvalidSetting: no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind = name.split(":")[0]
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(kind, False):
        here = ", ".join(key for key, found in available.items() if found)
        raise InvalidSetting(f"--device {name} is not available here; available: {here}.")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise InvalidSetting(f"--device {name} is not a device: {str(error).splitlines()[0]}") from error
