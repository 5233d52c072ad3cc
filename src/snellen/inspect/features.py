"""What a model makes of images on the way to its answer: maps at some layers, and the features before the last one.

Read by forward hooks, so that no model needs to know about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from snellen.augment.batched import to_float
from snellen.data.labeled_images import LabeledImages
from snellen.inspect.layers import Layer
from snellen.models.external import last_linear
from snellen.models.normalized import Classifier
from snellen.predict.predict import evaluating

_PIXELS_PER_PASS = 2**18  # of all its images together: the activations of large pictures would fill gigabytes
_LEARNING = 4  # times as much is kept of each picture where gradients are wanted
_GRID = 2  # positions a side that maps are averaged down to before two pictures are compared


@dataclass(frozen=True)
class Peaks:
    """Where each channel of a layer answers most in each image.

    Attributes:
        value: (N, C) float32, the largest entry of each map.
        position: (N, C) int64, where it stands: row * w + column.
        map_shape: (h, w) of the maps.
    """

    value: NDArray[np.float32]
    position: NDArray[np.int64]
    map_shape: tuple[int, int]


@dataclass(frozen=True)
class Features:
    """N images as a model sees them.

    Attributes:
        last: (N, D) float32, the input of the last linear layer.
        pooled: by the layer's key, (N, 4 C) float32: each channel's mean in the four quarters of its map.
        peaks: by the layer's key.
    """

    last: NDArray[np.float32]
    pooled: dict[str, NDArray[np.float32]]
    peaks: dict[str, Peaks]


def images_per_pass(image_shape: tuple[int, int, int], *, gradients: bool = False) -> int:
    """How many images (H, W, C) to show a model at once, so that memory does not grow with their size."""
    most = _PIXELS_PER_PASS // _LEARNING if gradients else _PIXELS_PER_PASS
    return max(1, most // (image_shape[0] * image_shape[1]))


@contextmanager
def recorded(model: Classifier, layers: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """A dict that each forward pass inside fills: layer's key -> maps (N, C, h, w), and "last" -> (N, D).

    The tensors are those of the pass itself, so gradients flow through them where gradients are on.
    """
    seen: dict[str, Tensor] = {}

    def keep(layer: Layer) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
        def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor | None:
            if not layer.rectify:
                seen[layer.key] = output
                return None
            # Handed on instead of the raw output: rectifying twice changes nothing, and the gradient passes through.
            seen[layer.key] = functional.relu(output)
            return seen[layer.key]

        return hook

    def keep_last(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen["last"] = inputs[0]

    handles = [model.get_submodule(layer.path).register_forward_hook(keep(layer)) for layer in layers]
    handles.append(last_linear(model)[1].register_forward_pre_hook(keep_last))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def features_of(
    model: Classifier, images: LabeledImages, layers: Sequence[Layer] = (), *, bf16: bool = False
) -> Features:
    """Features of every image, in order, in eval mode.

    Args:
        model: on its device; its mode is left as it was.
        images: N pictures, at least one.
        layers: where to read maps besides the last layer's input.
        bf16: whether convolutions and matrix products are in bf16, for runs that were trained so.
    """
    device = next(model.parameters()).device
    parts: list[dict[str, Tensor]] = []
    shapes: dict[str, tuple[int, int]] = {}
    with evaluating(model), recorded(model, layers) as seen, torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for batch in torch.split(torch.from_numpy(images.images), images_per_pass(images.image_shape)):
            model(to_float(batch.to(device)))
            parts.append(_summaries(seen, layers))
            shapes = {layer.key: (seen[layer.key].shape[-2], seen[layer.key].shape[-1]) for layer in layers}
    joined = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
    return Features(
        last=joined["last"],
        pooled={layer.key: joined[f"{layer.key} pooled"] for layer in layers},
        peaks={
            layer.key: Peaks(joined[f"{layer.key} value"], joined[f"{layer.key} position"], shapes[layer.key])
            for layer in layers
        },
    )


def _summaries(seen: dict[str, Tensor], layers: Sequence[Layer]) -> dict[str, Tensor]:
    """One batch, small enough to keep: the maps themselves would fill gigabytes."""
    kept = {"last": seen["last"].flatten(1).float()}
    for layer in layers:
        maps = seen[layer.key].float()
        kept[f"{layer.key} pooled"] = functional.adaptive_avg_pool2d(maps, _GRID).flatten(1)
        kept[f"{layer.key} value"], kept[f"{layer.key} position"] = maps.flatten(2).max(dim=2)
    return kept
