"""The training loop: one function, readable in one sitting."""

from __future__ import annotations

import math
import time
from functools import partial

import numpy as np
import torch

from snellen.augment.batched import resize_side
from snellen.data.labeled_images import LabeledImages
from snellen.errors import TrainingDiverged
from snellen.metrics.classification import hard_cross_entropy
from snellen.models.device import return_freed_memory
from snellen.models.restore import model_hash, save_weights
from snellen.runs.journal import Row
from snellen.runs.run import Run
from snellen.show.progress import Progress
from snellen.trackers.callbacks import TrackerCallbacks
from snellen.train.average import Lookahead, moving_average
from snellen.train.ddp import ALONE, Workers
from snellen.train.freezing import apply_freezing, trainable_names
from snellen.train.interrupt import Interrupted, StopRequest
from snellen.train.optimizers import build_optimizers, set_lr
from snellen.train.schedules import lr_fraction
from snellen.train.setup import TrainingSetup
from snellen.train.state import TrainingState
from snellen.train.step import update

_CLEAN_TRAIN_IMAGES = 2_000  # enough for ±2 points; all of them would cost a third of an epoch
_CHECKPOINT_SECONDS = 60.0  # what a power cut may cost, at most, on top of one step
_LOSS_LOOK_STEPS = 50  # reading the loss waits for the device: on a GPU only now and then


def train(
    job: TrainingSetup, run: Run, progress: Progress, follow: TrackerCallbacks, workers: Workers = ALONE
) -> TrainingState:
    """Train `job` in `run`'s folder from wherever it stands; best-on-val weights are on disk at the end.

    Args:
        job: what to train.
        run: the folder; each of several workers has one of its own, and that of the first is kept.
        progress: where to show it.
        follow: trackers.
        workers: the processes that share the training; every number is that of all of them.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came; a checkpoint was saved first.
        TrainingDiverged: the loss became NaN or infinite.
        StorageError: something could not be written; the last checkpoint stands.
    """
    recipe = job.recipe
    batches = job.batches(workers)
    class_weights = job.class_weights()
    per_epoch = batches.steps_per_epoch
    steps = max(1, round(recipe.epochs * per_epoch))
    rate = partial(lr_fraction, recipe.schedule, steps=steps, steps_per_epoch=per_epoch)
    state = initial_state(job, steps)
    # Runs are comparable seed by seed only if they began with the same weights.
    checkpoint = run.folder / "resume" / "state.safetensors"
    if checkpoint.exists():
        state.load(checkpoint)
        set_lr(state.optimizers, rate(step=max(0, state.step - 1)))  # a row may still have to name it
    else:
        run.update_info(initial_weights_sha256=model_hash(state.model))
        if job.weights is not None:
            state.save(checkpoint)  # the file that was named may be gone when the run is resumed
    run.journal.keep_until(state.step)
    clean_train = _clean_train_images(job)
    saved_at = time.monotonic()
    side_before = 0
    learner = workers.joined(state.model)
    follow.begin()
    progress.begin(steps=steps, done=state.step, images_per_step=batches.batch_size)

    with StopRequest(shared=workers.count > 1) as stop:
        while state.step < steps or state.images_seen:
            epoch = state.step // per_epoch  # 0-based
            # Stopped before its epoch had a row: no batch of it is left, only the look at val.
            ended = state.images_seen > 0 and (state.step == steps or state.step % per_epoch == 0)
            due = False
            state.model.train()
            started = time.monotonic()
            first = per_epoch if ended else state.step % per_epoch
            for batch in batches.epoch(epoch, first=first, pruning=state.pruning):
                if apply_freezing(state.model, recipe, state.trainable, done=state.step / steps):
                    learner = workers.joined(state.model)
                side = recipe.side_at(state.step / steps, full=min(batch.images.shape[-2:]))
                if side != side_before:
                    return_freed_memory()
                    side_before = side
                loss, losses = update(
                    learner,
                    resize_side(batch.images, side),
                    batch.targets,
                    optimizers=state.optimizers,
                    lr=rate(step=state.step),
                    recipe=recipe,
                    placement=job.placement,
                    class_weights=class_weights,
                    sample_weights=batch.sample_weights,
                    batch_size=batches.batch_size,
                    workers=workers.count,
                )
                state.after_step(batch.positions, losses, workers)
                state.loss_sum += workers.sum(loss)
                state.images_seen += batches.batch_size
                if job.placement.device.type == "cpu" or state.step % _LOSS_LOOK_STEPS == 0:
                    _check_finite(state)
                progress.advance(state.step)
                stopping, due = workers.any(stop.requested, time.monotonic() - saved_at > _CHECKPOINT_SECONDS)
                if state.step == steps or stopping or due:
                    break  # also in the middle of an epoch: the next round goes on with the same batches
            job.placement.synchronize()
            workers.same(state.graded)
            state.epoch_seconds += time.monotonic() - started
            if state.step == steps or state.step % per_epoch == 0:
                _check_finite(state)
                epoch, last = math.ceil(state.step / per_epoch), state.step == steps
                try:
                    row = _close_epoch(job, run, state, clean_train, workers, stop, epoch=epoch, last=last)
                except Interrupted:
                    state.save(checkpoint)
                    raise
                run.journal.append(row)
                progress.epoch(row)
                follow.row(row)
            (stopping,) = workers.any(stop.requested)
            if stopping or state.step == steps or due:
                _check_finite(state)  # a broken state must not replace the last good one
                state.save(checkpoint)
                saved_at = time.monotonic()
            stop.raise_if_requested(agreed=stopping)
    progress.end()
    return state


def initial_state(job: TrainingSetup, steps: int) -> TrainingState:
    """A model, its optimizers and means as they are before the first of `steps` steps."""
    device = job.placement.device
    model = job.new_model()
    initialise = getattr(model.net, "init_whitening", None)
    if initialise is not None and job.weights is None:
        initialise(model.normalize(_some_images(job.splits.train, 1_000)))
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    lookahead = Lookahead(model, job.recipe.average, steps=steps) if job.recipe.average else None
    ema = moving_average(model, job.recipe.ema_decay) if job.recipe.ema_decay else None
    optimizers, trainable = build_optimizers(model, job.recipe), trainable_names(model)
    pruning = job.pruning(steps)
    return TrainingState(model, optimizers, lookahead, torch.zeros((), device=device), ema, pruning, trainable)


def _some_images(images: LabeledImages, count: int) -> torch.Tensor:
    from snellen.augment.batched import to_float

    return to_float(
        torch.from_numpy(images.images[np.linspace(0, len(images) - 1, min(count, len(images)), dtype=int)])
    )


def _clean_train_images(job: TrainingSetup) -> LabeledImages:
    train = job.splits.train
    at = np.random.default_rng(job.seed).permutation(len(train))[:_CLEAN_TRAIN_IMAGES]
    return train.take(np.sort(at), role=train.role)


def _check_finite(state: TrainingState, *losses: float) -> None:
    for loss in losses or (state.loss_sum.item(),):
        if math.isfinite(loss):
            continue
        raise TrainingDiverged(
            f"The loss became {loss} by step {state.step}. The weights of the best epoch so far are "
            "kept. Lower the learning rate, for example with half of it: --set optimizer.lr=…"
        )


def _close_epoch(
    job: TrainingSetup,
    run: Run,
    state: TrainingState,
    clean_train: LabeledImages,
    workers: Workers,
    stop: StopRequest,
    *,
    epoch: int,
    last: bool,
) -> Row:
    """Evaluate where it is due, keep the weights if they are the best, and return the epoch's row.

    Raises:
        Interrupted: before anything of `state` was changed.
    """
    recipe = job.recipe
    row: Row = {
        "epoch": epoch,
        "step": state.step,
        "lr": state.optimizers[0].param_groups[0]["lr"],
        "train/loss": state.loss_sum.item() / state.images_seen,
        "images_per_second": state.images_seen / max(state.epoch_seconds, 1e-9),
    }
    started = time.monotonic()
    return_freed_memory()
    val, bf16 = job.splits.val, job.placement.precision == "bf16"
    if val is not None and (last or epoch % recipe.evaluate_every == 0):
        with stop.at_once():
            on_train, on_val = (workers.predict(state.graded, images, bf16=bf16) for images in (clean_train, val))
        row |= {
            "train/accuracy": float(on_train.correct.mean()),
            "train/cross_entropy": hard_cross_entropy(on_train),
            "val/accuracy": float(on_val.correct.mean()),
            "val/loss": hard_cross_entropy(on_val),
        }
        # The last update can break the weights after its own loss was still finite.
        _check_finite(state, row["train/cross_entropy"], row["val/loss"])
        # The first of equals: a later epoch must be better to replace it.
        if row["val/accuracy"] > state.best_accuracy:
            state.best_accuracy, state.best_epoch = row["val/accuracy"], epoch
            save_weights(run, state.graded)
    if val is None and last:
        state.best_epoch = epoch
        save_weights(run, state.graded)
    row["seconds"] = state.epoch_seconds + time.monotonic() - started
    state.seconds += row["seconds"]
    state.epoch_seconds, state.images_seen = 0.0, 0
    state.loss_sum.zero_()
    return row
