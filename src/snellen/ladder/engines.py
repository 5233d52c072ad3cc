"""Where the runs of a ladder are trained: on this machine one after the other, or on the workers of a Ray cluster.

An engine decides the place and nothing else. What a run is, whether it is finished, resumed or new, is read from its
folder by `one_run`, on whichever machine that happens; so the table cannot depend on the engine. Each run is one task
of Ray on one worker; whatever happens to a worker, no run is lost or counted twice:

    killed worker    Ray starts the task again elsewhere; it finds the run's folder and goes on from its checkpoint
    two at one run   cannot be: the run's lock is held from before its folder is looked at until it is whole
    Ctrl-C, SIGTERM  all workers save and stop, and the same command goes on from there

A worker loads the data itself, from where the run says they lie, so the sealed test set never travels. Folder and data
must be seen under the same path by all machines; where they are not, the worker says so before it trains.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from snellen.data.dataset import Dataset
from snellen.data.run_images import load_as_before
from snellen.data.splits import split
from snellen.errors import DataError, MissingExtra, RunError, SnellenError, UsageError
from snellen.ladder.one_run import Trained, Weak, is_done, train_one
from snellen.ladder.rungs import PLAN_FILE, Plan, Rung
from snellen.parts import allow, allowed
from snellen.runs.run import Run, open_run
from snellen.show.progress import Progress
from snellen.train.interrupt import Interrupted, StopRequest

EngineName = Literal["local", "ray"]
Units = Iterable[tuple[Rung, int]]
"""Runs to be: rung and seed. Each is asked for when there is a place for it, so what is done may decide on the next."""
TooWeak = Callable[[Run], bool]
"""Whether a run in training is to be given up, by what it has written."""

_RETRIES = 3
_LOCK_SECONDS = 10.0  # a killed process frees its locks at once; the rest is the network's
_LOOK_SECONDS = 0.5  # how often a signal is asked for while workers are at work
_SAVE_SECONDS = 60.0  # what stopped workers are given to write their checkpoints
_STARTS = 3
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
_STORE_BYTES = 100 * 2**20  # the least that Ray wants: nothing large goes through it


@dataclass(frozen=True)
class Engine:
    """A place to train in.

    Attributes:
        at_once: how many runs it trains side by side.
        train: gives each run when it is done, in whatever order; the last argument, if any, is asked while it trains.
    """

    at_once: int
    train: Callable[[Plan, Dataset, Units, Sequence[Path], Progress, TooWeak | None], Iterator[Trained]]


@contextmanager
def engine(name: EngineName, *, address: str | None, device: str) -> Iterator[Engine]:
    """An engine by name, ready while the context lasts.

    Args:
        address: of a Ray cluster, such as "auto" or "HOST:6379"; None starts Ray on this machine and ends it with the
            context.
        device: what each run needs: "cpu", "cuda" or "mps".

    Raises:
        MissingExtra: Ray is not installed.
        UsageError: no cluster answers there, or it has no such device.
    """
    if name == "local":
        yield Engine(1, train_here)
        return
    with workers_of(address, device) as (ray, at_once):
        yield Engine(at_once, partial(train_on_ray, ray, at_once))


def train_here(
    plan: Plan,
    dataset: Dataset,
    units: Units,
    reuse: Sequence[Path],
    progress: Progress,
    too_weak: TooWeak | None = None,
) -> Iterator[Trained]:
    """Each run in turn, in this process; arguments and errors as those of `train_one`."""
    for rung, seed in units:
        if too_weak is not None:
            progress.after_epoch = partial(_give_up, too_weak, Run(plan.folder / plan.run_name(rung, seed)))
        yield train_one(plan, rung, seed, dataset, reuse, progress)


def _give_up(too_weak: TooWeak, run: Run) -> None:
    if too_weak(run):
        raise Weak(f"{run.name} is given up")


# Ray


@contextmanager
def workers_of(address: str | None, device: str) -> Iterator[tuple[Any, int]]:
    """Ray, connected while the context lasts, and how many runs it trains side by side; as `engine` says."""
    ray = _library(own=address is None)
    if ray.is_initialized():  # whoever connected this process before keeps the connection
        yield ray, _at_once(ray, device)
        return
    with tempfile.TemporaryDirectory(prefix="snellen-ray-", ignore_cleanup_errors=True) as folder:
        _connect(ray, address, folder)
        try:
            yield ray, _at_once(ray, device)
        finally:
            ray.shutdown()


def train_on_ray(
    ray: Any,
    at_once: int,
    plan: Plan,
    dataset: Dataset,
    units: Units,
    reuse: Sequence[Path],
    progress: Progress,
    too_weak: TooWeak | None = None,
) -> Iterator[Trained]:
    """Each run once, as the workers finish them, `at_once` of them side by side.

    Raises:
        SnellenError: what a worker ran into, or that a run lost its worker again and again.
        Interrupted: SIGINT, SIGTERM or SIGHUP; all workers have saved.
    """
    task = ray.remote(_train_in_worker).options(
        num_cpus=1, num_gpus=1 if plan.device == "cuda" else 0, max_retries=_RETRIES, retry_exceptions=[_TakenAway]
    )
    shared = replace(plan, folder=plan.folder.resolve())
    about = json.dumps(dataset.read_as)
    others = tuple(path.resolve() for path in reuse)
    process = sys.argv, allowed()
    coming, waiting, given_up = iter(units), dict[Any, tuple[Rung, int]](), set[Any]()
    with StopRequest() as stop:
        try:
            while True:
                while len(waiting) < at_once and (unit := next(coming, None)) is not None:
                    if is_done(plan, *unit):
                        yield from train_here(plan, dataset, [unit], reuse, progress)
                    else:
                        waiting[task.remote(shared, *unit, about, others, process)] = unit
                if not waiting:
                    return
                ready, _ = ray.wait(list(waiting), timeout=_LOOK_SECONDS)
                stop.raise_if_requested()
                for reference in waiting.keys() - {*ready} - given_up:
                    if too_weak is not None and too_weak(Run(plan.folder / plan.run_name(*waiting[reference]))):
                        ray.cancel(reference)  # as by a signal: it saves and leaves
                        given_up.add(reference)
                for reference in ready:
                    rung, seed = waiting.pop(reference)
                    name = plan.run_name(rung, seed)
                    reused = reference not in given_up and _answer(ray, reference, name)
                    yield Trained(rung, seed, open_run(plan.folder / name), reused)
        finally:
            _stop(ray, list(waiting))


def _answer(ray: Any, reference: Any, name: str) -> bool:
    """What a worker returned, or an error of ours in place of what it ran into."""
    try:
        answer = ray.get(reference)
    except ray.exceptions.RayTaskError:
        raise  # not foreseen in the worker: its traceback is wanted
    except ray.exceptions.RayError as error:
        raise RunError(
            f"The run {name} lost its worker {_RETRIES + 1} times ({_first_line(error)}). Was there "
            "memory enough? The same command goes on from its checkpoint."
        ) from error
    if isinstance(answer, SnellenError):
        raise answer
    return bool(answer)


def _stop(ray: Any, waiting: list[Any]) -> None:
    """Have the workers save what they are at, and begin nothing new."""
    if waiting and ray.is_initialized():
        for reference in reversed(waiting):  # what has not begun first, or it would begin now
            ray.cancel(reference)
        ray.wait(waiting, num_returns=len(waiting), timeout=_SAVE_SECONDS)


# In a worker


class _TakenAway(Exception):
    """SIGTERM, as a machine says before it goes. Ray tries again after an `Exception`, which Interrupted is not."""


def _train_in_worker(
    plan: Plan, rung: Rung, seed: int, about: str, reuse: tuple[Path, ...], process: tuple[list[str], tuple[str, ...]]
) -> bool | SnellenError:
    """Train one run; returns whether it was done before, or why it cannot be.

    `process` is the command, which environment.json keeps, and the code that its user allowed.
    """
    sys.argv, code = process
    name = plan.run_name(rung, seed)
    try:
        for each in code:
            allow(each)
        if not (plan.folder / PLAN_FILE).exists():
            raise RunError(
                f"The machine {platform.node()} does not see {plan.folder}. Put --runs on a file system that all "
                "machines of the cluster share, under one path."
            )
        dataset = _dataset(about, plan.fingerprints)
        with FileLock(plan.folder / f".{name}.lock", timeout=_LOCK_SECONDS):
            return train_one(plan, rung, seed, dataset, reuse, Progress(quiet=True)).reused
    except Timeout:
        return RunError(f"{plan.folder / name} is in use by another process. Wait for it, then run the command again.")
    except SnellenError as error:
        return error
    except Interrupted as stopped:
        raise _TakenAway(str(stopped)) from stopped


@cache
def _dataset(about: str, fingerprints: tuple[str, str]) -> Dataset:
    """The ladder's data, loaded once per worker."""
    dataset = load_as_before(json.loads(about))
    parts = split(dataset)
    if (parts.train.fingerprint, parts.val and parts.val.fingerprint) != fingerprints:
        raise DataError(
            f"The machine {platform.node()} has other images of {dataset.name} than the one the ladder was begun on. "
            f"Copy the same data to all machines: {dataset.source}."
        )
    return dataset


# Ray itself


def _library(*, own: bool) -> Any:
    """Ray, imported with what it reads from the environment at that moment."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing leaves the machine unasked
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else a warning, on every machine without a GPU
    if own and "ray" not in sys.modules:
        # Ray listens on all of the machine's addresses and does what it is told; without the token it does not.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    if not own:
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")  # a wrong address is known in half a minute, not in ten
    try:
        import ray
    except ImportError:
        raise MissingExtra("--engine ray needs Ray, which is not installed: pip install 'snellen[ray]'") from None
    return ray


def _connect(ray: Any, address: str | None, folder: str) -> None:
    if address is None:
        start(ray, folder)
        return
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, RuntimeError, ImportError, ValueError) as error:
        raise UsageError(
            f"No Ray cluster answers at --address {address} ({_first_line(error)}). Start one with "
            "ray start --head, or leave --address out: then Ray is started on this machine for the ladder."
        ) from error


def start(ray: Any, folder: str, *, processors: int | None = None) -> None:
    """Start Ray on this machine, its files in `folder`, with so many processors or all; and connect to it."""
    for left in reversed(range(_STARTS)):
        try:
            ray.init(
                address="local", num_cpus=processors, include_dashboard=False, object_store_memory=_STORE_BYTES,
                _temp_dir=folder, **_QUIET,
            )  # fmt: skip
            return
        except Exception as error:  # Ray raises plain ones; on a busy machine half a minute is not enough for it
            if not left:
                reason = _first_line(error)
                raise RunError(f"Ray did not start on this machine ({reason}). Try --engine local.") from error
            ray.shutdown()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _at_once(ray: Any, device: str) -> int:
    resource = "GPU" if device == "cuda" else "CPU"
    count = int(ray.cluster_resources().get(resource, 0))
    if count < 1:
        raise UsageError(f"The Ray cluster has no {resource}, and each run is to be trained on {device}.")
    return count
