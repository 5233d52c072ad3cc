"""A ladder on a local Ray of two workers: the same table as here, also when one of them is killed."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.mixed_pictures import write_folder

from snellen.data.catalog import load
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.folder_dataset import ImageOptions
from snellen.errors import DataError, RunError, UsageError
from snellen.ladder import engines
from snellen.ladder.results import read_results, results_json
from snellen.ladder.run import plan_ladder, run_ladder
from snellen.ladder.rungs import Ladder, Plan, Rung, preset, with_shared_settings
from snellen.runs.run import Run
from snellen.show import figures
from snellen.train.interrupt import Interrupted
from snellen.tune.search import search

if not find_spec("ray"):
    pytest.skip("Ray is an extra: pip install 'snellen[ray]'", allow_module_level=True)

# Ray does not wait for all the processes it has started; those of a start that failed are collected at any moment.
pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

EPOCHS = 24
SETTINGS = (f"epochs={EPOCHS}", "batch_size=32", "widths=[4,4,4,4]", "tta=none")


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    """240 letters of the eye chart as files, which every process loads by itself."""
    folder = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        write_folder(make_eyechart(0, train=240, test=0).train, folder / "letters", kinds=("rgb.png",))
        yield load(str(folder / "letters"), options=ImageOptions(32))


@pytest.fixture(scope="module")
def rungs() -> tuple[Rung, ...]:
    return with_shared_settings(preset("lesson")[:2], SETTINGS)


@pytest.fixture(scope="module")
def two_workers(letters: Dataset) -> Iterator[None]:
    """A Ray with two processors; a ladder takes the connection that is there."""
    ray, started = engines._library(own=True), []
    try:
        with TemporaryDirectory(
            prefix="snellen-ray-", ignore_cleanup_errors=True
        ) as folder:  # sockets want short paths
            engines.start(ray, folder, processors=2)
            yield
            started = [one for one in gc.get_objects() if type(one) is subprocess.Popen and "ray" in str(one.args)]
            ray.shutdown()
    finally:
        for process in started:  # Ray does not wait for the last of them, and Python warns of that at a later moment
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def ladder_here(tmp_path_factory: pytest.TempPathFactory, rungs: tuple[Rung, ...], letters: Dataset) -> Plan:
    return up(tmp_path_factory.mktemp("here") / "ladder-tiny", rungs, letters, on="local")


def up(folder: Path, rungs: tuple[Rung, ...], letters: Dataset, **where: Any) -> Plan:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save_png", lambda figure, path: None)  # in this process; a worker draws them
        plan = plan_ladder(Ladder("tiny", rungs), letters, folder, seeds=2, device="cpu", precision="fp32")
        return run_ladder(plan, letters, **where)


def table(plan: Plan) -> Any:
    """All that a ladder shows but time and place."""

    def timeless(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: timeless(value) for key, value in content.items() if key not in ("seconds", "folder")}
        return [timeless(item) for item in content] if isinstance(content, list) else content

    return timeless(json.loads(json.dumps(results_json(read_results(plan)))))


def epochs_done(run: Path) -> int:
    rows = run / "metrics.jsonl"
    return len(rows.read_text().splitlines()) if rows.exists() else 0


def trainers_of(run: Path) -> list[int]:
    """Processes that hold the lock of a run."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                held = {os.readlink(one) for one in (process / "fd").iterdir()}
            except OSError:  # it ended meanwhile
                continue
            if str(run / ".lock") in held:
                found.append(int(process.name))
    return found


def kill_in_the_middle(folder: Path, killed: list[tuple[str, int]], over: threading.Event) -> None:
    """Wait for a run that is between its first and its last epoch, and kill -9 the worker that trains it."""
    while not killed and not over.wait(0.01):
        for run in folder.glob("*-s*"):
            done = epochs_done(run)
            if 2 <= done < EPOCHS // 2 and len(trainers := trainers_of(run)) == 1:
                os.kill(trainers[0], signal.SIGKILL)
                killed.append((run.name, done))
                break


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="who trains a run is read from /proc")
def test_a_killed_worker_loses_no_run_and_counts_none_twice(
    tmp_path: Path, rungs: tuple[Rung, ...], letters: Dataset, ladder_here: Plan, two_workers: None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder, killed, over = tmp_path / "runs" / "ladder-tiny", [], threading.Event()
    hunter = threading.Thread(target=kill_in_the_middle, args=(folder, killed, over))
    hunter.start()
    try:
        plan = up(folder, rungs, letters, on="ray", quiet=False)
    finally:
        over.set()
        hunter.join()
    ((name, epochs),) = killed
    assert 2 <= epochs < EPOCHS
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("(cpu, fp32, 2 at once)")
    assert [line[:6] for line in lines[1:]] == ["[1/4] ", "[2/4] ", "[3/4] ", "[4/4] "]
    runs = sorted(path.parent.name for path in folder.glob("*/run.json"))
    assert runs == sorted(plan.run_name(rung, seed) for rung in rungs for seed in (0, 1))
    for run in runs:
        rows = Run(folder / run).journal.rows()
        assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1)), run
    assert Run(folder / name).info["status"] == "finished"
    assert table(plan) == table(ladder_here)


def test_a_search_on_two_workers_gives_weak_trials_up_and_compares_the_best(
    tmp_path: Path, rungs: tuple[Rung, ...], letters: Dataset, two_workers: None
) -> None:
    pytest.importorskip("optuna", reason="Optuna is an extra: pip install 'snellen[tune]'")
    recipe = rungs[0].recipe
    options: dict[str, Any] = {"trials": 10, "confirm": 1, "device": "cpu", "precision": "fp32", "on": "ray"}
    found = search(recipe, ["optimizer.lr=log:1e-7:0.2"], letters, tmp_path / "tune-tiny", **options)
    states = [trial.state for trial in found.trials]
    assert len(states) == 10
    assert set(states) <= {"finished", "given up"}
    assert states.count("finished") >= 5
    for trial in found.trials:
        rows, status = epochs_done(found.folder / trial.run), Run(found.folder / trial.run).info["status"]
        assert (rows == EPOCHS, status) == ((True, "finished") if trial.state == "finished" else (False, "interrupted"))
    assert found.accuracy is not None
    assert found.accuracy.best_of == sum(trial.looks for trial in found.trials)
    again = search(recipe, ["optimizer.lr=log:1e-7:0.2"], letters, tmp_path / "tune-tiny", **options)
    assert (again.trials, again.best) == (found.trials, found.best)


def test_what_is_done_is_not_trained_again_and_needs_no_ray(
    ladder_here: Plan, rungs: tuple[Rung, ...], letters: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "_library", lambda **_: pytest.fail("Ray was asked for"))
    assert table(up(ladder_here.folder, rungs, letters, on="ray")) == table(ladder_here)


@pytest.mark.slow
def test_a_stop_makes_the_workers_save_and_the_same_call_goes_on(
    tmp_path: Path, rungs: tuple[Rung, ...], letters: Dataset, ladder_here: Plan, two_workers: None
) -> None:
    folder = tmp_path / "ladder-tiny"

    def stop_in_the_middle() -> None:
        while not any(2 <= epochs_done(run) < EPOCHS // 2 for run in folder.glob("*-s*")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_in_the_middle, daemon=True).start()
    with pytest.raises(Interrupted) as stopped:
        up(folder, rungs, letters, on="ray")
    assert stopped.value.exit_code == 143
    states = [Run(path.parent).info["status"] for path in folder.glob("*/run.json")]
    assert "interrupted" in states
    assert "training" not in states
    assert table(up(folder, rungs, letters, on="ray")) == table(ladder_here)


# In a worker, called here


def in_worker(plan: Plan, letters: Dataset, **changes: Any) -> Any:
    about = json.dumps(letters.read_as)
    return engines._train_in_worker(replace(plan, **changes), plan.rungs[0], 0, about, (), (["snellen"], ()))


def test_a_machine_that_does_not_see_the_runs_says_so(ladder_here: Plan, letters: Dataset, tmp_path: Path) -> None:
    answer = in_worker(ladder_here, letters, folder=tmp_path / "elsewhere")
    assert isinstance(answer, RunError)
    assert f"does not see {tmp_path / 'elsewhere'}. Put --runs on a file system that all" in str(answer)


def test_a_machine_with_other_images_trains_nothing(ladder_here: Plan, letters: Dataset) -> None:
    answer = in_worker(ladder_here, letters, fingerprints=("0" * 64, "1" * 64))
    assert isinstance(answer, DataError)
    assert "has other images of letters" in str(answer)


def test_two_workers_never_train_one_run(ladder_here: Plan, letters: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_LOCK_SECONDS", 0.1)
    name = ladder_here.run_name(ladder_here.rungs[0], 0)
    with engines.FileLock(ladder_here.folder / f".{name}.lock"):
        answer = in_worker(ladder_here, letters)
    assert isinstance(answer, RunError)
    assert f"{name} is in use by another process" in str(answer)


def test_a_cluster_without_the_device_is_refused(two_workers: None) -> None:
    with (
        pytest.raises(UsageError, match="has no GPU, and each run is to be trained on cuda"),
        engines.workers_of(None, "cuda"),
    ):
        pass
