"""A training to follow, and an ear for whatever wants to leave this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.trackers.ear import Ear

from snellen.data.dataset import Dataset
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.train import fit as fitting


@pytest.fixture
def ear() -> Iterator[Ear]:
    with Ear() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> Callable[..., Run]:
    """Train the tiny recipe in this test's folder `runs`, with options of `fit`; without pictures."""
    for name in ("curves_png", "draw_grades"):
        monkeypatch.setattr(fitting, name, lambda *_, **__: None)

    def train(**options: Any) -> Run:
        settings = {"device": "cpu", "precision": "fp32", "runs": tmp_path / "runs", "name": "run"} | options
        return fitting.fit(tiny_recipe, tiny_dataset, fitting.FitOptions(**settings))

    return train
