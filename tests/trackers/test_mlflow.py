"""MLflow's own client finds the journal in the database beside the runs, each step once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.trackers.curves import curves

from snellen.runs.run import Run
from snellen.trackers.callbacks import send
from snellen.trackers.tracker import Target, make

for package in ("mlflow", "sqlalchemy", "alembic"):
    pytest.importorskip(package, reason="MLflow is not installed: pip install 'snellen[mlflow]'")

# MLflow 3.17 asks SQLAlchemy 2.1 for a way of loading that is deprecated there.
pytestmark = pytest.mark.filterwarnings("ignore:.*noload.*:DeprecationWarning")


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all its tables and nothing in them: making one takes seconds."""
    import os

    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Path:
    (tmp_path / "runs").mkdir(exist_ok=True)
    return Path(shutil.copy(empty_database, tmp_path / "runs" / "mlflow.db"))


@pytest.fixture
def stored(database: Path) -> Callable[[], Any]:
    """The only run in the database, as MLflow's client gives it, and the client."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")

    def read() -> Any:
        experiment = client.get_experiment_by_name("snellen")
        assert experiment is not None
        (run,) = client.search_runs([experiment.experiment_id])
        return client, run

    return read


def history(client: Any, run: Any) -> dict[str, list[tuple[int, float]]]:
    names = [name for name in run.data.metrics if not name.startswith("result/")]
    return {
        name: sorted((one.step, one.value) for one in client.get_metric_history(run.info.run_id, name))
        for name in names
    }  # fmt: skip


def test_every_number_of_the_journal_is_a_metric_over_steps(
    trained: Callable[..., Run], stored: Callable[[], Any]
) -> None:
    run = trained(track=("mlflow",))
    assert "trackers_lost" not in run.info
    client, found = stored()
    assert history(client, found) == curves(run)
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    assert found.data.params["optimizer.lr"] == "0.05"
    assert found.data.params["conditions.data"] == "eyechart"
    assert found.data.metrics["result/val_accuracy"] == run.info["val"]["accuracy"]["value"]
    assert found.data.metrics["result/val_images"] == 30
    assert {entry.path for entry in client.list_artifacts(found.info.run_id)} >= {"recipe.json", "metrics.jsonl"}
    assert found.data.tags.get("mlflow.user") is None


def test_a_run_that_goes_on_goes_on_there_without_a_step_twice(own_run: Run, stored: Callable[[], Any]) -> None:
    target, whole = Target("mlflow"), own_run.journal.path.read_text()
    own_run.journal.keep_until(own_run.journal.rows()[0]["step"])
    own_run.update_info(status="interrupted")
    assert send(own_run, target, make(target)) == 1
    assert stored()[1].info.status == "KILLED"
    own_run.journal.path.write_text(whole)
    own_run.update_info(status="finished")
    assert send(own_run, target, make(target)) == 1
    client, found = stored()
    assert history(client, found) == curves(own_run)
    assert found.info.status == "FINISHED"
    assert send(own_run, target, make(target)) == 0
    assert history(*stored()) == curves(own_run)


def test_the_place_on_the_command_line_is_taken(own_run: Run, empty_database: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    shutil.copy(empty_database, tmp_path / "other.db")
    target = Target("mlflow", f"sqlite:///{tmp_path / 'other.db'}")
    send(own_run, target, make(target))
    assert MlflowClient(target.place).get_experiment_by_name("snellen") is not None
    assert not (own_run.folder.parent / "mlflow.db").exists()
    assert len(list(tmp_path.glob("mlartifacts/*/artifacts/recipe.json"))) == 1


def test_a_server_that_does_not_answer_is_one_sentence(own_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from snellen.errors import TrackerError

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    target = Target("mlflow")
    with pytest.raises(TrackerError, match="mlflow did not take tiny: .*127.0.0.1"):
        send(own_run, target, make(target))
