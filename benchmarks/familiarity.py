"""How well is a picture of none of the classes told from val's? The product's score beside others, on other sets.

    python -m benchmarks.familiarity runs/A runs/B … --unknown ants=FOLDER flowers=FOLDER letters cifar10 --out OUT.json

Known are a run's val pictures, unknown the pictures of each set that is not its own. For every score the area under
the ROC curve (AUROC: how often an unknown picture has the larger score than a known one; 0.5 is chance) with its
95 % interval (Hanley and McNeil 1982), and which share of the unknown is beyond the distance that 1 % of val is beyond.
`letters` are the eye chart's, `cifar10` training pictures of CIFAR-10; both become as large as the run takes them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.script import say
from snellen.data import cifar10
from snellen.data.eyechart import make_eyechart
from snellen.data.image_folder import pictures_in
from snellen.data.labeled_images import LabeledImages
from snellen.data.pictures import Picture, PictureForm
from snellen.data.run_images import images_of
from snellen.errors import SnellenError
from snellen.models.fuse import FastClassifier, optimize_for_inference
from snellen.models.weights import restore
from snellen.predict.familiarity import Familiarity, direction, features_heard, some_of_each
from snellen.predict.own_pictures import unlabeled
from snellen.predict.predict import predict
from snellen.runs.atomic import write_json
from snellen.runs.environment import describe_environment, redact_paths
from snellen.runs.run import Run, open_run

Seen = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Features (N, D) and logits (N, K)."""
Score = Callable[[Seen], NDArray[np.float64]]


def scores(train: Seen, labels: NDArray[np.int64], val: Seen) -> dict[str, Score]:
    """Each score by name, larger for what is less like the training pictures; fitted on training pictures."""
    found: dict[str, Score] = {}
    ours = Familiarity(_roots(train[0]).astype(np.float16), np.zeros(1, dtype=np.float32))
    found["ours"] = lambda seen: ours.distances(seen[0].astype(np.float32)).astype(np.float64)
    for name, form in (("cosine", _unit), ("cosine of fourth roots", _roots)):
        for nearest in (1, 5, 10):
            found[f"{name}, {nearest} nearest"] = _cosine(train[0], form, nearest)
    found["Mahalanobis"], found["relative Mahalanobis"] = _mahalanobis(train[0], labels)
    found["energy"] = lambda seen: -_log_sum(seen[1])
    found["largest softmax"] = lambda seen: _log_sum(seen[1]) - seen[1].max(axis=1)
    return found


def _cosine(train: NDArray[np.float64], form: Callable[[Any], Any], nearest: int) -> Score:
    known = form(train)
    return lambda seen: np.asarray(1 - np.sort(form(seen[0]) @ known.T, axis=1)[:, -nearest])


def _mahalanobis(train: NDArray[np.float64], labels: NDArray[np.int64]) -> tuple[Score, Score]:
    means = np.stack([train[labels == label].mean(axis=0) for label in np.unique(labels)])
    own = means[np.searchsorted(np.unique(labels), labels)]
    within, all_of_them = _precision(train - own), _precision(train - train.mean(axis=0))

    def to_class(seen: Seen) -> NDArray[np.float64]:
        return np.asarray(np.min([_squared(seen[0] - mean, within) for mean in means], axis=0))

    return to_class, lambda seen: to_class(seen) - _squared(seen[0] - train.mean(axis=0), all_of_them)


def _precision(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    from sklearn.covariance import ledoit_wolf

    return np.linalg.pinv(ledoit_wolf(centred, assume_centered=True)[0])


def _squared(rows: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.einsum("nd,de,ne->n", rows, precision, rows))


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12))


def _roots(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return direction(torch.from_numpy(rows)).numpy().astype(np.float64)


def _log_sum(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))


def auroc(known: NDArray[np.float64], unknown: NDArray[np.float64]) -> dict[str, float]:
    """Area under the ROC curve of a score that should be larger on `unknown`, with its 95 % interval."""
    n, m = len(known), len(unknown)
    below, not_above = (np.searchsorted(np.sort(known), unknown, side=side).sum() for side in ("left", "right"))
    area = float(below + not_above) / 2 / (n * m)
    first, second = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (m - 1) * (first - area**2) + (n - 1) * (second - area**2)) / (n * m)
    half = 1.96 * max(0.0, variance) ** 0.5
    return {"auroc": round(area, 4), "low": round(max(0.0, area - half), 4), "high": round(min(1.0, area + half), 4)}


def measured(run: Run, unknown: dict[str, list[Picture]], count: int, seed: int) -> dict[str, Any]:
    """Every score of one run on every set, JSON-able."""
    parts, draw = images_of(run), np.random.default_rng(seed)
    assert parts.val is not None, "a final run has no val"
    # Fused and in bf16, which is twenty times as fast here as fp32 and moves the scores by its rounding.
    model = optimize_for_inference(restore(run), bf16=True)
    kept = parts.train.take(some_of_each(parts.train.labels, seed), role=parts.train.role)
    judged = parts.val.take(np.sort(draw.permutation(len(parts.val))[:count]), role="val")
    train, val = _seen(model, kept), _seen(model, judged)
    result: dict[str, Any] = {"recipe": run.recipe.name, "training_pictures": len(kept), "val_pictures": len(judged)}
    form, names, candidates = (
        PictureForm.of_run(run.info["data"]),
        parts.train.class_names,
        scores(train, kept.labels, val),
    )
    for name, pictures in unknown.items():
        chosen = [pictures[at] for at in draw.permutation(len(pictures))[:count]]
        others = _seen(model, unlabeled([form.pixels(picture) for picture in chosen], names))
        result[name] = {"n": len(chosen)}
        for title, score in candidates.items():
            known, new = score(val), score(others)
            beyond = float((new > np.sort(known)[min(len(known), int(np.ceil(0.99 * (len(known) + 1)))) - 1]).mean())
            result[name][title] = {**auroc(known, new), "told_apart": round(beyond, 3)}
            print(f"{run.name:16} {name:10} {title:32} {result[name][title]}", flush=True)
    return result


def _seen(model: FastClassifier, images: LabeledImages) -> Seen:
    with features_heard(model) as heard:
        answers = predict(model, images)
    return torch.cat(heard).numpy().astype(np.float64), answers.logits.astype(np.float64)


def _pictures(named: str, count: int, seed: int) -> tuple[str, list[Picture]]:
    name, _, folder = named.partition("=")
    if name == "letters":
        return name, list(make_eyechart(seed=seed, train=count, test=10).train.images)
    if name == "cifar10":
        return name, list(cifar10.read(cifar10.PUBLISHED.find()).train.images[:: 50_000 // count])
    return name, list(pictures_in(Path(folder)))


def main(arguments: list[str]) -> int:
    """Measure each run on each set and write all of it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.familiarity", description="Like nothing it has seen.")
    parser.add_argument("runs", type=Path, nargs="+", help="finished run folders with val pictures")
    parser.add_argument("--unknown", nargs="+", required=True, help="letters, cifar10, or NAME=FOLDER")
    parser.add_argument("--count", type=int, default=300, help="pictures of each set, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parsed = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    try:
        sets = dict(_pictures(named, parsed.count, parsed.seed) for named in parsed.unknown)
        for path in parsed.runs:
            run = open_run(path)
            others = {name: pictures for name, pictures in sets.items() if not run.name.startswith(name)}
            results[run.name] = measured(run, others, parsed.count, parsed.seed)
            environment = describe_environment()
            environment.pop("command")  # of the product's own verbs
            command = "python -m benchmarks.familiarity " + redact_paths(" ".join(arguments))
            about = {"command": command, "seed": parsed.seed, "environment": environment}
            write_json(parsed.out, {"what": __doc__.partition("\n")[0], **about, "runs": results})
    except SnellenError as error:
        return say(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
