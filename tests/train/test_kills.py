"""kill -9 at random moments of a real training; whoever resumes it sees no difference."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snellen.models.weights import weights_hash
from snellen.runs.run import Run

_TRAIN = """
import sys
from pathlib import Path
from snellen.data.eyechart import make_eyechart
from snellen.recipes.catalog import RECIPES
from snellen.runs.run import open_run
from snellen.train import recorder
from snellen.train.fit import fit, resume
recorder._CHECKPOINT_SECONDS = 0.0
runs, name = Path(sys.argv[1]), sys.argv[2]
dataset = make_eyechart(train=300, test=0)
recipe = RECIPES["glance"].replace(epochs=12, widths=(4, 8, 8), batch_size=32)
print("ready", flush=True)
if (runs / name / "run.json").exists():
    resume(open_run(runs / name), dataset)
else:
    fit(recipe, dataset, device="cpu", precision="fp32", runs=runs, name=name)
"""


@pytest.mark.slow
def test_three_kills_at_random_moments_change_no_bit(tmp_path: Path) -> None:
    def command(name: str) -> list[str]:
        return [sys.executable, "-c", _TRAIN, str(tmp_path), name]

    def ready(process: subprocess.Popen[str]) -> float:
        """When the process has imported everything and begins to train."""
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return time.monotonic()

    with subprocess.Popen(command("whole"), stdout=subprocess.PIPE, text=True) as whole:
        began = ready(whole)
        assert whole.wait(300) == 0
        seconds = time.monotonic() - began
    seed = int(began * 1000) % 2**32
    print(f"seed {seed}")  # shown where the test fails
    moments, kills = random.Random(seed), 0
    while kills < 3:
        with subprocess.Popen(command("killed"), stdout=subprocess.PIPE, text=True) as process:
            ready(process)
            try:
                assert process.wait(moments.uniform(0.0, 0.6 * seconds)) == 0
                break  # it came to its end before the kill
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
    assert kills > 0
    if Run(tmp_path / "killed").info["status"] != "finished":
        assert subprocess.run(command("killed"), stdout=subprocess.DEVNULL, check=False).returncode == 0
    one, other = Run(tmp_path / "whole"), Run(tmp_path / "killed")
    assert weights_hash(one) == weights_hash(other)
    clocks = {"seconds", "images_per_second"}
    rows = [[{k: v for k, v in row.items() if k not in clocks} for row in run.journal.rows()] for run in (one, other)]
    assert rows[0] == rows[1]
    assert one.info["val"] == other.info["val"]
