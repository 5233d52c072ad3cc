"""A training that leaves no folder, timed in its three parts; as a process, also from a cold start.

python -m benchmarks.timed_training --data DIR --recipe sprint --seed 0
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from benchmarks.substitutes import dataset_in, substitutes
from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.catalog import RECIPES
from snellen.recipes.json_form import with_settings
from snellen.recipes.recipe import Recipe
from snellen.train.setup import prepare
from snellen.train.training import Training, train


@dataclass(frozen=True)
class TimedTraining:
    """A training that left no folder.

    Attributes:
        training: at its end.
        answers: to val images, or to the substitutes of a final training, whose accuracy means nothing.
        prepare_seconds: split, statistics, device, precision.
        train_seconds: initial weights to last step.
        evaluate_seconds: the answers, with the recipe's views.
    """

    training: Training
    answers: Predictions
    prepare_seconds: float
    train_seconds: float
    evaluate_seconds: float

    @property
    def seconds(self) -> float:
        """The warm clock: all three."""
        return self.prepare_seconds + self.train_seconds + self.evaluate_seconds


def train_timed(
    recipe: Recipe, dataset: Dataset, *, seed: int, final: bool, device: str, precision: str
) -> TimedTraining:
    """Prepare, train, evaluate; the device is waited for at each look at the clock."""
    started = time.perf_counter()
    setup = prepare(recipe, dataset, seed=seed, final=final, device=device, precision=precision)
    prepared = time.perf_counter()
    training = train(Training(setup))
    setup.compute.synchronize()
    trained = time.perf_counter()
    answers = answer(training, setup.splits.val or substitutes(dataset))
    return TimedTraining(training, answers, prepared - started, trained - prepared, time.perf_counter() - trained)


def answer(training: Training, images: LabeledImages) -> Predictions:
    """The graded model's answers with the recipe's views, in the precision it was trained in."""
    recipe, bf16 = training.setup.recipe, training.setup.compute.bf16
    return predict(training.graded, images, tta=recipe.tta, tta_fraction=recipe.tta_fraction, bf16=bf16)


def weights_sha256(model: nn.Module) -> str:
    """SHA-256 over names, shapes and bytes of all weights and buffers, in order.

    It is not the sum of a weights file, which `models.weights.weights_hash` gives: this one needs nothing but PyTorch.
    """
    digest = hashlib.sha256(b"snellen weights without a file\n")
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def main(arguments: Sequence[str]) -> int:
    """One final training from a cold start; prints its times as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.timed_training")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--letters", type=int, help="an eye chart of so many letters instead of CIFAR-10")
    parser.add_argument("--recipe", required=True, choices=sorted(RECIPES))
    parser.add_argument("--set", nargs="+", default=[], help="key=value: fields of the recipe to change")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    asked = parser.parse_args(arguments)
    recipe = with_settings(RECIPES[asked.recipe], asked.set)
    dataset = dataset_in(asked.data, letters=asked.letters)
    run = train_timed(recipe, dataset, seed=asked.seed, final=True, device=asked.device, precision="auto")
    print(json.dumps({"warm_part_seconds": run.seconds, "train_seconds": run.train_seconds}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
