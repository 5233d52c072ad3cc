"""The processes of one training: `torchrun` starts them, and each knows its number and how to reach the others.

Every worker holds the whole model and takes its share of every batch; gradients are averaged before each update, so
that all workers always hold the same weights. Only the first one writes, and all of them see the same numbers.
What is sent is tensors and JSON: nothing is unpickled, not even what our own processes say.

With one process, every method here returns what it was given. The first worker writes the run folder; the others train
in folders of their own, which are thrown away.
"""

from __future__ import annotations

import base64
import json
import os
import platform
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from snellen.data.labeled_images import LabeledImages
from snellen.errors import DataError, InvalidSetting, RunError, SnellenError
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import Recipe
from snellen.runs.atomic import write_bytes
from snellen.runs.run import Run, open_run
from snellen.train.setup import TrainingSetup

# The others wait for the first one while it reads the data; a worker that died is noticed at once, by its connection.
_PATIENCE = timedelta(hours=2)

_NEEDED = ("recipe.json", "run.json", "metrics.jsonl", "resume/state.safetensors")  # to begin, or to go on

Array = TypeVar("Array", torch.Tensor, NDArray[Any])


@dataclass(frozen=True)
class Workers:
    """What one process knows of the training it shares.

    Attributes:
        rank: its number, from 0; the first one writes.
        count: how many there are.
        local: its number on this machine, which is that of its GPU.
        restarts: how often torchrun has started them again after one had died.
        launch: the torchrun that started them, the same after a restart; empty for a process of its own.
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    restarts: int = 0
    launch: str = ""

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def describe(self) -> dict[str, Any]:
        """The entries of `run.json`; none for a process of its own."""
        return {"workers": {"count": self.count, "launch": self.launch}} if self.count > 1 else {}

    def device(self, name: str) -> str:
        """The device of this worker: each takes a GPU of its own where "auto" or "cuda" is asked for.

        Raises:
            InvalidSetting: a machine has more workers than GPUs, or all would share one.
        """
        if self.count == 1 or name not in ("auto", "cuda") or not torch.cuda.is_available():
            if self.count > 1 and name.startswith("cuda:"):
                raise InvalidSetting(f"--device {name} would be shared by {self.count} workers; say --device cuda.")
            return name
        if self.local >= torch.cuda.device_count():
            raise InvalidSetting(
                f"Worker {self.local} has no GPU: this machine has {torch.cuda.device_count()}. "
                f"Start as many: torchrun --nproc-per-node {torch.cuda.device_count()}"
            )
        return f"cuda:{self.local}"

    def share(self, array: Array) -> Array:
        """Every `count`-th entry of (N, …), from this worker's own on: all shares together hold each entry once."""
        return array[self.rank :: self.count]

    @contextmanager
    def one_before_the_others(self) -> Iterator[None]:
        """The first worker goes through the block alone, then the others: it fills caches, and says what is wrong."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def wait(self) -> None:
        """Until all have come here."""
        if self.count > 1:
            torch.distributed.barrier()

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all workers, on each of them."""
        if self.count > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def all_gather(self, share: torch.Tensor, count: int) -> torch.Tensor:
        """The (count, …) entries of which every worker holds its `share`, as `share` takes them; on each of them."""
        if self.count == 1:
            return share
        gathered = torch.zeros(count, *share.shape[1:], dtype=share.dtype, device=share.device)
        gathered[self.rank :: self.count] = share
        return self.sum(gathered)  # zeros from all others: it is each one's own entry, to the bit

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Of each flag, whether it is set on any worker. Goes between processors: no GPU is waited for."""
        if self.count == 1:
            return flags
        return tuple(bool(total) for total in self.sum(torch.tensor(flags, dtype=torch.int32)).tolist())

    def broadcast(self, content: Any) -> Any:
        """What the first worker holds, anything JSON can say, on each of them; the others' is not looked at."""
        if self.count == 1:
            return content
        buffer = torch.frombuffer(bytearray(json.dumps(content).encode()), dtype=torch.uint8)
        length = torch.tensor([len(buffer)])
        torch.distributed.broadcast(length, src=0)
        buffer = buffer if self.first else torch.empty(int(length), dtype=torch.uint8)
        torch.distributed.broadcast(buffer, src=0)
        return json.loads(buffer.numpy().tobytes())

    def ddp(self, model: nn.Module) -> nn.Module:
        """`model`, with gradients that are means over all workers. Make it anew when other parameters learn.

        The first worker's weights and batch statistics are those of all: DistributedDataParallel sends them before
        each forward pass. Batch norm normalises with the statistics of the worker's own share.
        """
        if self.count == 1:
            return model
        return nn.parallel.DistributedDataParallel(model)

    def explained(self, error: RuntimeError, run: str) -> Exception:
        """One sentence where a connection broke because another worker is gone; else the error itself."""
        lost = isinstance(error, torch.distributed.DistError) or "gloo" in str(error)
        if self.count == 1 or not lost:
            return error
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it at once; the sentence comes first
        return RunError(
            f"Another worker of this training is gone; above or below it says why. The last checkpoint stands; go on "
            f"with as many workers as you like: … -m snellen train --resume {run}"
        )

    def sync_buffers(self, model: nn.Module) -> None:
        """Give `model` on all workers the tensors it has on the first: batch statistics have gone their own ways."""
        if self.count > 1:
            for tensor in model.state_dict().values():
                torch.distributed.broadcast(tensor, src=0)

    def predict(self, model: nn.Module, images: LabeledImages, *, bf16: bool) -> Predictions:
        """Answers to all images, on each worker: every one answers its share, and each image counts exactly once."""
        if self.count == 1 or len(images) < self.count:
            return predict(model, images, bf16=bf16, finite=False)
        mine = self.share(np.arange(len(images)))
        answered = predict(model, images.take(mine, role=images.role), bf16=bf16, finite=False)
        logits = self.all_gather(torch.from_numpy(answered.logits), len(images))
        return Predictions.of(images, logits.numpy())


ALONE = Workers()


def launched() -> Workers:
    """This process among those torchrun started, connected on the first call; alone where nothing started it.

    Raises:
        InvalidSetting: the variables torchrun sets are there in part only.
    """
    count = int(os.environ.get("WORLD_SIZE") or 1)
    if count == 1:
        return ALONE
    if not torch.distributed.is_available():
        raise InvalidSetting(f"WORLD_SIZE={count}, but this build of PyTorch has no torch.distributed.")
    missing = [name for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise InvalidSetting(
            f"WORLD_SIZE={count}, but {', '.join(missing)} is not set. Start with: torchrun --nproc-per-node {count} "
            "-m snellen train …, or unset WORLD_SIZE."
        )
    named = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    workers = Workers(
        rank=int(os.environ["RANK"]),
        count=count,
        local=int(os.environ["LOCAL_RANK"]),
        restarts=int(os.environ.get("TORCHELASTIC_RESTART_COUNT") or 0),
        # A name for the torchrun behind this process, the same after a restart, which torchrun outlives: of --rdzv-id,
        # the same on all machines, or its own.
        launch=f"{platform.node()} {os.getppid()}" if named == "none" else named,
    )
    if not torch.distributed.is_initialized():
        _connect(workers)
    return workers


def _connect(workers: Workers) -> None:
    gpus = torch.cuda.is_available()
    if gpus:
        torch.cuda.set_device(workers.local % torch.cuda.device_count())
    store, rank, count = next(rendezvous("env://"))
    # torchrun keeps its store over a restart, with the addresses of the dead in it (pytorch/pytorch#135712). Between
    # machines the numbers of restarts differ, and docs/scale.md says what to set instead.
    if os.environ.get("GROUP_WORLD_SIZE", "1") == "1":
        store = PrefixStore(f"restart {workers.restarts}", store)
    torch.distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if gpus else "gloo", store=store, rank=rank, world_size=count, timeout=_PATIENCE
    )


# The run folder of several workers


def hand_out(run: Run, workers: Workers) -> None:
    """Send the others what `folder_of_its_own` waits for; the first worker calls it, holding the run's lock."""
    if workers.count > 1:
        files = {name: (run.folder / name).read_bytes() for name in _NEEDED if (run.folder / name).exists()}
        workers.broadcast({name: base64.b64encode(content).decode() for name, content in files.items()})


@contextmanager
def folder_of_its_own(workers: Workers) -> Iterator[Run]:
    """A throw-away run folder that begins as the first worker's stands, on whatever machine this is."""
    with tempfile.TemporaryDirectory(prefix="snellen-worker-") as folder:
        run = Run(Path(folder))
        for name, content in workers.broadcast(None).items():
            write_bytes(run.folder / name, base64.b64decode(content))
        yield run


def begun_by(workers: Workers, runs: Path, recipe: Recipe, seed: int) -> Run | None:
    """The unfinished run that these workers had begun before torchrun started them again, or None."""
    found = ""
    if workers.first and workers.restarts:
        for path in runs.glob("*/run.json"):
            try:
                run = open_run(path.parent)
                mine = run.info.get("workers", {}).get("launch") == workers.launch
                if mine and (run.recipe, run.info["seed"]) == (recipe, seed) and run.info["status"] != "finished":
                    found = str(run.folder)
            except SnellenError:  # somebody else's, and broken
                continue
    found = workers.broadcast(found) if workers.restarts else ""
    return open_run(Path(found)) if found else None


def require_same(setup: TrainingSetup, run: Run) -> None:
    """Raise unless this worker would train what the first one trains.

    Raises:
        DataError: the pictures on this machine are others.
        RunError: the recipe or the seed is another.
    """
    first, here = run.info["data"]["train"]["fingerprint"], setup.splits.train.fingerprint
    if first != here:
        raise DataError(
            f"On {platform.node()} {setup.read_as['source']} holds {here[:12]}…, and where the first worker is "
            f"{first[:12]}…. Give all machines the same data."
        )
    if (run.recipe, run.info["seed"]) != (setup.recipe, setup.seed):
        raise RunError(
            f"On {platform.node()} the recipe or the seed is not that of the first worker. Start all machines with the "
            "same command and the same version of Snellen."
        )
