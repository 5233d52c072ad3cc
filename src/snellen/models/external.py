"""Networks of other libraries by name: `timm:resnet18`, `torchvision:resnet18`. Their names and defaults are theirs.

Both libraries are optional (`snellen[timm]`, `snellen[torchvision]`) and are imported when such a model is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from snellen.errors import InvalidSetting, MissingExtra, unknown_name

LIBRARIES = ("timm", "torchvision")

Builder = Callable[..., nn.Module]
"""(image_shape, num_classes, *, widths=…, further options with defaults) -> network without normalisation."""


def is_external(name: str) -> bool:
    """Whether a model's name belongs to another library."""
    return name.partition(":")[0] in LIBRARIES and ":" in name


def external_builder(name: str, *, pretrained: bool = False) -> Builder:
    """A builder as those of `models.catalog`, for a name such as "timm:resnet18".

    Args:
        name: LIBRARY:ARCHITECTURE.
        pretrained: let the library fetch its published weights; it goes to the network where it has them not yet.

    Raises:
        MissingExtra: the library is not installed or does not import.
        UnknownName: the library has no such architecture; the nearest one is offered.
    """
    library, _, architecture = name.partition(":")
    module = _imported(library, "timm" if library == "timm" else "torchvision.models")
    known = module.list_models()
    if architecture.partition(".")[0] not in known:
        raise unknown_name(
            f"{library} architecture", architecture, known, list_with=f"python -c 'import {module.__name__}'"
        )
    make = _from_timm if library == "timm" else _from_torchvision

    def build(image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
        try:
            return make(module, architecture, image_shape, num_classes, pretrained)
        except (RuntimeError, TypeError, ValueError, AssertionError) as error:
            raise InvalidSetting(
                f"{name} cannot be built for images of {image_shape[0]}x{image_shape[1]} px with {image_shape[2]} "
                f"channels: {' '.join(str(error).split())[:200]}"
            ) from error

    return build


def _from_timm(
    timm: Any, architecture: str, image_shape: tuple[int, int, int], num_classes: int, pretrained: bool
) -> nn.Module:
    options = {"pretrained": pretrained, "num_classes": num_classes, "in_chans": image_shape[2]}
    try:  # transformers have position embeddings of one size, convolutional networks do not take the argument
        net: nn.Module = timm.create_model(architecture, img_size=image_shape[:2], **options)
    except TypeError:
        net = timm.create_model(architecture, **options)
    return net


def _from_torchvision(
    models: Any, architecture: str, image_shape: tuple[int, int, int], num_classes: int, pretrained: bool
) -> nn.Module:
    if image_shape[2] != 3:
        raise ValueError("torchvision's networks take 3 channels")
    if not pretrained:
        net: nn.Module = models.get_model(architecture, weights=None, num_classes=num_classes)
        return net
    net = models.get_model(architecture, weights="DEFAULT")
    name, head = last_linear(net)
    parent = net.get_submodule(name.rpartition(".")[0])
    setattr(parent, name.rpartition(".")[2], nn.Linear(head.in_features, num_classes))
    return net


def external_range(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (3,) that the library's published weights expect, in units of [0, 1]."""
    library, _, architecture = name.partition(":")
    module = _imported(library, "timm" if library == "timm" else "torchvision.models")
    try:
        if library == "timm":
            about = module.get_pretrained_cfg(architecture)
            return tuple(about.mean), tuple(about.std)
        made = module.get_model_weights(architecture).DEFAULT.transforms()
        return tuple(made.mean), tuple(made.std)
    except (AttributeError, ValueError, TypeError, KeyError) as error:
        raise InvalidSetting(f"--weights pretrained: {library} has published none for {architecture}.") from error


def last_linear(net: nn.Module) -> tuple[str, nn.Linear]:
    """The last linear layer of a network and its path.

    Raises:
        ValueError: it has none.
    """
    found = [(name, module) for name, module in net.named_modules() if isinstance(module, nn.Linear)]
    if not found:
        raise ValueError("it does not end in a linear layer")
    return found[-1]


@contextmanager
def inputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Inside, what goes into `layer` is put into the list, pass after pass: (B, D) float32 on the CPU."""
    found: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: found.append(given[0].detach().flatten(1).float().cpu()))
    try:
        yield found
    finally:
        hook.remove()


def _imported(library: str, module: str) -> Any:
    try:
        return import_module(module)
    except (ImportError, RuntimeError, OSError, AttributeError) as error:  # the latter: built for another PyTorch
        reason = " ".join(str(error).split())[:160]
        raise MissingExtra(
            f"Models of {library} need {library}, which does not import here ({reason}). Install it for the PyTorch "
            f'that is here: pip install "snellen[{library}]" torch=={torch.__version__.split("+")[0]}'
        ) from error
