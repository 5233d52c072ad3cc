"""Where the runs of a ladder are trained: on this machine one after the other, or on the workers of a Ray cluster.

An engine decides the place and nothing else. What a run is, whether it is finished, resumed or new, is read from its
folder by `one_run`, on whichever machine that happens; so the table cannot depend on the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from snellen.data.dataset import Dataset
from snellen.ladder.on_ray import train_on_ray, workers_of
from snellen.ladder.one_run import Trained, train_one
from snellen.ladder.plan import Plan
from snellen.ladder.rungs import Rung
from snellen.show.progress import Progress

EngineName = Literal["local", "ray"]
Units = Sequence[tuple[Rung, int]]
"""Runs to be: rung and seed."""


@dataclass(frozen=True)
class Engine:
    """A place to train in.

    Attributes:
        at_once: how many runs it trains side by side.
        train: gives each run when it is done, in whatever order.
    """

    at_once: int
    train: Callable[[Plan, Dataset, Units, Sequence[Path], Progress], Iterator[Trained]]


@contextmanager
def engine(name: EngineName, *, address: str | None, device: str) -> Iterator[Engine]:
    """An engine by name, ready while the context lasts.

    Args:
        name: "local" or "ray".
        address: of a Ray cluster; None starts Ray on this machine and ends it with the context.
        device: what each run needs: "cpu", "cuda" or "mps".

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: no cluster answers there, or it has no such device.
    """
    if name == "local":
        yield Engine(1, train_here)
        return
    with workers_of(address, device) as (ray, at_once):
        yield Engine(at_once, partial(train_on_ray, ray))


def train_here(
    plan: Plan, dataset: Dataset, units: Units, reuse: Sequence[Path], progress: Progress
) -> Iterator[Trained]:
    """Each run in turn, in this process; arguments and errors as those of `one_run.train_one`."""
    for rung, seed in units:
        yield train_one(plan, rung, seed, dataset, reuse, progress)
