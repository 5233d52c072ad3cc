"""A training of two seconds through the real commands, and what of it must be equal to the bit however it was stopped.

Shared by the soaks, which import PyTorch once and fork a child for each try.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors import safe_open

from snellen.cli.main import main
from snellen.data import catalog
from snellen.data.eyechart import make_eyechart
from snellen.data.ledger import Ledger
from snellen.errors import SnellenError
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import SGD, Augment, Average, DataPruning, Freeze, Muon, Recipe, Resolution, Schedule
from snellen.runs.environment import redact_paths
from snellen.runs.run import open_run
from snellen.serialize import to_json
from snellen.train import recorder

RUN = Path("runs", "run")
_LEDGER = Path("runs", "ledger.jsonl")
_CLOCKS = {"seconds", "epoch_seconds", "images_per_second", "processor_seconds", "started", "time"}
"""Entries that a clock decides; nothing else is left out of a comparison."""
_SECONDS_BETWEEN_SAVES = 0.02
"""A minute in real life. So short, most steps are followed by a save and some are lost."""

PLAIN = Recipe(
    name="plain",
    model="small_cnn",
    widths=(4, 4, 8, 8),
    epochs=5,
    batch_size=32,
    augment=Augment(crop_pixels=2, flip="random", brightness=0.2, contrast=0.2, saturation=0.2),
    optimizer=SGD(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4),
    schedule=Schedule(shape="cosine", warmup_fraction=0.1),
    label_smoothing=0.1,
    data_pruning=DataPruning(after=0.2),
)
EVERYTHING = PLAIN.replace(
    name="everything",
    model="sprint_net",
    widths=(16, 16, 16),
    epochs=4.5,
    batch_size=64,
    optimizer=Muon(weight_decay=1e-3),
    schedule=Schedule(shape="linear", tail_fraction=0.2, floor=0.05),
    resolutions=(Resolution(side=24, until=0.3), Resolution(side=28, until=0.6)),
    freezes=(Freeze(prefix="net.whiten.bias", after=0.3), Freeze(prefix="net.block1.conv1", after=0.55)),
    average=Average(after=0.4, every_steps=2),
    augment=Augment(crop_pixels=2, randaugment=1, erase=0.3, mixup=0.2, cutmix=1.0),
    data_pruning=None,  # mixed images have no loss of their own
    ema_decay=0.8,
    tta="flip",
)
"""All that has a state of its own: two optimizers, momenta, lookahead, moving average, stages, freezes, mixing."""
RECIPES = (PLAIN, EVERYTHING)


def prepare_process() -> None:
    """One thread, a small eye chart, frequent saves; everything that a try needs is imported before the first fork.

    Pictures of numbers are written as all files are, but their drawing, half of such a run, is left out.
    """
    import matplotlib.figure
    import torch

    matplotlib.figure.Figure.savefig = lambda figure, file, **_: Image.new("L", (8, 8)).save(file, "png")
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])  # the first one imports a second's worth of PyTorch
    warnings.simplefilter("error")
    # A signal between `open` and the `with` around it leaves a file to the garbage collector; that is no mistake.
    warnings.simplefilter("ignore", ResourceWarning)
    os.environ.pop("SNELLEN_LEDGER", None)
    torch.set_num_threads(1)
    catalog._LOADERS["eyechart"] = lambda data, download, progress: make_eyechart(seed=0, train=300, test=60)
    recorder._CHECKPOINT_SECONDS = _SECONDS_BETWEEN_SAVES


def go_on(place: Path, recipe: Recipe) -> int:
    """What a user types until there is a graded run: train or resume, then the look at test. Returns the exit code.

    Args:
        place: where it is typed; it is not named, so that texts of two places are equal.
        recipe: to train with.
    """
    place.mkdir(exist_ok=True)
    os.chdir(place)
    folder = RUN
    if not folder.exists():
        Path("recipe.json").write_text(json.dumps(to_json(recipe)))
        where = ["--device", "cpu", "--precision", "fp32", "--name", folder.name]
        code = main(["train", "eyechart", "--recipe", "recipe.json", *where])
    elif open_run(folder).info["status"] != "finished":
        code = main(["train", "--resume", str(folder)])
    else:
        code = 0
    return code or main(["evaluate", str(folder), "--split", "test", "--reason", "soak"])


# One try, in a child


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        code: exit code, or minus the signal that ended it.
        signalled: whether the signal was sent before it ended by itself.
        processor_seconds: until the signal, or the end.
        to_exit_seconds: from the signal to the end.
    """

    code: int
    signalled: bool
    processor_seconds: float
    to_exit_seconds: float


def fork(act: Callable[[], int], log: Path) -> int:
    """Start `act` in a child whose output goes to `log`; returns its process id. What it returns is its exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        code = act()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def attempt(
    act: Callable[[], int], log: Path, *, moment: float = math.inf, delay: float = 0.0, number: int = signal.SIGKILL
) -> Ended:
    """Run `act` in a child, and send it a signal if it is still there then.

    Args:
        act: gives the exit code.
        log: takes what the child prints.
        moment: processor seconds of the child after which it is sent: a busy machine does not move it.
        delay: seconds after that, so that it can also come while the child waits for the disk.
        number: of the signal.
    """
    child = fork(act, log)
    used = 0.0
    while (code := _ended(child)) is None and used < moment:
        used = _processor_seconds(child)
        time.sleep(0.0005)
    if code is None:
        time.sleep(delay)
        code = _ended(child)
    if code is not None:
        return Ended(code, False, used, 0.0)
    os.kill(child, number)
    sent = time.monotonic()
    while (code := _ended(child)) is None:
        if time.monotonic() > sent + 120:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.0005)
    return Ended(code, True, used, time.monotonic() - sent)


def _ended(child: int) -> int | None:
    """The exit code of a child, or None while it runs."""
    done, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _processor_seconds(child: int) -> float:
    """What a child has used; Linux derives the clock's number from the process's, see clock_getcpuclockid(3)."""
    return time.clock_gettime((~child << 3) | 2)


# What is compared


def content(place: Path) -> dict[str, str]:
    """Every file of the run folder and every line of the ledger beside it, without what a clock decides.

    A look at test that was cut short has left its intent, as it should; so lines that repeat one before are left out.
    """
    folder = place / RUN
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"]
    found = {str(path.relative_to(folder)): hashlib.sha256(_timeless(path)).hexdigest() for path in files}
    ledger = Ledger(place / _LEDGER)
    for line in ledger.lines():
        told = {key: value for key, value in line.content.items() if key not in {"time", "hash", "previous", "intent"}}
        found[f"ledger: {json.dumps(told, sort_keys=True)}"] = line.kind
    found["ledger's problems"] = str(ledger.problems())
    found["looks at test"] = str(
        [ledger.look_number(line.hash) for line in ledger.lines() if line.kind == "intent"][:1]
    )
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """What is not in both, or not equal."""
    return [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]


def unreadable(place: Path) -> list[str]:
    """What a reader of the folder would stumble over now; a folder that is not there yet is no stumbling block."""
    folder = place / RUN
    if not folder.exists():
        return []
    found = []
    try:
        open_run(folder).journal.rows()
        found += Ledger(place / _LEDGER).problems()
    except SnellenError as error:
        found.append(str(error))
    for path in sorted(folder.rglob("[!.]*")):
        if path.is_file():
            try:
                _read(path)
            except Exception as error:
                found.append(f"{path.relative_to(folder)}: {error}")
    return found


def _timeless(path: Path) -> bytes:
    if path.suffix == ".json":
        # Guards name the ledger by its whole path.
        return json.dumps(redact_paths(_without_clocks(json.loads(path.read_text()))), sort_keys=True).encode()
    if path.suffix == ".jsonl":
        return b"\n".join(
            json.dumps(_without_clocks(json.loads(line)), sort_keys=True).encode()
            for line in path.read_text().splitlines()
        )
    if path.suffix == ".csv":
        rows = csv.DictReader(io.StringIO(path.read_text()))
        return json.dumps([_without_clocks(row) for row in rows], sort_keys=True).encode()
    if path.name == "state.safetensors":
        with safe_open(path, framework="numpy") as file:
            numbers = _without_clocks(json.loads(file.metadata()["state"]))
            tensors = [name.encode() + file.get_tensor(name).tobytes() for name in sorted(file.keys())]
        return b"".join([json.dumps(numbers, sort_keys=True).encode(), *tensors])
    return path.read_bytes()


def _without_clocks(entry: Any) -> Any:
    if isinstance(entry, dict):
        return {key: _without_clocks(value) for key, value in entry.items() if key not in _CLOCKS}
    return [_without_clocks(each) for each in entry] if isinstance(entry, list) else entry


def _read(path: Path) -> None:
    if path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".safetensors":
        with safe_open(path, framework="numpy") as file:
            assert all(np.isfinite(file.get_tensor(name)).all() for name in file.keys())  # noqa: SIM118 - not a dict
    elif path.suffix == ".npz":
        Predictions.load(path)
    elif path.suffix == ".png":
        with Image.open(path) as image:
            image.verify()
