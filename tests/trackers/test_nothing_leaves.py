"""A whole training with every tracker, on a machine where nothing can be reached and every attempt is heard."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.trackers.ear import Ear

from snellen.runs.run import open_run

for package in ("tensorboard", "wandb", "mlflow", "sqlalchemy"):
    pytest.importorskip(package, reason="pip install 'snellen[tensorboard,wandb,mlflow]'")

# Sockets of this process raise; W&B's own process, in Go, is led to the ear by the proxy's variables.
_GUARD = """
import socket, sys
attempts, connect = [], socket.socket.connect
def refuse(self, address):
    if self.family == getattr(socket, "AF_UNIX", None):
        return connect(self, address)  # how wandb talks to its own process
    attempts.append(address)
    raise OSError(f"nothing leaves this machine: {address}")
socket.socket.connect = socket.socket.connect_ex = refuse
"""
_TRAIN = """
from pathlib import Path
from snellen.data.eyechart import make_eyechart
from snellen.recipes.catalog import RECIPES
from snellen.train.fit import FitOptions, fit
recipe = RECIPES["glance"].replace(epochs=2, widths=(4, 8, 8), batch_size=64)
fit(recipe, make_eyechart(train=300, test=0), FitOptions(
    device="cpu", precision="fp32", runs=Path("runs"), name="run", track=sys.argv[1:]))
print("attempts", attempts)
"""
_CI = ("PYTEST_CURRENT_TEST", "CI", "GITHUB_ACTIONS", "DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY")  # silence telemetry
_SET = ("WANDB_", "MLFLOW_")


def run(code: str, ear: Ear, folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in _CI and not name.startswith(_SET)}
    environment = kept | ear.environment | {"HOME": str(folder), "OMP_NUM_THREADS": "1"} | more
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.processes
def test_a_training_with_all_local_trackers_reaches_for_nothing(ear: Ear, tmp_path: Path) -> None:
    done = run(_GUARD + _TRAIN, ear, tmp_path, "tensorboard", "wandb", "mlflow")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "attempts []\n"
    assert ear.heard == []
    trained = open_run(tmp_path / "runs" / "run")
    assert trained.info["status"] == "finished"
    assert "trackers_lost" not in trained.info
    assert list(trained.folder.glob("tensorboard/events.out.tfevents.*"))
    assert list(trained.folder.glob("wandb/offline-run-*/*.wandb"))
    assert (tmp_path / "runs" / "mlflow.db").stat().st_size > 100_000


@pytest.mark.processes
def test_the_guard_and_the_ear_can_hear(ear: Ear, tmp_path: Path) -> None:
    reach = "import urllib.request\ntry: urllib.request.urlopen('http://example.invalid/x')\nexcept OSError: pass\n"
    assert run(reach, ear, tmp_path).returncode == 0
    assert ear.heard == ["GET http://example.invalid/x HTTP/1.1"]
    guarded = run(_GUARD + reach + "print(attempts)", ear, tmp_path)
    assert "127.0.0.1" in guarded.stdout
    assert len(ear.heard) == 1


@pytest.mark.slow
def test_w_and_b_is_heard_when_it_is_asked_to_go_online(ear: Ear, tmp_path: Path) -> None:
    """The same proxy hears wandb's process, and a server that refuses does not end the training."""
    done = run("import sys; attempts = []\n" + _TRAIN, ear, tmp_path, "wandb:online", WANDB_API_KEY="0" * 40,
               WANDB_INIT_TIMEOUT="5", WANDB_BASE_URL="https://curves.invalid")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert any(line.startswith("CONNECT curves.invalid:443") for line in ear.heard)
    trained = open_run(tmp_path / "runs" / "run")
    assert trained.info["status"] == "finished"
    assert trained.info["trackers_lost"][0].startswith("wandb:online no longer follows run:")
