"""The training loop alone: no run folder, no journal, no checkpoint, no pictures, nothing but PyTorch and NumPy.

This is what a training costs when nobody writes anything down, the clock by which speed records are kept, and what
runs on a machine that has PyTorch and little else. A test holds it equal to `train.loop`, to the bit.

    python -m snellen.bench.bare_training --data DIR --recipe sprint --seed 0
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from snellen.augment.batched import resize_side, to_float
from snellen.bench.substitutes import dataset_in, stand_ins
from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.models.memory import return_freed_memory
from snellen.models.normalized import Classifier
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.catalog import RECIPES
from snellen.recipes.json_form import with_settings
from snellen.recipes.recipe import Recipe
from snellen.train.average import Lookahead, moving_average
from snellen.train.freezing import apply_freezing, trainable_names
from snellen.train.optimizers import build_optimizers
from snellen.train.schedules import lr_fraction
from snellen.train.setup import TrainingSetup, prepare
from snellen.train.step import update

_WHITENING_IMAGES = 1_000  # as train.loop


@dataclass(frozen=True)
class BareRun:
    """A training that left no folder.

    Attributes:
        model: trained, on its device.
        job: what it was trained on.
        answers: to val images, or to the stand-ins of a final training, whose accuracy means nothing.
        prepare_seconds: split, statistics, device, precision.
        train_seconds: initial weights to last step.
        evaluate_seconds: the answers, with the recipe's views.
    """

    model: Classifier
    job: TrainingSetup
    answers: Predictions
    prepare_seconds: float
    train_seconds: float
    evaluate_seconds: float

    @property
    def seconds(self) -> float:
        """The warm clock: all three."""
        return self.prepare_seconds + self.train_seconds + self.evaluate_seconds


def run_bare(recipe: Recipe, dataset: Dataset, *, seed: int, final: bool, device: str, precision: str) -> BareRun:
    """Prepare, train, evaluate; the device is waited for at each look at the clock."""
    started = time.perf_counter()
    job = prepare(recipe, dataset, seed=seed, final=final, device=device, precision=precision)
    prepared = time.perf_counter()
    model = train_bare(job)
    job.placement.synchronize()
    trained = time.perf_counter()
    answers = answer(model, job, job.splits.val or stand_ins(dataset))
    return BareRun(model, job, answers, prepared - started, trained - prepared, time.perf_counter() - trained)


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


def answer(model: Classifier, job: TrainingSetup, images: LabeledImages) -> Predictions:
    """The model's answers with the recipe's views, in the precision it was trained in."""
    recipe = job.recipe
    bf16 = job.placement.precision == "bf16"
    return predict(model, images, tta=recipe.tta, tta_fraction=recipe.tta_fraction, bf16=bf16)


def _initial_model(job: TrainingSetup) -> Classifier:
    model = job.new_model()
    initialise = getattr(model.net, "init_whitening", None)
    if initialise is not None and job.weights is None:
        train = job.splits.train
        at = np.linspace(0, len(train) - 1, min(_WHITENING_IMAGES, len(train)), dtype=int)
        initialise(model.normalize(to_float(torch.from_numpy(train.images[at]))))
    return model.to(job.placement.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def main(arguments: Sequence[str]) -> int:
    """One final training from a cold start; prints its times as JSON."""
    parser = argparse.ArgumentParser(prog="python -m snellen.bench.bare_training")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--letters", type=int, help="an eye chart of so many letters instead of CIFAR-10")
    parser.add_argument("--recipe", required=True, choices=sorted(RECIPES))
    parser.add_argument("--set", nargs="+", default=[], help="key=value: fields of the recipe to change")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args(arguments)
    recipe = with_settings(RECIPES[asked.recipe], asked.set)
    dataset = dataset_in(asked.data, letters=asked.letters)
    run = run_bare(recipe, dataset, seed=asked.seed, final=True, device=asked.device, precision="auto")
    print(json.dumps({"warm_part_seconds": run.seconds, "train_seconds": run.train_seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
