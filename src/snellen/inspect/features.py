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
from snellen.inspect.layers import Layer, head_of
from snellen.models.normalized import Classifier

_BATCH = 250
_GRID = 2  # positions a side that maps are averaged down to before two pictures are compared

Tick = Callable[[int], None]
"""Called with the number of images just done."""


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
        pooled: by depth key, (N, 4 C) float32: each channel's mean in the four quarters of its map.
        peaks: by depth key.
    """

    last: NDArray[np.float32]
    pooled: dict[str, NDArray[np.float32]]
    peaks: dict[str, Peaks]


@contextmanager
def recorded(model: Classifier, depths: Sequence[Layer]) -> Iterator[dict[str, Tensor]]:
    """A dict that each forward pass inside fills: depth key -> maps (N, C, h, w), and "last" -> (N, D).

    The tensors are those of the pass itself, so gradients flow through them where gradients are on.
    """
    seen: dict[str, Tensor] = {}

    def keep(depth: Layer) -> Callable[[nn.Module, Any, Tensor], Tensor | None]:
        def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor | None:
            if not depth.rectify:
                seen[depth.key] = output
                return None
            # Handed on instead of the raw output: rectifying twice changes nothing, and the gradient passes through.
            seen[depth.key] = functional.relu(output)
            return seen[depth.key]

        return hook

    def keep_last(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen["last"] = inputs[0]

    handles = [model.get_submodule(depth.layer).register_forward_hook(keep(depth)) for depth in depths]
    handles.append(head_of(model).register_forward_pre_hook(keep_last))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def features_of(
    model: Classifier, images: LabeledImages, depths: Sequence[Layer] = (), *, tick: Tick | None = None
) -> Features:
    """Features of every image, in order, in eval mode and full precision.

    Args:
        model: on its device; its mode is left as it was.
        images: N pictures, at least one.
        depths: where to read maps besides the last layer's input.
        tick: told about progress.
    """
    device = next(model.parameters()).device
    parts: list[dict[str, Tensor]] = []
    shapes: dict[str, tuple[int, int]] = {}
    was_training = model.training
    model.eval()  # first: in train mode batch norm would learn from what it is shown
    try:
        with torch.inference_mode(), recorded(model, depths) as seen:
            for batch in torch.split(torch.from_numpy(images.images), _BATCH):
                model(to_float(batch.to(device)))
                parts.append(_summaries(seen, depths))
                shapes = {depth.key: (seen[depth.key].shape[-2], seen[depth.key].shape[-1]) for depth in depths}
                if tick:
                    tick(len(batch))
    finally:
        model.train(was_training)
    joined = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
    return Features(
        last=joined["last"],
        pooled={depth.key: joined[f"{depth.key} pooled"] for depth in depths},
        peaks={
            depth.key: Peaks(joined[f"{depth.key} value"], joined[f"{depth.key} position"], shapes[depth.key])
            for depth in depths
        },
    )


def _summaries(seen: dict[str, Tensor], depths: Sequence[Layer]) -> dict[str, Tensor]:
    """One batch, small enough to keep: the maps themselves would fill gigabytes."""
    kept = {"last": seen["last"].flatten(1).float()}
    for depth in depths:
        maps = seen[depth.key].float()
        kept[f"{depth.key} pooled"] = functional.adaptive_avg_pool2d(maps, _GRID).flatten(1)
        kept[f"{depth.key} value"], kept[f"{depth.key} position"] = maps.flatten(2).max(dim=2)
    return kept
