"""Near-copies between CIFAR-10's train and test: by pixels, as `snellen doctor` looks for them, or by features?

    python -m benchmarks.near_copies LIST.csv --features FOLDER --out results/accuracy/NAME.json

LIST.csv is the published list (docs/gotchas.md), made by another network's features and judged by eye. What is flagged
beyond it may be a copy all the same, so precision is a lower bound. Features are those of the network that `doctor
--labels` asks. They take half an hour, are kept in FOLDER piece by piece, and `--pieces N` stops after N of them. No
label and no answer of the test set is read. Thresholds are those at which as many pictures are flagged.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.data.cifar10 import PUBLISHED, as_pictures, read, unpickled
from snellen.guards.copies import find_near_duplicates
from snellen.paths import user_path
from snellen.predict.familiarity import direction
from snellen.predict.own_pictures import unlabeled
from snellen.runs.atomic import write_bytes, write_json
from snellen.runs.environment import describe_environment
from snellen.train.out_of_fold import published_features

_PIECE = 5_000
_AT_ONCE = 500


def features_of(pixels: NDArray[np.uint8], folder: Path, name: str, pieces: int) -> tuple[NDArray[np.float32], int]:
    """(N, D) features, from the folder as far as they are there; and how many pieces more may be made."""
    found = []
    for start in range(0, len(pixels), _PIECE):
        path, some = folder / f"{name}-{start}.f32", pixels[start : start + _PIECE]
        if not path.exists():
            if pieces == 0:
                raise SystemExit(f"{path.name} is not there yet: once more, please.")
            pieces -= 1
            write_bytes(path, published_features(unlabeled(list(some), ("none", "other")), device="cpu").tobytes())
            print(path.name, flush=True)
        found.append(np.fromfile(path, dtype=np.float32).reshape(len(some), -1))
    return np.concatenate(found), pieces


def nearest(train: torch.Tensor, test: torch.Tensor) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each row of test the row of train with the largest cosine, and that; both of length one."""
    best = [(some @ train.T).max(dim=1) for some in torch.split(test, _AT_ONCE)]
    return torch.cat([each.indices for each in best]).numpy(), torch.cat([each.values for each in best]).numpy()


def judged(flagged: NDArray[np.int64], partners: NDArray[np.int64], known: dict[int, int]) -> dict[str, Any]:
    """Test pictures that were flagged, with the train picture of each, held against the list."""
    hits = [(test, partner) for test, partner in zip(flagged.tolist(), partners.tolist(), strict=True) if test in known]
    return {
        "flagged": len(flagged),
        "on_the_list": len(hits),
        "with_the_same_partner": sum(known[test] == partner for test, partner in hits),
        "precision_at_least": round(len(hits) / max(1, len(flagged)), 4),
        "recall": round(len(hits) / len(known), 4),
    }


def measured(table: Path, folder: Path, pieces: int) -> dict[str, Any]:
    """Both ways, at as many flagged pictures, and for what share of the list features have to flag how many."""
    with table.open(newline="", encoding="utf-8") as file:
        known = {int(row["TestID"]): int(row["TrainID"]) for row in csv.DictReader(file)}
    place = PUBLISHED.find()
    train = read(place).train.images
    # The pixels alone, past the seal: as for the list itself, nothing is asked of a label.
    test = as_pictures(unpickled((place / "test_batch").read_bytes(), name="test_batch")[b"data"])
    of_train, pieces = features_of(train, folder, "train", pieces)
    of_test, _ = features_of(test, folder, "test", pieces)
    pixels = find_near_duplicates(train, test)
    found: dict[str, Any] = {"listed": len(known), "pixels": judged(pixels.queries, pixels.references, known)}
    as_they_are = [torch.nn.functional.normalize(torch.from_numpy(each), dim=1) for each in (of_train, of_test)]
    rooted = [direction(torch.from_numpy(each)) for each in (of_train, of_test)]
    for name, (base, asked) in (("features", as_they_are), ("features, fourth roots", rooted)):
        partners, cosines = nearest(base, asked)
        order = np.argsort(-cosines, kind="stable")
        lists = []
        for count in (100, 200, 286, len(pixels.queries), 500, 1_000, 2_000):
            top = order[:count]
            lists.append({"least_cosine": round(float(cosines[top[-1]]), 4), **judged(top, partners[top], known)})
        both = np.union1d(pixels.queries, order[: len(pixels.queries)])
        found[name] = {"lists": lists, "together_with_pixels": judged(both, partners[both], known)}
    return found


def main(arguments: list[str]) -> int:
    """Measure and write it down; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.near_copies")
    parser.add_argument("list")
    parser.add_argument("--features", required=True)
    parser.add_argument("--pieces", type=int, default=-1)
    parser.add_argument("--out", required=True)
    parsed = parser.parse_args(arguments)
    found = measured(user_path(parsed.list), user_path(parsed.features), parsed.pieces)
    environment = describe_environment()
    environment.pop("command")  # of the product's own verbs
    what = {
        "what": __doc__.partition("\n")[0],
        "command": "python -m benchmarks.near_copies LIST.csv --features FOLDER",
    }
    write_json(user_path(parsed.out), {**what, "environment": environment, **found})
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
