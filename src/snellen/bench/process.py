"""`import` and `memory`: whole processes, timed and weighed from outside.

A process begins its life as a copy of its parent, and Linux counts that into its largest memory. So what is to be
weighed is started by a small process of its own, not by this one, which may hold gigabytes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from snellen.bench.catalog import Settings
from snellen.bench.protocol import Measurement, compare, conditions_here
from snellen.data.catalog import NAMES
from snellen.errors import RunError, unknown_name
from snellen.recipes.catalog import find_recipe

_COMMANDS = {
    "snellen --help": ("-m", "snellen", "--help"),
    "snellen train --help": ("-m", "snellen", "train", "--help"),
    "import of the training": ("-c", "import snellen.train.fit"),
}
_NOTHING = ("-c", "pass")
_REPEATS, _QUICK_REPEATS = 15, 2
_STEPS, _QUICK_STEPS = 12, 3
_TRAIN_IMAGES = 45_000  # of both built-in data sets, after the split

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes there, KiB on Linux
_SCALE = """
import resource, subprocess, sys
code = subprocess.call([sys.executable, *sys.argv[2:]])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code if code >= 0 else 128 - code)
"""


def measure_import(settings: Settings) -> Iterator[Measurement]:
    """How long `snellen --help` takes, as a whole process in turns with a Python that does nothing.

    The file cache is warm, since the first of each is not timed.
    """
    conditions = conditions_here()
    for case, arguments in _COMMANDS.items():
        comparison = compare(
            lambda arguments=arguments: run_python(arguments),  # type: ignore[misc]
            lambda: run_python(_NOTHING),
            warmup=1,
            repeats=_QUICK_REPEATS if settings.quick else _REPEATS,
            conditions=(conditions, conditions),
        )
        figures = {"seconds": comparison.a.median, "p90 seconds": comparison.a.p90, "python alone": comparison.b.median}
        yield Measurement("import", case, figures, comparison.a.conditions, comparison=comparison)


def measure_memory(settings: Settings) -> Iterator[Measurement]:
    """The largest resident memory of `snellen train`, shortened to a few steps: all image sizes, grading, pictures.

    What a training holds at once does not depend on how often it does it.
    """
    if settings.dataset not in NAMES:
        raise unknown_name("data set", settings.dataset, NAMES, list_with="snellen data list")
    recipe = find_recipe(settings.recipe or "sprint")
    steps = _QUICK_STEPS if settings.quick else _STEPS
    epochs = steps / max(1, _TRAIN_IMAGES // recipe.batch_size)
    conditions = conditions_here(batch=recipe.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-m", "snellen", "train", settings.dataset, "--recipe", recipe.name, "--set", f"epochs={epochs}"]
        arguments += ["--device", settings.device, "--runs", folder]
        arguments += ["--data", str(settings.data)] if settings.data is not None else []
        finished = run_python(arguments, weigh=True)
    peak = None if finished.peak_bytes is None else finished.peak_bytes / 1e9
    figures = {"peak GB": peak, "seconds": finished.seconds}
    note = "this system does not say how much memory a process took" if peak is None else ""
    case = f"{settings.dataset} {recipe.name}, {steps} steps and grading"
    # The weighed process chose its own device and threads; from here it is a process.
    yield Measurement("memory", case, figures, replace(conditions, device="process").after(), note=note)


@dataclass(frozen=True)
class Finished:
    """How a process went.

    Attributes:
        out: what it wrote to stdout.
        seconds: from its start to its end.
        peak_bytes: its largest resident memory, or None where that was not asked for or the system does not say.
    """

    out: str
    seconds: float
    peak_bytes: int | None


def run_python(arguments: Sequence[str], *, weigh: bool = False, timeout_seconds: float | None = None) -> Finished:
    """Run this Python with `arguments` and wait for its end; it does not outlive this call.

    Args:
        arguments: such as ("-m", "snellen", "--help").
        weigh: find the largest memory; costs about 20 ms in `seconds`.
        timeout_seconds: after which the process is ended; None waits for as long as it takes.

    Raises:
        RunError: it failed or took too long; the message holds the end of its stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        peak = Path(folder) / "peak"
        started = time.perf_counter()
        process = start_python(arguments, weigh_into=peak if weigh else None, stderr=subprocess.PIPE)
        try:
            out, errors = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            raise RunError(f"{spelled(arguments)} was ended after {timeout_seconds:g} seconds.") from None
        finally:
            kill(process)
        seconds = time.perf_counter() - started
        require_success(process, arguments, errors)
        return Finished(out, seconds, peak_bytes(peak))


def start_python(arguments: Sequence[str], *, weigh_into: Path | None, stderr: int | IO[str]) -> subprocess.Popen[str]:
    """Start this Python with `arguments`, in a session of its own; at its end the largest memory is in `weigh_into`."""
    weigh = weigh_into is not None and find_spec("resource") is not None
    scale = ["-I", "-S", "-c", _SCALE, str(weigh_into)] if weigh else []
    return subprocess.Popen(
        [sys.executable, *scale, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        start_new_session=True,  # so that it can be ended together with its scale
    )


def kill(process: subprocess.Popen[str]) -> None:
    """End the process, with its scale, where it has not ended by itself."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.communicate()


def require_success(process: subprocess.Popen[str], arguments: Sequence[str], errors: str) -> None:
    """Raise RunError with the last line of `errors` where an ended process failed."""
    if process.returncode != 0:
        last = errors.strip().splitlines()[-1:] or ["nothing on stderr"]
        raise RunError(f"{spelled(arguments)} ended with code {process.returncode}: {last[0]}")


def peak_bytes(weighed: Path) -> int | None:
    """The largest memory that `start_python` has left in a file; None where there is none."""
    return int(weighed.read_text(encoding="ascii")) * _RSS_UNIT if weighed.exists() else None


def spelled(arguments: Sequence[str]) -> str:
    """The start of a command, for a message."""
    return f"python {' '.join(arguments[:3])} …"
