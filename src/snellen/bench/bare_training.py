"""The training loop alone: no run folder, no journal, no checkpoint, no pictures, nothing but PyTorch and NumPy.

This is what a training costs when nobody writes anything down, the clock by which speed records are kept, and what
runs on a machine that has PyTorch and little else. A test holds it equal to `train.loop`, to the bit.
"""

from __future__ import annotations

import numpy as np
import torch

from snellen.augment.batched import resize_side, to_float
from snellen.models.device import return_freed_memory
from snellen.models.normalized import Classifier
from snellen.train.average import Lookahead, moving_average
from snellen.train.freezing import apply_freezing, trainable_names
from snellen.train.optimizers import build_optimizers
from snellen.train.schedules import lr_fraction
from snellen.train.setup import TrainingSetup
from snellen.train.step import update

_WHITENING_IMAGES = 1_000  # as train.loop


def train_bare(job: TrainingSetup) -> Classifier:
    """The steps of `train.loop.train`, and nothing between them."""
    recipe = job.recipe
    model = _initial_model(job)
    optimizers = build_optimizers(model, recipe)
    batches = job.batches()
    class_weights = job.class_weights()
    per_epoch = batches.steps_per_epoch
    steps = max(1, round(recipe.epochs * per_epoch))
    lookahead = Lookahead(model, recipe.average, steps=steps) if recipe.average else None
    ema = moving_average(model, recipe.ema_decay) if recipe.ema_decay else None
    trainable = trainable_names(model)
    pruning = job.pruning(steps)
    step, side_before = 0, 0
    model.train()
    while step < steps:
        for batch in batches.epoch(step // per_epoch, pruning=pruning):
            apply_freezing(model, recipe, trainable, done=step / steps)
            side = recipe.side_at(step / steps, full=batch.images.shape[-1])
            if side != side_before:
                return_freed_memory()
                side_before = side
            lr = lr_fraction(recipe.schedule, step=step, steps=steps, steps_per_epoch=per_epoch)
            _, losses = update(
                model, resize_side(batch.images, side), batch.targets,
                optimizers=optimizers, lr=lr, recipe=recipe, placement=job.placement, class_weights=class_weights,
                sample_weights=batch.sample_weights, batch_size=batches.batch_size,
            )  # fmt: skip
            if pruning is not None:
                pruning.note(batch.positions, losses)
            step += 1
            if lookahead:
                lookahead.after_step(step)
            if ema is not None:
                ema.update_parameters(model)
            if step == steps:
                break
    graded: Classifier = model if ema is None else ema.module  # type: ignore[assignment]
    return graded.eval()


def _initial_model(job: TrainingSetup) -> Classifier:
    model = job.new_model()
    initialise = getattr(model.net, "init_whitening", None)
    if initialise is not None and job.weights is None:
        train = job.splits.train
        at = np.linspace(0, len(train) - 1, min(_WHITENING_IMAGES, len(train)), dtype=int)
        initialise(model.normalize(to_float(torch.from_numpy(train.images[at]))))
    return model.to(job.placement.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
