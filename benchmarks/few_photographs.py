"""What `--folds` says of a few photographs, held against many that were kept apart.

    python -m benchmarks.few_photographs FLOWERS --each 10 --seeds 0 1 2 --out results/accuracy/NAME.json

FLOWERS has train/ and val/. So many pictures of each class are taken from train, other ones for each seed, and trained
with `--folds 5`; the run of all of them then answers the whole of val. The commands are those that a user types.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from snellen.bench.protocol import conditions_here
from snellen.runs.atomic import write_json
from snellen.serialize import to_json


def told(*command: str | Path) -> Any:
    """What a verb prints with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "snellen", *map(str, command), "--json"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def few_of(train: Path, each: int, seed: int, place: Path) -> None:
    """Copy `each` pictures of each class, drawn by the seed."""
    rng = np.random.default_rng(seed)
    for label in sorted(path for path in train.iterdir() if path.is_dir()):
        (place / label.name).mkdir(parents=True)
        pictures = sorted(label.iterdir())
        for at in rng.choice(len(pictures), each, replace=False):
            shutil.copy(pictures[at], place / label.name)


def main(arguments: Sequence[str]) -> int:
    """Measure, and write what was measured after each seed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.few_photographs")
    parser.add_argument("flowers", type=Path)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as place:
            few, runs = Path(place) / "few", Path(place) / "runs"
            few_of(given.flowers / "train", given.each, seed, few)
            trained = told("train", few, "--folds", "5", "--seed", str(seed), "--runs", runs, "--name", "few")
            graded = told("evaluate", runs / "few-final", "--on", given.flowers / "val")
            many = {name: graded[name]["accuracy"] for name in ("plain", "with_tta")}
            rows.append({"seed": seed, "folds": trained["cross_validation"], "many": many})
        print(rows[-1], flush=True)
        about = {"folder": given.flowers.name, "each": given.each, "conditions": to_json(conditions_here())}
        write_json(given.out, {"what": "--folds 5 of a few photographs, beside many kept apart", **about, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
