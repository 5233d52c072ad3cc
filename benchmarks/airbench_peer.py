"""airbench94_muon on the CPU, as a peer of `benchmarks.to_accuracy`: the published file itself, not a copy of it.

    git clone https://github.com/KellerJordan/cifar10-airbench && git -C cifar10-airbench checkout f1c599c
    AIRBENCH=cifar10-airbench/airbench94_muon.py SNELLEN_DATA=DIR python -m benchmarks.to_accuracy --recipe sprint \\
        --peer benchmarks/airbench_peer.py …

The file is run with CUDA's calls answered by the CPU: fp32 weights and images under bf16 autocast in place of fp16, no
compilation, a reader of ours in place of torchvision's. It grades itself on test after every epoch; here only once, at
its end, with its six views, on as many images of train, so that test stays sealed: its accuracy is not asked for.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snellen.data.cifar10 import as_pictures, unpickled

TEST_IMAGES = 10_000


class Cifar10:
    """What the file asks of torchvision's data set; in place of test the first images of train."""

    def __init__(self, root: str, *, download: bool, train: bool) -> None:
        folder = Path(os.environ["SNELLEN_DATA"]) / "cifar-10-batches-py"
        names = [f"data_batch_{number}" for number in range(1, 6)]
        batches = [unpickled((folder / name).read_bytes(), name=name) for name in names]
        pixels = as_pictures(np.concatenate([each[b"data"] for each in batches]))
        count = len(pixels) if train else TEST_IMAGES
        self.data = np.ascontiguousarray(pixels[:count])
        self.targets = [label for each in batches for label in each[b"labels"]][:count]
        self.classes = [str(number) for number in range(10)]


class Normalize:
    """torchvision's transform of the same name: (B, 3, H, W) less `mean`, over `std`."""

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean, self.std = mean.view(-1, 1, 1), std.view(-1, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        """A copy."""
        return images.sub(self.mean).div_(self.std)


def on_the_cpu() -> None:
    """Let the CPU answer what the file asks of CUDA, torchvision and the compiler."""
    vision, datasets, transforms = (
        ModuleType(name) for name in ("torchvision", "torchvision.datasets", "torchvision.transforms")
    )
    datasets.CIFAR10, transforms.Normalize = Cifar10, Normalize  # type: ignore[attr-defined]
    vision.datasets, vision.transforms = datasets, transforms  # type: ignore[attr-defined]
    sys.modules |= {each.__name__: each for each in (vision, datasets, transforms)}
    load = torch.load
    torch.load = lambda path, **_: load(path, weights_only=True)
    torch.compile = lambda function: function  # type: ignore[assignment]
    Tensor.half = Tensor.float  # type: ignore[method-assign]
    nn.Module.half = nn.Module.float  # type: ignore[method-assign]
    clock = SimpleNamespace(record=lambda: None, elapsed_time=lambda _: 0.0)
    torch.cuda.Event = lambda **_: clock  # type: ignore[assignment, misc]
    torch.cuda.synchronize = lambda *_: None


def main() -> int:
    """Train, print one JSON line with the seconds, and again for each line on stdin."""
    file = Path(os.environ["AIRBENCH"]).resolve()
    on_the_cpu()
    sys.argv[0] = str(file)  # it reads its own source
    found = importlib.util.spec_from_file_location(file.stem, file)
    assert found is not None
    assert found.loader is not None
    airbench: Any = importlib.util.module_from_spec(found)
    found.loader.exec_module(airbench)
    evaluate, network = airbench.evaluate, airbench.CifarNet
    airbench.evaluate = lambda model, loader, tta_level=0: evaluate(model, loader, tta_level) if tta_level else 0.0
    # Around each call, not around the training: a context keeps the bf16 copies of the weights that it made.
    network.forward = torch.autocast("cpu", torch.bfloat16)(network.forward)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("cifar10").mkdir()
        while True:
            started = time.perf_counter()
            with redirect_stdout(sys.stderr):
                airbench.main(0, network().to(memory_format=torch.channels_last))
            seconds = time.perf_counter() - started
            print(json.dumps({"name": file.stem, "seconds": seconds, "precision": "bf16"}), flush=True)
            if not sys.stdin.readline():
                return 0


if __name__ == "__main__":
    sys.exit(main())
