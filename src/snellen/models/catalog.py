"""The models by name. One of ours is a file in this folder and a line in `MODELS`; your own need neither (`parts`)."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import nn

from snellen import parts
from snellen.errors import InvalidSetting, unknown_name
from snellen.models.efficientnet_lite import EfficientNetLite
from snellen.models.external import Builder, external_builder, external_range, is_external, last_linear
from snellen.models.normalized import Classifier, Normalized
from snellen.models.pretrained import published_range, published_state
from snellen.models.resnet18 import ResNet18
from snellen.models.small_networks import MLP, PlainCNN, SmallCNN
from snellen.models.sprint_net import MarathonNet, SprintNet

MODELS: dict[str, Builder] = {
    "mlp": MLP,
    "plain_cnn": PlainCNN,
    "small_cnn": SmallCNN,
    "resnet18": ResNet18,
    "sprint_net": SprintNet,
    "marathon_net": MarathonNet,
    "efficientnet_lite0": partial(EfficientNetLite, 0),
    "efficientnet_lite1": partial(EfficientNetLite, 1),
    "efficientnet_lite2": partial(EfficientNetLite, 2),
}

for _name, _builder in MODELS.items():
    parts.register("model", _name)(_builder)

SMALLEST_SIDE = 16
"""Pixels: most models halve the picture three times, and 2x2 positions are the least with a left and a right."""


@dataclass(frozen=True)
class ModelSpec:
    """Everything about a classifier but its weights.

    Attributes:
        name: a key of `MODELS`, one of another library (`models.external`), or a reference to one's own (`parts`).
        image_shape: (H, W, C) in pixels, C is 1 or 3.
        num_classes: K, at least 2.
        mean: (C,) channel means of the training images, in units of [0, 1].
        std: (C,) channel standard deviations, likewise.
        options: keyword arguments of the builder, such as {"stem": "stock"} for resnet18, or "widths": channels (or
            units) per stage, as many as the model has stages.
    """

    name: str
    image_shape: tuple[int, int, int]
    num_classes: int
    mean: Sequence[float]
    std: Sequence[float]
    options: Mapping[str, Any] = field(default_factory=dict)


def build(spec: ModelSpec, *, seed: int, pretrained: bool = False) -> Classifier:
    """A new model on the CPU, with weights that depend on the seed alone.

    Args:
        spec: what to build.
        seed: of the initial weights; torch's global generator is left as it was.
        pretrained: with published weights, all but those of the last layer: of our own networks as a package brings
            them, of another library's as that library fetches them.

    Raises:
        UnknownName: no such model, or it has no such option.
        MissingExtra: the other library is not installed.
        InvalidSetting: the widths, an option, the image size, the channels or the number of classes is not possible.
        DataError: a channel's standard deviation is not positive.
    """
    builder = _find(spec.name, pretrained=pretrained)
    chosen = _chosen(spec.name, spec.options)
    _check_shape(spec)
    normalize = Normalized(spec.mean, spec.std)
    # `torch.manual_seed` would also reseed every GPU; the weights are made on the CPU by this one generator.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        net = _built(builder, spec, chosen)
    if pretrained and not is_external(spec.name):
        _take_published(net, spec)
    return Classifier(normalize, net)


def pixel_range(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation (3,) that the published weights of a model expect of its pixels, in units of [0, 1].

    Raises:
        UnknownName: no such model.
        MissingExtra: the other library is not installed.
        InvalidSetting: nobody has published weights for it.
    """
    if is_external(name):
        return external_range(name)
    mean, std = published_range(name)
    return (mean,) * 3, (std,) * 3


def options_of(name: str) -> dict[str, Any]:
    """What can be chosen about a model, with the defaults: the keyword-only arguments of its builder.

    Raises:
        UnknownName: no such model.
    """
    parameters = inspect.signature(_find(name)).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}


def _chosen(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The builder's keyword arguments, each of which it has."""
    chosen, known = {key: value for key, value in options.items() if key != "widths" or len(value)}, options_of(name)
    if "widths" not in known and "widths" in chosen:
        raise InvalidSetting(
            f"widths={tuple(chosen['widths'])} is not possible for {name}, which has widths of its own."
        )
    for option in chosen:
        if option not in known:
            raise unknown_name(f"option of model {name!r}", option, known, list_with="snellen recipes")
    if "widths" in chosen:
        chosen["widths"], own = tuple(chosen["widths"]), known["widths"]
        if len(chosen["widths"]) != len(own) or min(chosen["widths"]) < 1:
            raise InvalidSetting(
                f"widths={chosen['widths']} is not possible for {name}: {len(own)} numbers of at least 1, such as its "
                f"own {own}."
            )
    return chosen


def is_own(name: str) -> bool:
    """Whether a model is a user's own, of which nothing is known but what its code does."""
    return not is_external(name) and name not in MODELS


def _find(name: str, *, pretrained: bool = False) -> Builder:
    if is_external(name):
        return external_builder(name, pretrained=pretrained)
    found: Builder | nn.Module = parts.find("model", name)
    if isinstance(found, nn.Module):  # a network itself, with the weights it has
        return lambda image_shape, num_classes: copy.deepcopy(found)
    return found


def _built(builder: Builder, spec: ModelSpec, options: Mapping[str, Any]) -> nn.Module:
    sizes = f"image_shape={spec.image_shape} and num_classes={spec.num_classes}"
    told = parts.one_sentence(f"model={spec.name} cannot be built with {sizes}")
    with told if is_own(spec.name) else nullcontext():  # what breaks in ours is a bug, and no setting
        net = builder(spec.image_shape, spec.num_classes, **options)
    if not isinstance(net, nn.Module):
        raise InvalidSetting(f"model={spec.name} gives {type(net).__name__}; it takes a torch.nn.Module.")
    return net


def _take_published(net: nn.Module, spec: ModelSpec) -> None:
    """Copy into the network what was published for it, each tensor but those of the last layer."""
    state = published_state(spec.name)
    if spec.image_shape[2] != 3:
        raise InvalidSetting(f"The pretrained {spec.name} knows pictures in colour; these have one channel.")
    last = last_linear(net)[0]
    own = {name: value for name, value in net.state_dict().items() if name.startswith(f"{last}.")}
    net.load_state_dict(state | own)


def _check_shape(spec: ModelSpec) -> None:
    height, width, channels = spec.image_shape
    if channels not in (1, 3):
        raise InvalidSetting(f"Images of {channels} channels are not possible: 1 (grey) or 3 (RGB).")
    if len(spec.mean) != channels:
        raise InvalidSetting(f"Images have {channels} channels but {len(spec.mean)} channel means were given.")
    if min(height, width) < SMALLEST_SIDE:
        raise InvalidSetting(
            f"Images of {height}x{width} px are too small for {spec.name}: at least {SMALLEST_SIDE} px a side. "
            "Enlarge them."
        )
    if spec.num_classes < 2:
        raise InvalidSetting(f"num_classes={spec.num_classes} is not possible: a choice needs at least 2 classes.")
