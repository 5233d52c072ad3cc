"""What a training writes down in its run folder: checkpoints, a row each epoch, the weights that are best on val.

It also shows the training, hands its rows to trackers, and leaves it when a signal asks for that.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from snellen.metrics.classification import hard_cross_entropy
from snellen.models.device import return_freed_memory
from snellen.models.weights import model_hash, save_weights
from snellen.runs.run import Row, Run
from snellen.show.progress import Progress
from snellen.trackers.callbacks import TrackerCallbacks
from snellen.train.checkpoint import load_checkpoint, save_checkpoint
from snellen.train.interrupt import Interrupted, StopRequest
from snellen.train.training import Training

_LEAST_CLEAN, _MOST_CLEAN = 500, 2_000
"""Training images that are looked at: as many as val has, within these, which is good to 4 and to 2 points."""
_CHECKPOINT_SECONDS = 60.0  # what a power cut may cost, at most, on top of one step


class Recorder:
    """Keeps one training in a run folder.

    Args:
        training: that is written down; nothing of it is done yet.
        run: the folder; each of several workers has one of its own, and that of the first is kept.
        progress: where to show it.
        follow: trackers.
    """

    def __init__(self, training: Training, run: Run, progress: Progress, follow: TrackerCallbacks) -> None:
        self._training, self.run, self._progress, self._follow = training, run, progress, follow
        self._checkpoint = run.folder / "resume" / "state.safetensors"
        train, val = training.setup.splits.train, training.setup.splits.val
        count = min(_MOST_CLEAN, max(_LEAST_CLEAN, len(val or ())))
        looked_at = np.random.default_rng(training.setup.seed).permutation(len(train))[:count]
        self._clean_train = train.take(np.sort(looked_at), role=train.role)
        self._stop = StopRequest(shared=training.workers.count > 1)
        self._saved_at = self._started = time.monotonic()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Go on from the folder's checkpoint where there is one, and listen to signals inside."""
        self._begin()
        with self._stop:
            if self._owes_row:
                self._pause(due=False)
            yield
        self._progress.end()

    @property
    def _owes_row(self) -> bool:
        """Whether the training was stopped at the end of an epoch, before its row was written."""
        return self._training.epoch_ended and self._training.images_seen > 0

    def _begin(self) -> None:
        training = self._training
        if self._checkpoint.exists():
            load_checkpoint(training, self._checkpoint)
        else:
            # Runs are comparable seed by seed only if they began with the same weights.
            self.run.update_info(initial_weights_sha256=model_hash(training.model))
            if training.setup.weights is not None:  # the file that was named may be gone when the run is resumed
                save_checkpoint(training, self._checkpoint)
        # A row that the checkpoint owes may be there all the same, if the training was killed after it was resumed.
        self.run.journal.keep_until(training.steps_done - 1 if self._owes_row else training.steps_done)
        self._follow.begin()
        self._progress.begin(steps=training.steps, done=training.steps_done, images_per_step=training.batch_size)
        self._saved_at = self._started = time.monotonic()

    def after_step(self) -> None:
        """Show the step; at the end of an epoch, when a minute is over and when a signal has come, write.

        Raises:
            Interrupted: a signal came to some worker; a checkpoint is saved.
            TrainingDiverged: the loss became NaN or infinite.
            StorageError: something could not be written; the last checkpoint stands.
        """
        self._progress.advance(self._training.steps_done)
        stopping, due = self._training.workers.any(
            self._stop.requested, time.monotonic() - self._saved_at > _CHECKPOINT_SECONDS
        )
        if stopping or due or self._training.epoch_ended:
            self._pause(due=due)

    def _pause(self, *, due: bool) -> None:
        training, workers = self._training, self._training.workers
        training.setup.compute.synchronize()
        workers.sync_buffers(training.graded)
        training.epoch_seconds += time.monotonic() - self._started
        if training.epoch_ended:
            training.require_finite()
            try:
                row = self._close_epoch()
            except Interrupted:
                save_checkpoint(training, self._checkpoint)
                raise
            self.run.journal.append(row)
            self._progress.epoch(row)
            self._follow.row(row)
        (stopping,) = workers.any(self._stop.requested)
        if stopping or due or training.ended:
            training.require_finite()  # a broken state must not replace the last good one
            save_checkpoint(training, self._checkpoint)
            self._saved_at = time.monotonic()
        self._stop.raise_if_requested(agreed=stopping)
        self._started = time.monotonic()

    def _close_epoch(self) -> Row:
        """Look at val where that is due, keep the weights if they are the best, and return the epoch's row.

        Raises:
            Interrupted: before anything of the training was changed.
        """
        training, setup = self._training, self._training.setup
        epoch, last = math.ceil(training.steps_done / training.per_epoch), training.steps_done == training.steps
        row: Row = {
            "epoch": epoch,
            "step": training.steps_done,
            "lr": training.lr,
            "train/loss": training.loss_sum.item() / training.images_seen,
            "images_per_second": training.images_seen / max(training.epoch_seconds, 1e-9),
        }
        started, val = time.monotonic(), setup.splits.val
        if val is not None and (last or epoch % setup.recipe.look_every_on(len(setup.splits.train)) == 0):
            return_freed_memory()  # only here: the next step would map anew what it takes again
            with self._stop.at_once():
                on_train, on_val = (training.look(images) for images in (self._clean_train, val))
            row |= {
                "train/accuracy": float(on_train.correct.mean()),
                "train/cross_entropy": hard_cross_entropy(on_train),
                "val/accuracy": float(on_val.correct.mean()),
                "val/loss": hard_cross_entropy(on_val),
            }
            # The last update can break the weights after its own loss was still finite.
            training.require_finite(row["train/cross_entropy"], row["val/loss"])
            # The first of equals: a later epoch must be better to replace it.
            if row["val/accuracy"] > training.best_accuracy:
                training.best_accuracy = row["val/accuracy"]
                self._keep_weights(epoch)
        if val is None and last:
            self._keep_weights(epoch)
        row["seconds"] = training.epoch_seconds + time.monotonic() - started
        training.end_epoch(row["seconds"])
        return row

    def _keep_weights(self, epoch: int) -> None:
        """Keep the weights of this epoch; run.json says whose they are, for whoever asks before the training ends."""
        self._training.best_epoch = epoch
        save_weights(self.run, self._training.graded)
        self.run.update_info(best_epoch=epoch)
