"""TensorBoard: event files in the run folder's `tensorboard`, by PyTorch's own writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snellen.runs.run import Row
from snellen.trackers.tracker import Facts, Outcome, numbers_of


class TensorBoard:
    """Writes scalars over training steps, the recipe and the outcome as text. Values are stored as float32."""

    def __init__(self, _place: str = "") -> None:
        self._folder = Path()
        self._writer: Any = None

    def start(self, facts: Facts) -> int:
        """Replace this run's event files, so that no step is there twice after a resume."""
        from torch.utils.tensorboard import SummaryWriter

        self._folder = facts.folder / "tensorboard"
        for path in self._folder.glob("events.out.tfevents.*"):
            path.unlink()
        # A TensorBoard that is open keeps what it has read; this entry tells it to forget that.
        self._writer = SummaryWriter(str(self._folder), purge_step=0)
        self._writer.add_text("recipe", _table(facts.recipe), 0, facts.started)
        self._writer.add_text("conditions", _table(facts.conditions), 0, facts.started)
        return -1

    def row(self, row: Row, at: float) -> None:
        """Add a point to each curve; it is in the file when this returns."""
        for name, value in numbers_of(row).items():
            self._writer.add_scalar(name, value, row["step"], at)
        self._writer.flush()

    def finish(self, outcome: Outcome) -> None:
        """Add the outcome and close the file."""
        self._writer.add_text("outcome", _table({"status": outcome.status, **outcome.numbers}), 0)
        self._writer.close()

    def where(self) -> str:
        """The folder, and the command that shows it."""
        return f"{self._folder}; look: tensorboard --logdir {self._folder.parent.parent}"


def _table(entries: dict[str, Any]) -> str:
    rows = (f"| {name} | {' '.join(str(value).split())} |".replace("\\", "\\\\") for name, value in entries.items())
    return "\n".join(["| | |", "| --- | --- |", *rows])
