"""A network, a transform and an optimizer from a file of one's own: trained, killed, resumed, exported, reported.

Real processes, as a user has them; nothing of the package is changed for it but the built-in letters made fewer, and
checkpoints more frequent.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import snellen
from snellen.data.eyechart import make_eyechart
from snellen.models.weights import weights_hash
from snellen.predict.predictions import Predictions
from snellen.runs.run import open_run

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(snellen.__file__).resolve().parents[1]  # the Snellen that is under test, which may be a copy

MINE = """
import os, signal, torch
from torch import nn
import snellen

@snellen.register("model", "tiny")
class Tiny(nn.Module):
    def __init__(self, image_shape, num_classes, *, width=4):
        super().__init__()
        self.conv = nn.Conv2d(image_shape[2], width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(4 * width, num_classes)
    def forward(self, images):
        return self.head(nn.functional.adaptive_avg_pool2d(self.norm(self.conv(images)).relu(), 2).flatten(1))

calls = 0
def noise(images, *, seed, most=8):
    global calls
    calls += 1
    if calls == int(os.environ.get("DIE_AT", -1)):
        os.kill(os.getpid(), signal.SIGKILL)
    drawn = torch.Generator().manual_seed(seed)
    added = torch.randint(-most, most + 1, images.shape, generator=drawn)
    return (images.int() + added).clamp(0, 255).to(torch.uint8)

class Signs(torch.optim.Optimizer):
    def __init__(self, params, lr, beta=0.5):
        super().__init__(params, {"lr": lr, "beta": beta})
    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                mean.lerp_(p.grad, 1 - group["beta"])
                p.add_(mean.sign(), alpha=-group["lr"])
"""
DRIVER = """
from snellen.cli.main import entry
from snellen.data import catalog
from snellen.data.eyechart import make_eyechart
from snellen.train import recorder
recorder._CHECKPOINT_SECONDS = 0.0
catalog._LOADERS["eyechart"] = lambda: make_eyechart(seed=0, train=300, test=60)
if __name__ == "__main__":
    entry()
"""
SETTINGS = [
    "--set", "model=code/mine.py:Tiny(width=5)", "augment.before=code/mine.py:noise(most=4)", "optimizer.kind=torch",
    "optimizer.name=code/mine.py:Signs(beta=0.7)", "optimizer.lr=0.01", "epochs=3", "batch_size=60",
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text(MINE, encoding="utf-8")
    (tmp_path / "driver.py").write_text(DRIVER, encoding="utf-8")
    return tmp_path


def ran(place: Path, *words: str, die_at: int = -1, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "DIE_AT": str(die_at)}
    command = [sys.executable, *launcher, str(place / "driver.py"), *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.processes
def test_own_parts_train_are_killed_resume_to_the_bit_export_and_show_in_the_report(place: Path) -> None:
    begin = ("train", "eyechart", "--recipe", "mlp", "--device", "cpu", "--precision", "fp32", *SETTINGS)
    whole = ran(place, *begin, "--name", "whole")
    assert whole.returncode == 0, whole.stderr
    killed = ran(place, *begin, "--name", "killed", die_at=8)  # of 15 steps
    assert killed.returncode == -signal.SIGKILL
    (place / "code" / "mine.py").rename(place / "mine.py")  # and the file has moved since
    resumed = ran(place, "train", "--resume", "runs/killed", "--code", "mine.py")
    assert resumed.returncode == 0, resumed.stderr
    one, other = open_run(place / "runs" / "whole"), open_run(place / "runs" / "killed")
    assert weights_hash(one) == weights_hash(other)
    clocks = {"seconds", "images_per_second"}
    rows = [[{k: v for k, v in row.items() if k not in clocks} for row in run.journal.rows()] for run in (one, other)]
    assert rows[0] == rows[1]
    answered = [Predictions.load(run.folder / "predictions_val.npz").logits for run in (one, other)]
    assert np.array_equal(*answered)

    exported = ran(place, "export", "runs/killed", "--to", "onnx", "--code", "mine.py", "--json")
    assert exported.returncode == 0, exported.stderr
    assert list(other.folder.rglob("*.onnx"))
    reported = ran(place, "report", "runs/killed", "--code", "mine.py")
    assert reported.returncode == 0, reported.stderr
    assert "mine.py:Tiny(width=5)" in (other.folder / "report.html").read_text(encoding="utf-8")
    refused = ran(place, "export", "runs/killed")
    assert refused.returncode != 0
    assert "--code PATH/mine.py" in refused.stderr


@pytest.mark.processes
def test_a_registered_name_needs_its_file_to_predict_and_says_so(place: Path) -> None:
    named = ("--recipe", "mlp", "--set", "model=tiny", "epochs=1", "batch_size=60", "--name", "named")
    trained = ran(place, "train", "eyechart", "--code", "code/mine.py", *named)
    assert trained.returncode == 0, trained.stderr
    Image.new("RGB", (32, 32)).save(place / "black.png")
    answered = ran(place, "predict", "runs/named", "black.png", "--code", "code/mine.py", "--json")
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout)
    refused = ran(place, "predict", "runs/named", "black.png")
    assert refused.returncode != 0
    assert "Unknown model 'tiny'" in refused.stderr
    assert "--code FILE.py" in refused.stderr


@pytest.mark.usefixtures("own_parts_forgotten")
def test_scikit_learns_classifier_takes_references(place: Path) -> None:
    pytest.importorskip("sklearn")
    letters = make_eyechart(0, train=100, test=0).train
    settings = {"model": f"{place}/code/mine.py:Tiny(width=3)", "augment.before": [f"{place}/code/mine.py:noise"]}
    found = snellen.SnellenClassifier("mlp", epochs=1, settings=settings, device="cpu")
    assert found.fit(letters.images, letters.labels).predict(letters.images[:5]).shape == (5,)
    assert found.recipe_.model == "mine.py:Tiny(width=3)"
    assert found.model_.net.conv.out_channels == 3


@pytest.mark.torchrun
def test_two_processes_share_a_training_of_own_parts(place: Path) -> None:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    begin = ("train", "eyechart", "--recipe", "mlp", "--device", "cpu", "--precision", "fp32", *SETTINGS)
    shared = ran(place, *begin, "--name", "shared", launcher=launcher)
    assert shared.returncode == 0, shared.stderr
    assert open_run(place / "runs" / "shared").info["status"] == "finished"
