"""MLflow: `mlflow.db` and `mlartifacts` beside the run folders, or the tracking server that the user named.

The smaller package mlflow-skinny is enough to write. MLflow reports its own use to its makers unless told not to; here
it is told not to, as long as the user's environment says nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snellen.runs.run import Row
from snellen.trackers.tracker import Facts, Outcome, numbers_of

_EXPERIMENT = "snellen"
_PARAMETERS_PER_CALL = 100  # MLflow takes no more
_STATUS = {"finished": "FINISHED", "diverged": "FAILED"}
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_CONFIGURE_LOGGING": "false",  # else every migration of a new database is a line on stderr
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the training waits: a server that does not answer must be known soon
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class MLflow:
    """Logs rows as metrics over training steps, the recipe as parameters.

    Args:
        uri: of the tracking server or database; empty takes $MLFLOW_TRACKING_URI, else a database beside the runs.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client: Any = None
        self._run_id = ""
        self._at = 0

    def start(self, facts: Facts) -> int:
        """Begin, or go on with the run that has this id in the same database."""
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._at = _milliseconds(facts.started)
        beside = facts.folder.resolve().parent
        named = self._uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        self._uri = named or f"sqlite:///{beside / 'mlflow.db'}"
        self._client = MlflowClient(self._uri)
        artifacts = _artifacts(self._uri)
        known = self._client.get_experiment_by_name(_EXPERIMENT)
        experiment = known.experiment_id if known else self._client.create_experiment(_EXPERIMENT, artifacts)
        found = self._client.search_runs([experiment], f"tags.`snellen.id` = '{facts.id}'", max_results=1)
        if found:
            self._run_id = found[0].info.run_id
            self._client.update_run(self._run_id, status="RUNNING")
            history = self._client.get_metric_history(self._run_id, "epoch")
            self._at = max((one.timestamp for one in history), default=self._at)
            return max((one.step for one in history), default=-1)
        started = self._client.create_run(
            experiment, start_time=self._at, tags={"snellen.id": facts.id}, run_name=facts.name
        )
        self._run_id = started.info.run_id
        entries = {**facts.recipe, **{f"conditions.{key}": value for key, value in facts.conditions.items()}}
        params = [Param(key, str(value)) for key, value in entries.items()]
        for first in range(0, len(params), _PARAMETERS_PER_CALL):
            self._client.log_batch(self._run_id, params=params[first : first + _PARAMETERS_PER_CALL])
        return -1

    def row(self, row: Row, at: float) -> None:
        """Log one row at its training step, in one call."""
        self._at = _milliseconds(at)
        self._log(numbers_of(row), row["step"])

    def finish(self, outcome: Outcome) -> None:
        """Log outcome and files, and end the run."""
        self._log(outcome.numbers, 0)
        for path in outcome.files:
            self._client.log_artifact(self._run_id, str(path))
        self._client.set_terminated(self._run_id, _STATUS.get(outcome.status, "KILLED"))

    def where(self) -> str:
        """The database or server, and the command that shows a database."""
        local = self._uri.startswith("sqlite:")
        return f"{self._uri}; look: mlflow ui --backend-store-uri {self._uri}" if local else self._uri

    def _log(self, numbers: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(name, float(value), self._at, step) for name, value in numbers.items()]
        self._client.log_batch(self._run_id, metrics=metrics)


def _artifacts(uri: str) -> str | None:
    """The folder beside a database file; a server has a place of its own. MLflow would take the current folder."""
    file = uri.removeprefix("sqlite:///")
    return (Path(file).resolve().parent / "mlartifacts").as_uri() if file != uri else None


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
