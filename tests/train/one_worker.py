"""One process of a shared training on 300 letters: torchrun starts it twice.

    torchrun --nproc-per-node 2 tests/train/one_worker.py RECIPE.json RUNS [kill|term RANK STEP]

With `kill` or `term` that worker gets SIGKILL or SIGTERM at that update, unless torchrun has started it again.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from snellen.data.eyechart import make_eyechart
from snellen.errors import SnellenError
from snellen.recipes.json_form import read_recipe
from snellen.train import recorder
from snellen.train.batches import Batch
from snellen.train.fit import FitOptions, fit
from snellen.train.interrupt import Interrupted
from snellen.train.training import Training


def main(recipe: str, runs: str, signal_name: str = "", rank: str = "0", step: str = "0") -> int:
    """Train; returns the exit code."""
    recorder._CHECKPOINT_SECONDS = 0.0  # after every step
    real, calls = Training.step, []

    def step_and_stop(training: Training, batch: Batch) -> Any:
        loss = real(training, batch)
        calls.append(1)
        mine = os.environ.get("RANK", "0") == rank and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
        if signal_name and mine and len(calls) == int(step):
            os.kill(os.getpid(), signal.SIGKILL if signal_name == "kill" else signal.SIGTERM)
        return loss

    Training.step = step_and_stop  # type: ignore[method-assign]
    letters = make_eyechart(seed=0, train=300, test=60)
    try:
        run = fit(
            read_recipe(Path(recipe)), letters, FitOptions(device="cpu", precision="fp32", runs=Path(runs), name="run")
        )
    except Interrupted as stopped:
        return stopped.exit_code
    except SnellenError as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    print(run.info["status"], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
