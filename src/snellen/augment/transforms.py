"""Transforms of a user's own, around ours: found once, called with a seed, held to the shape and type they were given.

The seed of each call follows from the run's seed, the epoch, the step, the worker and the transform's place, so that a
resumed training sees the same pictures. PyTorch's own generator is set to it as well: what draws from there without
asking for the seed is repeatable too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from snellen.augment.batched import augment_batch
from snellen.augment.draws import Draws
from snellen.errors import InvalidSetting
from snellen.parts import find, one_sentence
from snellen.recipes.recipe import Augment

_STREAM = 1_004  # apart from those of the batches, of data pruning and of dropout


class Transforms:
    """What a recipe does to a batch: its transforms `before`, ours, its transforms `after`; `seed` is the run's.

    Raises:
        InvalidSetting: a transform is not to be found.
    """

    def __init__(self, augment: Augment, *, seed: int) -> None:
        self._seed = seed
        self._before = [(name, find("transform", name)) for name in augment.before]
        self._after = [(name, find("transform", name)) for name in augment.after]

    def augment(self, images: Tensor, draws: Draws[Tensor], *, epoch: int, step: int, worker: int = 0) -> Tensor:
        """(B, H, W, C) uint8 -> (B, C, H, W) float32, in channels_last memory, for one batch of an epoch.

        Raises:
            InvalidSetting: a transform gives another shape, type or device than it was given.
        """
        at = (epoch, step, worker)
        for place, (name, transform) in enumerate(self._before):
            images = self._called(name, transform, images, (*at, place)).contiguous()
        batch = augment_batch(images, draws)
        for place, (name, transform) in enumerate(self._after, len(self._before)):
            batch = self._called(name, transform, batch, (*at, place)).contiguous(memory_format=torch.channels_last)
        return batch

    def _called(self, name: str, transform: Callable[..., Tensor], images: Tensor, at: tuple[int, ...]) -> Tensor:
        words = np.random.SeedSequence([self._seed, *at, _STREAM]).generate_state(1, np.uint64)
        seed, device = words.item() >> 1, images.device  # of 63 bits: any generator takes it
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad():
            torch.manual_seed(seed)
            with one_sentence(f"The transform {name}, called as f(images, seed=…) with {_kind(images)}, fails"):
                made = transform(images, seed=seed)
        if _kind(made) != _kind(images):
            raise InvalidSetting(
                f"The transform {name} was given {_kind(images)} and gave {_kind(made)}; both must be alike."
            )
        return made


def _kind(images: Tensor) -> str:
    if not isinstance(images, Tensor):
        return type(images).__name__
    return f"{tuple(images.shape)}, {images.dtype}, {images.device}".replace("torch.", "")
