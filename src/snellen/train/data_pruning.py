"""Dynamic data pruning: which easy images each batch leaves out, and what weight the others get for it."""

from __future__ import annotations

import numpy as np
import torch

from snellen.recipes.recipe import DataPruning

_STREAM = 1_002  # of random numbers, apart from those of augmentation and order


class Pruning:
    """The loss each training image had when it was last trained on, and what follows from it.

    Which images are left out follows from `losses`, the seed and the step, so that a resumed run, which takes up
    `losses` from its checkpoint, sees the batches it would have seen.

    Args:
        settings: how much and when.
        count: N, training images.
        steps: of the whole training.
        seed: of the run.
        device: where the batches are made.

    Attributes:
        losses: (N,) float32, nats; the largest number for an image not trained on yet, which is hard until it is known.
    """

    def __init__(self, settings: DataPruning, count: int, steps: int, seed: int, device: torch.device) -> None:
        self.losses = torch.full((count,), torch.finfo(torch.float32).max, device=device)
        self._settings, self._steps, self._seed = settings, steps, seed

    def thin(self, images: torch.Tensor, *, step: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """What is left of a batch.

        Args:
            images: (B,) int64, their positions among the training images.
            step: updates made before this one.

        Returns:
            Places in the batch, ascending, (M,) int64, and their weights in the loss, (M,) float32, B in total; None
            where nothing is left out.
        """
        count = len(images)
        easy, kept = self._settings.easy_and_kept(count)
        if kept == easy or not self._settings.active(step / self._steps):
            return None
        # One draw for all workers, made without looking at the losses: the host does not wait for a GPU here.
        drawn = np.random.default_rng([self._seed, step, _STREAM]).permutation(easy)[:kept]
        ranked = self.losses.index_select(0, images).argsort(stable=True)
        stays = torch.from_numpy(np.concatenate([drawn, np.arange(easy, count)])).to(ranked.device, non_blocking=True)
        if self._settings.rescale:
            weights = torch.ones(count, device=ranked.device)
            weights[ranked[:easy]] = easy / kept
        else:
            weights = torch.full((count,), count / len(stays), device=ranked.device)
        places = ranked.index_select(0, stays).sort().values
        return places, weights.index_select(0, places)

    def note(self, images: torch.Tensor, losses: torch.Tensor) -> None:
        """Remember the losses (M,) of the images at these positions (M,); the largest, where one is there twice."""
        self.losses.scatter_reduce_(0, images, losses, "amax", include_self=False)
