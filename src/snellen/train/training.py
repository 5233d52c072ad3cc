"""One training: everything that changes while it runs, the one step that changes it, and the loop of steps.

Whatever trains holds a `Training` and makes its steps: `snellen train`, alone or under torchrun, the learning-rate
finder, `--budget`, the benchmarks and `SnellenClassifier`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from snellen.augment.batched import resize_side, to_float
from snellen.data.labeled_images import LabeledImages
from snellen.errors import InvalidSetting, TrainingDiverged
from snellen.models.catalog import is_own
from snellen.models.device import return_freed_memory
from snellen.models.external import inputs_of, is_external
from snellen.models.normalized import Classifier
from snellen.models.split import behind
from snellen.parts import find
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.json_form import rates_times
from snellen.recipes.recipe import Muon
from snellen.train.batches import Batch, Batches
from snellen.train.data_pruning import Pruning
from snellen.train.ddp import ALONE, Workers
from snellen.train.head import fit_head
from snellen.train.kept_activations import KeptActivations
from snellen.train.losses import Loss, batch_losses, cross_entropy
from snellen.train.optimizers import (
    Lookahead,
    apply_freezing,
    build_optimizers,
    hold_fixed,
    moving_average,
    trainable_names,
)
from snellen.train.schedules import lr_fraction, out_of_patience, set_lr, shape_of
from snellen.train.setup import TrainingSetup

if TYPE_CHECKING:  # a training that nobody writes down needs nothing but PyTorch and NumPy
    from snellen.train.recorder import Recorder

_WHITENING_IMAGES = 1_000
_DROPOUT_STREAM = 1_003  # apart from those of the batches and of data pruning
_LOSS_LOOK_STEPS = 50  # reading the loss waits for the device: on a GPU only now and then


class Training:
    """Model, optimizers, means, schedule and batches of one training, and how far it has come.

    Args:
        setup: what is trained.
        workers: the processes that share it; every number is that of all of them.
        steps: of the whole training; None: as many as the recipe's epochs make.
        schedule: the learning rate at a step as a fraction of every group's peak; None: the recipe's.
        held_at: a point of the training, a fraction, at which image size and frozen parameters stay; None: they follow
            the steps.

    Attributes:
        batch_size: images of a whole batch.
        per_epoch: steps of an epoch.
        model: that learns, on its device.
        optimizers: as the recipe says, over the parameters that may learn at all.
        lookahead: the mean of the weights that they are pulled to, or None.
        ema: the weights' moving average, or None.
        pruning: the memory of how hard each image was, or None.
        class_weights: (K,) float32 on the device, the weight of each class in the loss; None weighs all alike.
        steps_done: updates made.
        images_seen: images of this epoch.
        loss_sum: sum of their training loss, on the device.
        best_accuracy: highest val accuracy so far (fraction), -1 before the first look.
        best_epoch: the epoch it was reached in.
        seconds: time spent in training and evaluation, over all sessions, up to the last row.
        epoch_seconds: time spent in the steps of this epoch.

    Raises:
        InvalidSetting: workers have fewer than two images each, or the optimizer does not go with the model.
    """

    def __init__(
        self,
        setup: TrainingSetup,
        workers: Workers = ALONE,
        *,
        steps: int | None = None,
        schedule: Callable[[int], float] | None = None,
        held_at: float | None = None,
    ) -> None:
        recipe, device, train = setup.recipe, setup.compute.device, setup.splits.train
        self.setup, self.workers, self.held_at = setup, workers, held_at
        if workers.count > 1 and recipe.finetune is not None and recipe.finetune.frozen:
            raise InvalidSetting(
                f"finetune.frozen={recipe.finetune.frozen!r} is for one process, which is fast enough where most of "
                "the network is frozen. Start it without torchrun, or let everything learn: --set finetune.frozen="
            )
        self._batches = Batches(train, recipe, seed=setup.seed, device=device, share=(workers.rank, workers.count))
        self.batch_size, self.per_epoch = self._batches.batch_size, self._batches.steps_per_epoch
        self._require_shares()
        self.steps = steps or max(1, round(recipe.epochs_on(len(train)) * self.per_epoch))
        self._schedule, self._shape = schedule or self._recipes_schedule, shape_of(recipe.schedule)
        self._loss: Loss = find("loss", recipe.loss)
        self.model = _initial_model(setup)
        if recipe.finetune is not None:
            hold_fixed(self.model, recipe.finetune)
        if recipe.finetune is not None and recipe.finetune.head_penalty:
            self._head()  # it may refuse, and does so before there is a folder
        self.optimizers = build_optimizers(self.model, recipe)
        self.lookahead = Lookahead(self.model, recipe.average, steps=self.steps) if recipe.average else None
        self.ema = moving_average(self.model, recipe.ema_decay) if recipe.ema_decay else None
        pruned = recipe.data_pruning
        self.pruning = Pruning(pruned, len(train), self.steps, setup.seed, device) if pruned else None
        weights = train.balanced_weights if recipe.class_weights == "balanced" else None
        self.class_weights = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
        self.steps_done, self.images_seen, self.loss_sum = 0, 0, torch.zeros((), device=device)
        self.best_accuracy, self.best_epoch, self.seconds, self.epoch_seconds = -1.0, 0, 0.0, 0.0
        self._trainable = trainable_names(self.model)
        drops = any(isinstance(module, _DropoutNd) for module in self.model.modules())
        # Other libraries drop paths in words of their own, and nobody knows what somebody's own code draws.
        self._draws = drops or is_external(recipe.model) or is_own(recipe.model) or self._loss is not cross_entropy
        self._learner: torch.nn.Module | None = None  # the model, with gradients that are means over all workers
        self._side = 0

    @property
    def done(self) -> float:
        """The point of the training that it is at, a fraction: image size and frozen parameters follow it."""
        return self.steps_done / self.steps if self.held_at is None else self.held_at

    @property
    def epoch_ended(self) -> bool:
        """Whether the last step was that of an epoch, or of the training."""
        return self.steps_done == self.steps or self.steps_done % self.per_epoch == 0

    @property
    def ended(self) -> bool:
        """Whether no step is left: all are made, or a closed epoch was the last that the recipe waited for."""
        epoch, images = self.steps_done // self.per_epoch, len(self.setup.splits.train)
        waited = not self.images_seen and out_of_patience(self.setup.recipe, epoch, self.best_epoch, images)
        return waited or self.steps_done == self.steps

    @property
    def lr(self) -> float:
        """The learning rate of the last step, of the first group of parameters."""
        peak: float = self.optimizers[0].param_groups[0]["peak_lr"]
        return peak * self._schedule(max(0, self.steps_done - 1))

    @property
    def graded(self) -> Classifier:
        """The model whose answers count: the moving average where there is one."""
        if self.ema is None:
            return self.model
        averaged: Classifier = self.ema.module  # type: ignore[assignment]
        return averaged

    @cached_property
    def kept(self) -> KeptActivations | None:
        """What the frozen part of the network makes of the pictures; None where nothing is frozen."""
        frozen = self.setup.recipe.finetune is not None and self.setup.recipe.finetune.frozen
        return KeptActivations(self.setup, self.model) if frozen else None  # late: a checkpoint may bring the weights

    def look(self, images: LabeledImages) -> Predictions:
        """The plain answers, of all workers, to pictures of train or val as the training stands."""
        if self.kept is None:
            return self.workers.predict(self.graded, images, bf16=self.setup.compute.bf16)
        return self.kept.answers(self._answering, images)

    @cached_property
    def _answering(self) -> torch.nn.Module:
        """The part of `graded` behind the frozen one, with the model's own weights, so that it is always up to date."""
        return self._behind(self.graded, training=False)

    def batches(self) -> Iterator[Batch]:
        """The batches that are left, one for each step; make it with `step` before you ask for the next."""
        while not self.ended:
            if self.steps_done == 0:
                self._fit_head()
            self._to_train()  # a look at val may have changed it
            epoch, first = divmod(self.steps_done, self.per_epoch)
            for batch in self._batches.epoch(epoch, first=first, pruning=self.pruning, kept=self.kept):
                yield batch
                if self.ended:
                    return

    def step(self, batch: Batch) -> torch.Tensor:
        """Make one update: forward, loss, backward, optimizers, means; nothing here waits for the device.

        Returns:
            The loss summed over the images of the whole batch, a scalar on the device.
        """
        recipe, done = self.setup.recipe, self.done
        if apply_freezing(self.model, recipe, self._trainable, done=done) or self._learner is None:
            self._learner = self._behind(self.model, training=True) if self.kept else self.workers.ddp(self.model)
            self._to_train()
        side = recipe.side_at(done, full=min(batch.images.shape[-2:]))
        if side != self._side:
            return_freed_memory()
            self._side = side
        loss, losses = self._backward(self._learner, resize_side(batch.images, side, recipe.resized_by(done)), batch)
        set_lr(self.optimizers, self._schedule(self.steps_done))
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.steps_done += 1
        if self.pruning is not None:
            self.pruning.note(batch.positions, self.workers.all_gather(losses, len(batch.positions)))
        if self.lookahead is not None and self.held_at is None:
            self.lookahead.after_step(self.steps_done)
        if self.ema is not None:
            self.ema.update_parameters(self.model)
        whole = self.workers.sum(loss)
        self.loss_sum += whole
        self.images_seen += self.batch_size
        return whole

    def _backward(
        self, learner: torch.nn.Module, images: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of the batch; returns the summed loss and each image's own before it is weighed, (B,) float32."""
        recipe = self.setup.recipe
        with self.setup.compute.kernels():
            with self._dropout():
                with self.setup.compute.autocast():
                    logits = learner(images)
                weights, smoothing = self.class_weights, recipe.label_smoothing
                losses = batch_losses(
                    logits, batch.targets, class_weights=weights, label_smoothing=smoothing, loss=self._loss
                )
            summed = (losses if batch.sample_weights is None else losses * batch.sample_weights).sum()
            whole = 1 if isinstance(recipe.optimizer, Muon) else self.batch_size
            # Gradients are averaged over the workers: times their number, the mean is that of the whole batch.
            (self.workers.count * summed / whole).backward()  # type: ignore[no-untyped-call]
        return summed.detach(), losses.detach()

    @contextmanager
    def _dropout(self) -> Iterator[None]:
        """Inside, what a network drops follows from seed, step and worker: a resumed training drops the same."""
        if not self._draws:
            yield
            return
        words = np.random.SeedSequence([self.setup.seed, self.steps_done, self.workers.rank, _DROPOUT_STREAM])
        device = self.setup.compute.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # a caller's own draws go on
            torch.manual_seed(words.generate_state(1, np.uint64).item())
            yield

    def require_finite(self, *losses: float) -> None:
        """Raise where one of these losses, or where none is given that of the epoch so far, is no number.

        Raises:
            TrainingDiverged: with the step.
        """
        for loss in losses or (self.loss_sum.item(),):
            if not math.isfinite(loss):
                kept = (
                    f"Those of epoch {self.best_epoch}, the best so far, are" if self.best_epoch else "No weights are"
                )
                raise TrainingDiverged(
                    f"The loss became {loss} by step {self.steps_done}. {kept} kept. Lower the learning rate, for "
                    f"example to half of it: {rates_times(self.setup.recipe, 0.5)}"
                )

    def end_epoch(self, seconds: float) -> None:
        """Begin to count anew; `seconds` is what the epoch took with its look at val."""
        self.seconds += seconds
        self.epoch_seconds, self.images_seen = 0.0, 0
        self.loss_sum.zero_()

    def _recipes_schedule(self, step: int) -> float:
        schedule, shape = self.setup.recipe.schedule, self._shape
        return lr_fraction(schedule, step=step, steps=self.steps, steps_per_epoch=self.per_epoch, shape=shape)

    def _to_train(self) -> None:
        """All of the model in train mode, but for what fine-tuning holds fixed."""
        self.model.train()
        finetune = self.setup.recipe.finetune
        for module in self.model.modules() if finetune and finetune.fixed_norms else ():
            if isinstance(module, _BatchNorm):
                module.eval()

    def _behind(self, model: Classifier, *, training: bool) -> torch.nn.Module:
        finetune = self.setup.recipe.finetune
        assert finetune is not None
        return behind(model, finetune.frozen, training=training)

    def _fit_head(self) -> None:
        """Where fine-tuning asks for it, the last layer as it fits best to the unchanged network."""
        finetune, train = self.setup.recipe.finetune, self.setup.splits.train
        if finetune is None or not finetune.head_penalty:
            return
        head = self._head()
        with inputs_of(head) as features:  # of the model itself, which an average follows later; by every worker
            if self.kept is None:
                predict(self.model, train, bf16=self.setup.compute.bf16)
            else:
                self.kept.answers(self._behind(self.model, training=False), train)
        fit_head(head, torch.cat(features), torch.from_numpy(train.labels), finetune.head_penalty, self.class_weights)

    def _head(self) -> torch.nn.Linear:
        linear = [None, *(each for each in self.model.net.modules() if isinstance(each, torch.nn.Linear))]
        head, num_classes = linear[-1], self.setup.splits.train.num_classes
        if head is None or head.out_features != num_classes or head.bias is None:
            raise InvalidSetting(
                f"finetune.head_penalty={self.setup.recipe.finetune.head_penalty:g} is not possible: "  # type: ignore[union-attr]
                f"{self.setup.recipe.model} does not end in a linear layer with a bias. Begin at random: "
                "--set finetune.head_penalty=0"
            )
        return head

    def _require_shares(self) -> None:
        smallest, count, data_pruning = self.batch_size, self.workers.count, self.setup.recipe.data_pruning
        if data_pruning is not None:
            easy, kept = data_pruning.easy_and_kept(smallest)
            smallest += kept - easy
        if count > 1 and smallest < 2 * count:
            raise InvalidSetting(
                f"A batch of {smallest} images cannot be shared by {count} workers: each needs two for "
                "its batch norms. Start fewer, or take larger batches: --set batch_size=…"
            )


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


def _initial_model(setup: TrainingSetup) -> Classifier:
    """The model before its first step, on its device; fixed filters are set from training images."""
    model = setup.new_model()
    initialise = getattr(model.net, "init_whitening", None)
    if initialise is not None and setup.weights is None:
        train = setup.splits.train
        initialise(model.normalize(to_float(torch.from_numpy(train.images[train.evenly(_WHITENING_IMAGES)]))))
    placed: Classifier = model.to(setup.compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed
