"""A clock that is set back between any two looks at it breaks nothing: what must be in order is not ordered by time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from snellen.data import catalog
from snellen.data import ledger as ledger_file
from snellen.data.dataset import Dataset
from snellen.data.ledger import Ledger
from snellen.evaluate.test_set import evaluate_on_test, ledger_of
from snellen.models.weights import weights_hash
from snellen.recipes.recipe import Recipe
from snellen.runs import environment
from snellen.runs.run import Run, open_run
from snellen.train.batches import Batch
from snellen.train.fit import FitOptions, fit, resume
from snellen.train.interrupt import Interrupted
from snellen.train.training import Training


@pytest.fixture
def backward(monkeypatch: pytest.MonkeyPatch) -> Callable[[], datetime]:
    """Every look at the wall clock is a day before the last one; the monotonic clock goes on, as kernels promise."""
    now = [datetime.now().astimezone()]

    class Backward(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            now[0] -= timedelta(days=1)
            return now[0].astimezone(tz)

    for module in (ledger_file, environment):
        monkeypatch.setattr(module, "datetime", Backward)
    monkeypatch.setattr(time, "time", lambda: Backward.now().timestamp())
    return Backward.now


def stopped_and_resumed(recipe: Recipe, dataset: Dataset, runs: Path, patch: pytest.MonkeyPatch, seed: int) -> Run:
    real, steps = Training.step, []

    def step(training: Training, batch: Batch) -> Any:
        steps.append(1)
        if len(steps) == 11:
            signal.raise_signal(signal.SIGTERM)
        return real(training, batch)

    patch.setattr(Training, "step", step)
    with pytest.raises(Interrupted):
        fit(recipe, dataset, FitOptions(device="cpu", precision="fp32", runs=runs, name=f"s{seed}", seed=seed))
    return resume(open_run(runs / f"s{seed}"), dataset)


def test_a_clock_that_runs_backward_changes_no_weight_no_order_and_no_count(
    tmp_path: Path,
    tiny_recipe: Recipe,
    tiny_dataset: Dataset,
    finished_run: Run,
    monkeypatch: pytest.MonkeyPatch,
    backward: Callable[[], datetime],
) -> None:
    monkeypatch.setitem(catalog._LOADERS, "eyechart", lambda data, download, progress: tiny_dataset)
    before = backward()
    runs = [stopped_and_resumed(tiny_recipe, tiny_dataset, tmp_path / "runs", monkeypatch, seed) for seed in (0, 1)]
    assert backward() < before - timedelta(days=2)
    assert weights_hash(runs[0]) == weights_hash(finished_run)
    for run in runs:
        assert [row["epoch"] for row in run.journal.rows()] == [1, 2]
        assert all(row["seconds"] >= 0 and row["images_per_second"] > 0 for row in run.journal.rows())
        assert run.info["seconds"] >= 0

    ledger = ledger_of(runs[0])
    looks = [evaluate_on_test([run], ledger, reason="backward") for run in (*runs, runs[0])]
    assert [(look.number, look.repeated) for look in looks] == [(1, False), (2, False), (1, True)]
    times = [line.content["time"] for line in ledger.lines()]
    assert times == sorted(times, reverse=True)
    assert len(times) == 4
    assert ledger.problems() == []

    merged = Ledger(tmp_path / "merged.jsonl")
    assert merged.merge(ledger) == 4
    assert [line.hash for line in merged.lines()] == [line.hash for line in ledger.lines()]
    assert merged.problems() == []
