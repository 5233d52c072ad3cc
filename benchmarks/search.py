"""Does `snellen tune` find a learning rate no worse than that of `snellen lr`, killed once on its way, here and on Ray?

The set is small: 1,200 built-in letters, of which a tenth is val. Both rates and the recipe's own are then trained with
seeds that had no part in either choice.

    python -m benchmarks.search --out search.json [--engine ray]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from snellen.data.catalog import load
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.evaluate.val import evaluate_on_val
from snellen.ladder.run import plan_ladder, run_ladder
from snellen.ladder.rungs import Ladder, Rung
from snellen.metrics.intervals import mean_over_seeds
from snellen.recipes.catalog import find_recipe
from snellen.recipes.json_form import with_settings
from snellen.recipes.recipe import Recipe
from snellen.runs.environment import describe_environment
from snellen.runs.run import open_run
from snellen.serialize import to_json
from snellen.train.lr_finder import range_test
from snellen.train.setup import prepare
from snellen.tune.search import Search, search

SPACE, TRIALS, SEEDS = ("optimizer.lr=log:1e-3:1",), 20, 3
SETTINGS = ("epochs=6", "batch_size=32", "widths=[8,8,16,16]", "optimizer.lr=0.001", "tta=none")


def letters(folder: Path) -> Dataset:
    """The small set, as a file that workers read too."""
    path = folder / "letters.npz"
    if not path.exists():
        made = make_eyechart(0, train=1_200, test=60).train
        np.savez(path, images=made.images, labels=made.labels)
    return load(str(path))


def recipe() -> Recipe:
    """Begins at a rate that is too low."""
    return with_settings(find_recipe("small_cnn"), SETTINGS)


def found_in(folder: Path, engine: Any) -> Search:
    """The search as far as it has not been made."""
    return search(
        recipe(), SPACE, letters(folder.parent), folder, trials=TRIALS, confirm=SEEDS, device="cpu", on=engine
    )


def killed(folder: Path, engine: str, out: Path) -> int:
    """Begin the search in a process of its own and kill -9 it; returns how many trials had begun by then."""
    command = [sys.executable, "-m", "benchmarks.search", "--only", str(folder), "--engine", engine, "--out", str(out)]
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None and len(list(folder.glob("trial-*"))) < TRIALS // 3:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return len(list(folder.glob("trial-*")))


def main() -> None:
    """Search, compare, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--only", type=Path)
    asked = parser.parse_args()
    if asked.only:
        found_in(asked.only, asked.engine)
        return
    base = recipe()
    usual = with_settings(base, ["optimizer.lr=0.1"])  # what small_cnn has: a range test looks around it
    with tempfile.TemporaryDirectory(prefix="snellen-search-") as work:
        data = letters(Path(work))
        lr = range_test(prepare(usual, data, seed=0, device="cpu")).suggestion(usual)["optimizer.lr"]
        folder, started = Path(work) / "tune-letters", time.monotonic()
        begun = killed(folder, asked.engine, asked.out)
        found = found_in(folder, asked.engine)
        seconds, best = time.monotonic() - started, found.best
        assert best is not None
        rungs = [
            Rung("recipe", base),
            Rung("lr", with_settings(base, [f"optimizer.lr={lr}"]), 0),
            Rung("tune", best, 0),
        ]
        plan = plan_ladder(Ladder("rates", tuple(rungs)), data, Path(work) / "ladder-rates", seeds=SEEDS, device="cpu")
        run_ladder(plan, data, reuse=[path for path in folder.glob("fresh-*") if path.is_dir()])
        val: dict[str, list[float]] = {}
        for rung in rungs:
            runs = [open_run(plan.folder / plan.run_name(rung, seed)) for seed in plan.seeds]
            val[rung.name] = [float(evaluate_on_val(run).correct.mean()) for run in runs]
        record = {
            "what": __doc__.partition("\n")[0] if __doc__ else "",
            "environment": describe_environment(),
            "engine": asked.engine,
            "settings": SETTINGS,
            "space": SPACE,
            "killed_after_trials_begun": begun,
            "seconds": round(seconds, 1),
            "rates": {"recipe": 0.001, "lr": lr, "tune": best.optimizer.lr},  # type: ignore[union-attr]
            "fresh_seeds": {name: {"val": each, "words": str(mean_over_seeds(each))} for name, each in val.items()},
            "search": to_json(found),
        }
        asked.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
