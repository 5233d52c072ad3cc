"""Training batches from images that live on the device as uint8.

No loader processes: at 32 pixels, gathering and augmenting a batch takes under 2 % of a training step. Order and
augmentation are drawn from (seed, epoch, index), so a resumed run sees exactly the batches it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from snellen.augment.batched import DeviceDraws, augment_batch, to_device
from snellen.augment.draws import draw
from snellen.data.labeled_images import LabeledImages
from snellen.recipes.recipe import Augment

_ORDER_STREAM = 1_000  # keeps the permutation's random stream apart from those of the augmentation


class Batches:
    """Shuffled, augmented training batches.

    The last incomplete batch of an epoch is left out (other images every epoch): every step then sees the same
    number of images, and batch norm never meets a batch of one.

    Args:
        images: the training images; fewer than `batch_size` make one smaller batch.
        batch_size: images per step.
        augment: what is drawn per image and epoch.
        seed: of the run.
        device: where the images live and the batches are made.
    """

    def __init__(
        self, images: LabeledImages, *, batch_size: int, augment: Augment, seed: int, device: torch.device
    ) -> None:
        self.count = len(images)
        self.batch_size = min(batch_size, self.count)
        self._images = torch.from_numpy(images.images).to(device)  # (N, H, W, C) uint8
        self._labels = torch.from_numpy(images.labels).to(device)  # (N,) int64
        self._augment = augment
        self._seed = seed

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.count // self.batch_size

    def epoch(self, epoch: int, *, first: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of one epoch from step `first` on.

        Yields:
            Images (B, C, H, W) float32 in [0, 1], channels_last, and labels (B,) int64, on the device.
        """
        device = self._images.device
        draws = to_device(draw(self._augment, seed=self._seed, epoch=epoch, count=self.count), device)
        order = torch.from_numpy(_permutation(self._seed, epoch, self.count)).to(device)
        for step in range(first, self.steps_per_epoch):
            yield self._batch(order[step * self.batch_size : (step + 1) * self.batch_size], draws)

    def _batch(self, at: torch.Tensor, draws: DeviceDraws) -> tuple[torch.Tensor, torch.Tensor]:
        return augment_batch(self._images.index_select(0, at), draws.at(at)), self._labels.index_select(0, at)


def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, _ORDER_STREAM]).permutation(count)
