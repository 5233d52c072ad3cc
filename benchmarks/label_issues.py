"""Wrong labels planted on purpose: how many are found, beside cleanlab on the same answers.

    python -m benchmarks.label_issues ./flowers cifar10 --out FILE.json

For each data set, 5 % of the labels of train and val are replaced, uniformly by any other class, or by the neighbour:
the class that pictures of this one are taken for most often. Then all pictures are answered out of fold, as `snellen
doctor DATA --labels` does, and ranked. At as many pictures as were planted, precision and recall are one number. Labels
that were wrong before count as errors of the search. Of more than 5,000 pictures an evenly spread 5,000 are taken.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.script import say
from snellen.data.catalog import load
from snellen.data.default_recipe import default_recipe
from snellen.data.labeled_images import LabeledImages
from snellen.errors import SnellenError
from snellen.metrics.label_issues import label_issues, log_odds
from snellen.paths import user_path
from snellen.predict.predictions import Predictions
from snellen.runs.atomic import write_json
from snellen.runs.environment import describe_environment, redact_paths
from snellen.train.out_of_fold import out_of_fold, published_features

MOST = 5_000
SHARE = 0.05
_KINDS = ("uniform", "neighbour")
Labels = NDArray[np.int64]


def neighbours(answers: Predictions) -> Labels:
    """(K,) int64: for each class, the one that its pictures are taken for most often."""
    classes = len(answers.class_names)
    taken = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(taken, (answers.labels, answers.predicted), 1)
    np.fill_diagonal(taken, -1)
    return np.asarray(taken.argmax(axis=1), dtype=np.int64)


def planted(images: LabeledImages, kind: str, neighbour: Labels, seed: int) -> tuple[LabeledImages, NDArray[np.bool_]]:
    """The pictures with some wrong labels, and (N,) bool, which."""
    rng, labels = np.random.default_rng(seed), images.labels.copy()
    at = rng.permutation(len(images))[: round(SHARE * len(images))]
    classes = images.num_classes
    other = (labels[at] + rng.integers(1, classes, len(at))) % classes
    labels[at] = other if kind == "uniform" else neighbour[labels[at]]
    wrong = np.zeros(len(images), dtype=bool)
    wrong[at] = True
    return replace(images, labels=labels), wrong


def found_at_top(scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> float:
    """Precision, which is also recall, of as many of the lowest scores as there are wrong labels."""
    return float(wrong[np.argsort(scores, kind="stable")[: int(wrong.sum())]].mean())


def listed(rows: NDArray[np.int64], wrong: NDArray[np.bool_]) -> dict[str, Any]:
    """Size, precision and recall of a list of doubted labels."""
    hits = int(wrong[rows].sum())
    precision = round(hits / len(rows), 4) if len(rows) else None
    return {"listed": len(rows), "precision": precision, "recall": round(hits / int(wrong.sum()), 4)}


def judged(answers: Predictions, wrong: NDArray[np.bool_]) -> dict[str, Any]:
    """Ours and cleanlab's on the same answers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    labels, probabilities = answers.labels, answers.probabilities
    ranks = {"snellen": found_at_top(log_odds(answers), wrong)}
    for method in ("self_confidence", "normalized_margin"):
        scores = get_label_quality_scores(labels, probabilities, method=method)
        ranks[f"cleanlab, {method}"] = found_at_top(scores, wrong)
    lists = {"snellen": listed(label_issues(answers).index, wrong)}
    for method in ("prune_by_noise_rate", "confident_learning"):
        doubted = np.flatnonzero(find_label_issues(labels, probabilities, filter_by=method, n_jobs=1))
        lists[f"cleanlab, {method}"] = listed(doubted.astype(np.int64), wrong)
    return {"at_the_number_planted": {name: round(value, 4) for name, value in ranks.items()}, "lists": lists}


def measured(name: str, seeds: int, device: str) -> dict[str, Any]:
    """All of one data set, JSON-able."""
    images = load(name, side=default_recipe(name).recipe.side).train
    images = images.take(images.evenly(MOST), "all")
    started, busy = time.monotonic(), time.process_time()
    features = published_features(images, device=device)
    seconds = [round(time.monotonic() - started, 1), round(time.process_time() - busy, 1)]
    busy = time.process_time()
    clean = out_of_fold(images, features)
    fit, neighbour = round(time.process_time() - busy, 1), neighbours(clean)
    found: dict[str, Any] = {
        "images": len(images),
        "planted": round(SHARE * len(images)),
        "accuracy_as_labelled": round(float(clean.correct.mean()), 4),
        "features_seconds_and_processor_seconds": seconds,
        "folds_processor_seconds": fit,
    }
    for kind in _KINDS:
        rows = []
        for seed in range(seeds):
            given, wrong = planted(images, kind, neighbour, seed)
            rows.append({"seed": seed, **judged(out_of_fold(given, features), wrong)})
            print(name, kind, rows[-1], flush=True)
        tops = [row["at_the_number_planted"] for row in rows]
        mean = {method: round(float(np.mean([top[method] for top in tops])), 4) for method in tops[0]}
        found[kind] = {"mean_at_the_number_planted": mean, "seeds": rows}
    return found


def main(arguments: list[str]) -> int:
    """Measure each data set and write all of it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_issues", description="Planted wrong labels.")
    parser.add_argument("data", nargs="+", help="cifar10, or a folder of class folders")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", required=True)
    parsed = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    try:
        for name in parsed.data:
            results[user_path(name).name] = measured(name, parsed.seeds, parsed.device)
            environment = describe_environment()
            environment.pop("command")  # of the product's own verbs
            command = "python -m benchmarks.label_issues " + redact_paths(" ".join(arguments))
            about = {"what": __doc__.partition("\n")[0], "command": command, "environment": environment}
            write_json(user_path(parsed.out), {**about, "data": results})
    except SnellenError as error:
        return say(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
