"""Fixtures shared by all rooms."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings
from tests.report.chromium import chromium_path, launch, without_browser

from snellen import parts
from snellen.data import catalog
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import SGD, Augment, Recipe, Schedule
from snellen.runs.run import Run

pytest_plugins = ("tests.own_process",)

# For the hunt for mutants: that a test fails is enough, the smallest example is not looked for.
settings.register_profile("hunt", phases=(Phase.explicit, Phase.generate))


def pytest_configure() -> None:
    """One thread for every test, also in the processes they start: tiny tensors only wait for the second one."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if find_spec("torch") is None:  # a newer Python without a build of it: what needs none is tested all the same
        return
    import torch
    from tests.models.foreign import let_torchvision_import

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    let_torchvision_import()  # before torchmetrics, which imports it where it is installed


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261124)


@pytest.fixture(scope="session")
def cifar10_folder() -> Path:
    """The real CIFAR-10 python batches, or a skip that says where they were looked for."""
    root = os.environ.get("SNELLEN_DATA", "")
    for folder in (Path(root), Path(root) / "cifar-10-batches-py"):
        if root and (folder / "data_batch_1").is_file():
            return folder.resolve()
    pytest.skip(f"CIFAR-10 is not in SNELLEN_DATA={root!r}")


@pytest.fixture
def few_images(rng: np.random.Generator) -> LabeledImages:
    """60 random 32x32 RGB pictures of three classes, 20 each."""
    return LabeledImages(
        images=rng.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8),
        labels=np.repeat(np.arange(3, dtype=np.int64), 20),
        class_names=("ant", "bee", "cat"),
        ids=np.arange(60, dtype=np.int64),
        role="all",
        name="few",
    )


@pytest.fixture(scope="session")
def tiny_dataset() -> Dataset:
    """An eye chart of 300 letters to learn from and 60 under seal."""
    return make_eyechart(seed=0, train=300, test=60)


@pytest.fixture
def small_eyechart(monkeypatch: pytest.MonkeyPatch, tiny_dataset: Dataset) -> None:
    """Inside this process, the data set called "eyechart" is `tiny_dataset`."""
    monkeypatch.setitem(catalog._LOADERS, "eyechart", lambda: tiny_dataset)


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe with something of everything that trains in a blink: 8 steps an epoch, two epochs."""
    return Recipe(
        name="tiny",
        model="small_cnn",
        widths=(4, 4, 8, 8),
        epochs=2,
        batch_size=32,
        augment=Augment(crop_pixels=2, flip="random", brightness=0.2, contrast=0.2, saturation=0.2),
        optimizer=SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
        schedule=Schedule(shape="cosine", warmup_fraction=0.1),
        label_smoothing=0.1,
    )


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, tiny_dataset: Dataset, tiny_recipe: Recipe) -> Run:
    """A finished run of `tiny_recipe` on `tiny_dataset`, seed 0, shared by all tests: read it, never write to it."""
    from snellen.train.fit import FitOptions, fit

    return fit(
        tiny_recipe,
        tiny_dataset,
        FitOptions(device="cpu", precision="fp32", runs=tmp_path_factory.mktemp("shared-runs")),
    )


@pytest.fixture
def own_run(tmp_path: Path, finished_run: Run) -> Run:
    """A copy of `finished_run` in this test's own folder `runs`."""
    folder = tmp_path / "runs" / "tiny"
    shutil.copytree(finished_run.folder, folder)
    return Run(folder)


@pytest.fixture
def right_from(own_run: Run) -> float:
    """The probability from which `own_run` is made to be right, and below it wrong: that of its middle val answer."""
    val = Predictions.load(own_run.folder / "predictions_val.npz")
    probable = val.probabilities.max(axis=1)
    middle = np.sort(probable)[len(val) // 2]
    labels = np.where(probable >= middle, val.predicted, (val.predicted + 1) % 10)  # as if right where it is sure
    replace(val, labels=labels).save(own_run.folder / "predictions_val.npz")
    own_run.update_info(val={"accuracy": {"hits": int((labels == val.predicted).sum()), "n": len(val), "value": 0.5}})
    return float(middle)


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 64 KiB, with a file `old` on it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    try:
        (disk / "old").write_bytes(b"old")
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        without_browser("playwright is not installed: pip install playwright")
    if chromium_path() is None:
        without_browser("chromium is not installed: apt-get install chromium")
    with sync_playwright() as running:
        browser = launch(running)
        yield browser
        browser.close()


@pytest.fixture
def expect() -> Callable[[Any], Any]:
    """Playwright's `expect`, which waits for a state, however busy the machine is."""
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)
    return expect


@pytest.fixture
def own_parts_forgotten() -> Iterator[None]:
    """Nothing that a test allows, registers or hands over outlives it."""
    kept = [(table, dict(table)) for table in (parts._ALLOWED, parts._GIVEN, *parts._REGISTERED.values())]
    yield
    for table, before in kept:
        table.clear()
        table.update(before)
