"""Weights & Biases: an offline run in the run folder's `wandb`, or, where it was asked for, a run on the server.

Only what the run folder holds is handed over. Everything that wandb collects by itself (code, git, host, installed
packages, processor load, the terminal's text) is switched off, and so are its own error reports.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from snellen.runs.run import Row
from snellen.trackers.tracker import Facts, Outcome, numbers_of

_QUIET: dict[str, Any] = {
    "silent": True, "console": "off", "host": "", "program": "snellen", "use_dot_wandb": False,
    "save_code": False, "disable_code": True, "disable_git": True, "disable_job_creation": True,
    "x_disable_meta": True, "x_disable_stats": True, "x_disable_machine_info": True, "x_save_requirements": False,
}  # fmt: skip


class WeightsAndBiases:
    """Logs rows under the training step.

    Args:
        place: "online" sends them, which needs `wandb login`; else they stay in the run folder until `wandb sync`.
    """

    def __init__(self, place: str) -> None:
        self._online = place == "online"
        self._folder = Path()
        self._run: Any = None

    def start(self, facts: Facts) -> int:
        """Begin an offline run anew with all rows, or go on with the one on the server."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # read when wandb starts its process
        import wandb

        self._folder = facts.folder / "wandb"
        if not self._online:
            for path in self._folder.glob(f"offline-run-*-{facts.id}-*"):
                shutil.rmtree(path)
        self._run = wandb.init(
            project="snellen",
            id=facts.id,
            name=facts.name,
            dir=str(facts.folder),
            config={**facts.recipe, **{f"conditions.{key}": value for key, value in facts.conditions.items()}},
            mode="online" if self._online else "offline",
            resume="allow" if self._online else None,
            reinit="create_new",
            # Else a run that is written anew within a second takes the folder of the one before.
            settings=wandb.Settings(**_QUIET, x_sync_dir_suffix=str(time.time_ns())),
        )
        return int(self._run.step) - 1 if self._online else -1

    def row(self, row: Row, at: float) -> None:
        """Log one row at its training step; its time goes with it."""
        self._run.log({**numbers_of(row), "_timestamp": at}, step=row["step"], commit=True)

    def finish(self, outcome: Outcome) -> None:
        """Put the outcome into the summary and end the run: sent, or with wandb's own process for the file.

        That process writes the last of it within moments; wandb waits for it when Python ends.
        """
        self._run.summary.update({"status": outcome.status, **outcome.numbers})
        self._run.finish(exit_code=0 if outcome.status == "finished" else 1)

    def where(self) -> str:
        """The folder or the address."""
        return (
            str(self._run.url) if self._online else f"{self._folder}; send it: wandb sync {self._run.settings.sync_dir}"
        )
