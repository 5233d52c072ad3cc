"""Training batches from images that live on the device as uint8.

No loader processes: at 32 pixels, gathering and augmenting a batch takes under 2 % of a training step. Order and
augmentation are drawn from (seed, epoch, index), so a resumed run sees exactly the batches it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.augment.batched import to_device
from snellen.augment.draws import Draws, draw
from snellen.augment.mixing import mix, mixed_targets
from snellen.augment.transforms import Transforms
from snellen.data.labeled_images import LabeledImages
from snellen.recipes.recipe import Recipe
from snellen.train.data_pruning import Pruning
from snellen.train.kept_activations import KeptActivations

_ORDER_STREAM, _CHOICE_STREAM = 1_000, 1_001  # apart from those of the augmentation and of `data_pruning`
_MOST_RESIDENT_BYTES = 2**33  # 8 GiB; beyond it images stay in host memory, or on disk, and go over batch by batch


@dataclass(frozen=True)
class Batch:
    """What one step sees, on the device.

    Attributes:
        images: (B, C, H, W) float32 in [0, 1], channels_last; or what the frozen part of the network made of them.
        targets: labels (B,) int64; where images are mixed, (B, K) float32.
        sample_weights: (B,) float32, the weight of each image in the loss; None: 1.
        positions: (M,) int64, of the images among the training images; of all workers' shares, not of this one.
    """

    images: torch.Tensor
    targets: torch.Tensor
    sample_weights: torch.Tensor | None
    positions: torch.Tensor


class Batches:
    """Shuffled, augmented training batches.

    The last incomplete batch of an epoch is left out (other images every epoch): every step then sees the same
    number of images, and batch norm never meets a batch of one.

    Args:
        images: the training images; fewer than `batch_size` make one smaller batch.
        recipe: with images per step, what is drawn per image and epoch, and sampling: "natural" takes each image once
            an epoch, "balanced" each class equally often.
        seed: of the run.
        device: where the images live and the batches are made. More than 8 GiB of images stay where they are, such as
            in a file that is mapped into memory, and are copied over a batch at a time.
        share: (rank, workers): of each batch only every `workers`-th image is made, from `rank` on; all shares together
            are the batch.
    """

    def __init__(
        self, images: LabeledImages, recipe: Recipe, *, seed: int, device: torch.device, share: tuple[int, int] = (0, 1)
    ) -> None:
        self.count = len(images)
        self.batch_size = min(recipe.batch_size, self.count)
        resident = images.images.nbytes <= _MOST_RESIDENT_BYTES
        pixels = torch.from_numpy(images.images)  # (N, H, W, C) uint8; no copy
        self._images = pixels.to(device) if resident else pixels
        self._labels = torch.from_numpy(images.labels).to(device)  # (N,) int64
        self._by_class: list[NDArray[np.int64]] = []
        if recipe.sampling == "balanced":  # positions of each class's images, for the classes that have any
            self._by_class = [np.flatnonzero(images.labels == k) for k in np.flatnonzero(images.counts)]
        self._num_classes = images.num_classes
        self._augment = recipe.augment
        self._transforms = Transforms(recipe.augment, seed=seed)
        self._seed = seed
        self._share = share

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.count // self.batch_size

    def epoch(
        self, epoch: int, *, first: int = 0, pruning: Pruning | None = None, kept: KeptActivations | None = None
    ) -> Iterator[Batch]:
        """Batches of one epoch from step `first` on, or this worker's share of them.

        Args:
            epoch: 0-based.
            first: step of the epoch.
            pruning: leaves easy images out, from the second epoch on: then it knows them. It is asked when a batch is
                asked for, so that what it learnt from the batch before counts.
            kept: gives what the frozen part of the network makes of the images, instead of the images.
        """
        device = self._labels.device
        draws = to_device(draw(self._augment, seed=self._seed, epoch=epoch, count=self.count), device)
        shuffled = np.random.default_rng([self._seed, epoch, _ORDER_STREAM]).permutation(self.count)
        order = torch.from_numpy(shuffled).to(device)
        chosen = None
        if self._by_class:
            chosen = torch.from_numpy(_balanced(self._by_class, self._seed, epoch, self.count)).to(device)
        for step in range(first, self.steps_per_epoch):
            places = order[step * self.batch_size : (step + 1) * self.batch_size]
            positions = places if chosen is None else chosen.index_select(0, places)
            weights = None
            thinned = pruning.thin(positions, step=epoch * self.steps_per_epoch + step) if pruning and epoch else None
            if thinned is not None:
                left, weights = thinned
                places, positions = places.index_select(0, left), positions.index_select(0, left)
            # Draws belong to the place, not to the image: one that comes twice in an epoch is not changed alike twice.
            rank, workers = self._share
            mine, drawn = positions[rank::workers], draws.at(places[rank::workers])
            if kept:
                images = kept.batch(epoch, mine)
            else:
                images = self._transforms.augment(self._pixels(mine), drawn, epoch=epoch, step=step, worker=rank)
            images, targets = self._mixed(images, self._labels.index_select(0, mine), drawn)
            yield Batch(images, targets, weights if weights is None else weights[rank::workers], positions)

    def _pixels(self, at: torch.Tensor) -> torch.Tensor:
        return self._images.index_select(0, at.to(self._images.device)).to(at.device)

    def _mixed(
        self, images: torch.Tensor, labels: torch.Tensor, draws: Draws[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if draws.mixes is None:
            return images, labels
        mixed, share = mix(images, draws.mixes)
        return mixed, mixed_targets(labels, share, self._num_classes)


def _balanced(by_class: list[NDArray[np.int64]], seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """(count,) int64: which image stands at each place of an epoch, each class equally often to within one.

    A class's images come in a shuffled order, again and again until its share is full: none comes a second time before
    all have come once.
    """
    rng = np.random.default_rng([seed, epoch, _CHOICE_STREAM])
    share, rest = divmod(count, len(by_class))
    parts = []
    for number, members in enumerate(by_class):
        wanted = share + ((number + epoch) % len(by_class) < rest)  # the odd images go round the classes
        for taken in range(0, wanted, len(members)):
            parts.append(rng.permutation(members)[: wanted - taken])
    return np.concatenate(parts).astype(np.int64)
