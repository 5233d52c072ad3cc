"""Several trainings in one process, for `benchmarks.to_accuracy`: the first one is cold, the others are warm.

After the first, each waits for a line on stdin, so that another process can have its turn in between.

python -m benchmarks.seeds --dataset cifar10 --recipe sprint --seeds 3 --runs runs/bench
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.script import say
from benchmarks.substitutes import substitutes
from snellen.data.catalog import load
from snellen.data.dataset import Dataset
from snellen.errors import SnellenError
from snellen.models.weights import restore
from snellen.predict.predict import predict
from snellen.recipes.catalog import find_recipe
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.train.fit import FitOptions, fit


def train_and_grade(
    recipe: Recipe, dataset: Dataset, *, seed: int, final: bool, device: str, precision: str, runs: Path
) -> dict[str, Any]:
    """One warm run: prepare, train, evaluate with the recipe's views.

    A final training leaves no val images. It then answers as many training images as the test set has, to pay for the
    evaluation; the answers are thrown away, and the test set stays sealed.

    Returns:
        Seed, seconds in all, seconds of the evaluation where it was separate, run folder, accuracies on val or None.
    """
    started = time.perf_counter()
    run = fit(recipe, dataset, FitOptions(seed=seed, final=final, device=device, precision=precision, runs=runs))
    fitted = time.perf_counter()
    if final:
        _answer_substitutes(run, recipe, dataset)
    ended = time.perf_counter()
    val = run.info.get("val")
    return {
        "seed": seed,
        "seconds": ended - started,
        "evaluation_seconds": ended - fitted if final else None,
        "run": str(run.folder),
        "precision": run.info["precision"],
        "device": run.info["device"],
        "accuracy": val["accuracy"]["value"] if val else None,
        "accuracy_tta": val["tta"]["accuracy"]["value"] if val and "tta" in val else None,
    }


def _answer_substitutes(run: Run, recipe: Recipe, dataset: Dataset) -> None:
    predict(
        restore(run, torch.device(run.info["device"])),
        substitutes(dataset),
        tta=recipe.tta,
        tta_fraction=recipe.tta_fraction,
        bf16=run.info["precision"] == "bf16",
    )


def main(arguments: Sequence[str]) -> int:
    """Train seed 0, 1, … and print one JSON line after each; the next begins when a line comes in."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seeds")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--final", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--runs", type=Path, required=True)
    asked = parser.parse_args(arguments)
    try:
        recipe, dataset = find_recipe(asked.recipe), load(asked.dataset, data=asked.data)
        precision = "auto"
        for seed in range(asked.seeds):
            if seed > 0 and not sys.stdin.readline():
                break
            line = train_and_grade(
                recipe, dataset, seed=seed, final=asked.final, device=asked.device, precision=precision, runs=asked.runs
            )  # fmt: skip
            print(json.dumps(line), flush=True)
            precision = line["precision"]  # measured once: runs that differ in it are no seeds of one recipe
    except SnellenError as error:
        return say(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
