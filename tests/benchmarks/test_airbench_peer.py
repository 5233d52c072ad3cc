"""The published file of a peer, run on the CPU: here one of the same shape, a few steps long."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PUBLISHED = """
import os, sys
with open(sys.argv[0]) as f:
    code = f.read()
import torch
from torch import nn
import torchvision
import torchvision.transforms as T

@torch.compile
def double(x):
    return 2 * x

class CifarNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.half()
    def forward(self, x):
        return self.conv(x).mean((2, 3))

def evaluate(model, loader, tta_level=0):
    print("judged", tta_level, len(loader.images), code.count("judged"))
    return 1.0

class Loader:
    def __init__(self, train):
        data = torchvision.datasets.CIFAR10("cifar10", download=True, train=train)
        torch.save({"images": torch.tensor(data.data), "labels": torch.tensor(data.targets)}, "cifar10/data.pt")
        found = torch.load("cifar10/data.pt", map_location=torch.device("cuda"))
        self.images = T.Normalize(torch.zeros(3), torch.ones(3))(found["images"].half().permute(0, 3, 1, 2) / 255)

def main(run, model):
    torch.cuda.Event(enable_timing=True).record()
    assert model.conv.weight.dtype == torch.float32
    train, test = Loader(True), Loader(False)
    before = model(train.images[:8])
    assert before.dtype == torch.bfloat16
    with torch.no_grad():
        model.conv.weight.mul_(3)
        model.conv.bias.mul_(3)
    after = model(train.images[:8])
    print("followed" if torch.allclose(after, 3 * before, rtol=0.05, atol=0.05) else "stale", int(double(1)))
    return evaluate(model, test), evaluate(model, test, tta_level=2)
"""


@pytest.fixture
def cifar10(tmp_path: Path) -> Path:
    """Five batches of four images each, in the published form."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(1, 6):
        batch = {b"data": rng.integers(0, 256, (4, 3072), dtype=np.uint8), b"labels": [0, 1, 2, 3]}
        (folder / f"data_batch_{number}").write_bytes(pickle.dumps(batch, protocol=2))
    return tmp_path


@pytest.mark.processes
def test_the_published_file_trains_on_the_cpu_and_sees_its_own_weights_change(cifar10: Path, tmp_path: Path) -> None:
    published = tmp_path / "published.py"
    published.write_text(PUBLISHED, encoding="utf-8")
    peer = Path(__file__).parents[2] / "benchmarks" / "airbench_peer.py"
    told = subprocess.run(
        [sys.executable, str(peer)],
        input="\n",  # a second training is asked for, no third
        env=os.environ | {"AIRBENCH": str(published), "SNELLEN_DATA": str(cifar10)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert told.returncode == 0, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [line["name"] for line in lines] == ["published", "published"]
    assert all(line["seconds"] > 0 for line in lines)
    # Graded once a training, with its views, on images of train; weights in bf16 are made anew for each call.
    assert told.stderr.splitlines() == 2 * ["followed 2", "judged 2 20 2"]
