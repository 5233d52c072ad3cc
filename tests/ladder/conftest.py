"""A ladder of two rungs trained once for all tests, and results made by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snellen.data.dataset import Dataset
from snellen.ladder.run import plan_ladder, run_ladder
from snellen.ladder.rungs import Ladder, Plan, Rung, preset, with_shared_settings
from snellen.ladder.verdict import SeedResult
from snellen.metrics.intervals import Rate
from snellen.show import figures

TINY = ("epochs=2", "batch_size=64", "widths=[4,4,4,4]", "tta=none")


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take longer than tiny trainings; tests/evaluate looks at them."""
    monkeypatch.setattr(figures, "save_png", lambda figure, path: None)


@pytest.fixture(scope="session")
def tiny_rungs() -> tuple[Rung, ...]:
    """The lesson's lower two rungs, two epochs of a network of four channels each."""
    return with_shared_settings(preset("lesson")[:2], TINY)


@pytest.fixture(scope="session")
def up(tiny_dataset: Dataset) -> Callable[..., Plan]:
    """Run a ladder on the tiny eye chart."""

    def run(folder: Path, rungs: Sequence[Rung], seeds: int = 1, **changes: Any) -> Plan:
        placed = {"device": "cpu", "precision": "fp32"} | {
            name: changes.pop(name) for name in ("device", "precision") if name in changes
        }
        with pytest.MonkeyPatch.context() as patch:  # also for the fixture that outlives a test
            patch.setattr(figures, "save_png", lambda figure, path: None)
            plan = plan_ladder(Ladder("tiny", tuple(rungs)), tiny_dataset, folder, seeds=seeds, **placed)
            return run_ladder(plan, tiny_dataset, **changes)

    return run


@pytest.fixture(scope="session")
def finished_ladder(
    tmp_path_factory: pytest.TempPathFactory, tiny_rungs: tuple[Rung, ...], up: Callable[..., Plan]
) -> Plan:
    """A finished ladder, two seeds, shared by all tests: read it, never write to it."""
    return up(tmp_path_factory.mktemp("ladders") / "ladder-tiny", tiny_rungs, 2)


@pytest.fixture
def own_ladder(tmp_path: Path, finished_ladder: Plan) -> Plan:
    """A copy of `finished_ladder` in this test's own folder `runs`."""
    folder = tmp_path / "runs" / "ladder-tiny"
    shutil.copytree(finished_ladder.folder, folder)
    return replace(finished_ladder, folder=folder)


@pytest.fixture(scope="session")
def made() -> Callable[..., tuple[SeedResult, ...]]:
    """Results of a rung by hand: val accuracies in percent of 1,000 images, one per seed; None is a diverged run."""

    def build(name: str, *percents: float | None, start: str = "same") -> tuple[SeedResult, ...]:
        return tuple(
            SeedResult(
                run=f"{name}-s{seed}",
                seed=seed,
                accuracy=None if percent is None else Rate(round(10 * percent), 1000),
                last_accuracy=None if percent is None else percent / 100 - 0.01,
                best_epoch=2,
                initial_weights=f"{start}{seed}".ljust(64, "0"),
                seconds=60.0,
            )
            for seed, percent in enumerate(percents)
        )

    return build
