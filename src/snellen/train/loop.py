"""The training loop: one step after the other, to the end."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from snellen.train.training import Training

if TYPE_CHECKING:  # a training that nobody writes down needs nothing but PyTorch and NumPy
    from snellen.train.recorder import Recorder

_LOSS_LOOK_STEPS = 50  # reading the loss waits for the device: on a GPU only now and then


def train(training: Training, recorder: Recorder | None = None) -> Training:
    """Train from wherever `training` stands to its end.

    Args:
        training: is changed, and returned.
        recorder: writes it down and looks at val; None: nothing is written and nothing chosen.

    Raises:
        Interrupted: SIGINT, SIGTERM or SIGHUP came; the recorder saved a checkpoint first.
        TrainingDiverged: the loss became NaN or infinite.
        StorageError: something could not be written; the last checkpoint stands.
    """
    look = 1 if training.setup.compute.device.type == "cpu" else _LOSS_LOOK_STEPS
    with nullcontext() if recorder is None else recorder.recording():
        for batch in training.batches():
            training.step(batch)
            if training.steps_done % look == 0:
                training.require_finite()
            if recorder is not None:
                recorder.after_step()
    return training
