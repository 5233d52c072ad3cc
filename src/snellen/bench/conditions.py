"""What a time depends on besides the code: machine, threads, precision, batch, versions, and who else was busy."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from snellen.runs.environment import processor_name
from snellen.version import VERSION


@dataclass(frozen=True)
class Conditions:
    """Under which circumstances a time was taken.

    Attributes:
        machine: the processor's name, and the accelerator's where it did the work.
        device: "cpu", "cuda" or "mps"; "process" where a whole process was timed from outside.
        threads: that PyTorch uses inside one operation.
        cores: that this process may run on.
        precision: "fp32", "bf16", "auto" where the work chose by itself, or "none" where no model takes part.
        batch: images handled at once; None where that means nothing.
        torch: PyTorch's version.
        snellen: Snellen's version.
        load_average: processes waiting for a core, mean of one minute, (before, after) the measurement; None where
            the system does not say. More than the threads in use means that somebody else was measured as well.
    """

    machine: str
    device: str
    threads: int
    cores: int | None
    precision: str
    batch: int | None
    torch: str
    snellen: str
    load_average: tuple[float | None, float | None]

    def after(self) -> Conditions:
        """The same with the load average at the end."""
        return replace(self, load_average=(self.load_average[0], load_average()))

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self)

    def __str__(self) -> str:
        """One line for the terminal."""
        loads = " to ".join("?" if load is None else f"{load:.1f}" for load in self.load_average)
        batch = "" if self.batch is None else f", batch {self.batch}"
        precision = "" if self.precision == "none" else f", {self.precision}"
        return (
            f"{self.machine}, {self.device}{precision}{batch}, {self.threads} threads on {self.cores} cores, "
            f"torch {self.torch}, load {loads}"
        )


def conditions_here(
    *, device: torch.device | None = None, precision: str = "none", batch: int | None = None
) -> Conditions:
    """The circumstances of a measurement that is about to begin here.

    Args:
        device: that does the work; None where a process is timed from outside.
        precision: as in `Conditions`.
        batch: images handled at once.
    """
    machine = processor_name()
    if device is not None and device.type == "cuda":
        machine = f"{torch.cuda.get_device_name(device)}, {machine}"
    return Conditions(
        machine=machine,
        device="process" if device is None else device.type,
        threads=torch.get_num_threads(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        precision=precision,
        batch=batch,
        torch=str(torch.__version__),
        snellen=VERSION,
        load_average=(load_average(), None),
    )


def load_average() -> float | None:
    """Processes that ran or waited for a core, mean over the last minute; None where the system does not say."""
    try:
        return round(os.getloadavg()[0], 2)
    except (OSError, AttributeError):
        return None
