"""A refactoring leaves the weights of a seeded training unchanged to the bit: hashes of trainings made before it.

Kernels differ from processor to processor, and with them the last bits, so each hash stands under the machine that it
was made on; elsewhere there is nothing to compare with, and the test says so. To add a machine, check out a commit
whose bits are right and run there: python -m tests.train.test_same_bits
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import snellen
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.recipes.recipe import Average, DataPruning, Freeze, Resolution, Schedule
from snellen.runs.run import open_run
from snellen.train.fit import resume
from snellen.train.interrupt import Interrupted

KNOWN = Path(__file__).with_name("same_bits.json")
# `sprint` as it was when the hashes were made: a change of the recipe is no refactoring.
_FORMER: dict[str, Any] = {
    "widths": (),
    "schedule": Schedule(shape="linear", tail_fraction=0.375 / 11.3, floor=0.05),
    "resolutions": (Resolution(side=24, until=0.338), Resolution(side=28, until=0.676)),
    "freezes": (Freeze(prefix="net.whiten.bias", after=0.2 / 11.3),),
    "data_pruning": DataPruning(easiest=0.6, skip=0.5, after=0.1, until=0.95),
    "average": Average(after=0.9375, every_steps=4, weight=0.3),
    "ema_decay": 0.0,
}
CASES: dict[str, dict[str, Any]] = {
    "sprint, 2 epochs": {"recipe": "sprint", "images": 5_000, "precision": "bf16", "epochs": 2, **_FORMER},
    "small_cnn": {"recipe": "small_cnn", "images": 1_500, "precision": "fp32", "epochs": 2},
    "small_cnn, resumed": {"recipe": "small_cnn", "images": 1_500, "precision": "fp32", "epochs": 2},
    "resnet18, a quarter of its width": {
        "recipe": "resnet18", "images": 1_000, "precision": "fp32", "epochs": 1, "widths": [16, 32, 64, 128],
    },
}  # fmt: skip


def machine() -> str:
    """What the last bits depend on: processor, what PyTorch makes of it, version, threads."""
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    lines = dict(line.split(":", 1) for line in described.split("\n\n")[0].splitlines() if ":" in line)
    found = {key.strip(): value.strip() for key, value in lines.items()}
    processor = " ".join(found.get(key, "?") for key in ("vendor_id", "cpu family", "model")) or platform.processor()
    capability = torch.backends.cpu.get_cpu_capability()
    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        capability += f" ONEDNN_MAX_CPU_ISA={os.environ['ONEDNN_MAX_CPU_ISA']}"
    threads = torch.get_num_threads()
    return f"{processor} {capability} torch {torch.__version__} {threads} thread{'' if threads == 1 else 's'}"


def trained_hash(case: str, folder: Path) -> str:
    """SHA-256 over the trained weights, name by name."""
    wanted = dict(CASES[case])
    dataset = make_eyechart(seed=0, train=wanted.pop("images"), test=10)
    precision = wanted.pop("precision")
    recipe = snellen.recipe(wanted.pop("recipe"), **wanted)
    if case.endswith("resumed"):
        run_folder = _interrupted(recipe, dataset, folder, precision)
        resume(open_run(run_folder), dataset)
    else:
        run_folder = snellen.fit(recipe, dataset, seed=3, precision=precision, runs=folder, quiet=True).folder
    weights = load_file(run_folder / "weights.safetensors")
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode() + b"\0" + weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _interrupted(recipe: snellen.Recipe, dataset: Dataset, folder: Path, precision: str) -> Path:
    """A run stopped by Ctrl-C as soon as its journal or checkpoint could be there, somewhere in its first half."""
    stop = threading.Timer(2.0, os.kill, (os.getpid(), signal.SIGINT))
    stop.start()
    try:
        snellen.fit(recipe, dataset, seed=3, precision=precision, runs=folder, quiet=True)
    except (Interrupted, KeyboardInterrupt):
        pass
    finally:
        stop.cancel()
    (run_folder,) = (path.parent for path in folder.glob("*/run.json"))
    if json.loads((run_folder / "run.json").read_text(encoding="utf-8"))["status"] == "finished":
        pytest.skip("the training was over before it could be interrupted")
    return run_folder


@pytest.mark.parametrize(
    "case", ["small_cnn", *(pytest.param(case, marks=pytest.mark.long) for case in CASES if case != "small_cnn")]
)
def test_a_seeded_training_ends_in_the_same_bits_as_before_the_refactoring(case: str, tmp_path: Path) -> None:
    known = json.loads(KNOWN.read_text(encoding="utf-8"))
    if machine() not in known:
        pytest.skip(f"no hashes were made on this machine ({machine()}); the docstring says how")
    assert trained_hash(case, tmp_path) == known[machine()][case]


def test_two_seeds_do_not_end_in_the_same_bits(tmp_path: Path) -> None:
    dataset = make_eyechart(seed=0, train=200, test=10)
    recipe = replace(snellen.recipe("small_cnn", epochs=1), batch_size=64)
    runs = [snellen.fit(recipe, dataset, seed=seed, runs=tmp_path, quiet=True, precision="fp32") for seed in (0, 1)]
    first, second = (load_file(run.folder / "weights.safetensors") for run in runs)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def main() -> int:
    """Add this machine's hashes to the file."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    known = json.loads(KNOWN.read_text(encoding="utf-8")) if KNOWN.exists() else {}
    made = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            made[case] = trained_hash(case, Path(folder))
        print(case, made[case], file=sys.stderr)
    known[machine()] = made
    KNOWN.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
