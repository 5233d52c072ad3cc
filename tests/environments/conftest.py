"""`snellen` as a process of its own, in surroundings that a test chooses, and one trained run that they share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import snellen
from snellen.data.eyechart import make_eyechart

SMALL = Path(__file__).parents[1] / "small_eyechart.py"
WALK = Path(__file__).with_name("walk.py")
TRAIN = ("train", "eyechart", "--set", "epochs=1", "widths=[4,8,8]", "batch_size=64", "--device", "cpu")
GENTLE = ("CI", "PYTEST_CURRENT_TEST", "PYTHONWARNINGS", "SNELLEN_DATA", "SNELLEN_LEDGER", "COLUMNS", "FORCE_COLOR")
"""Variables that would make a machine kinder, or another, than a user's."""

Child = Callable[..., "subprocess.CompletedProcess[str]"]


def child(
    *arguments: object,
    cwd: Path,
    env: Mapping[str, str | None] | None = None,
    before: Sequence[str] = (),
    script: Path = SMALL,
    **options: Any,
) -> subprocess.CompletedProcess[str]:
    """One command line in a fresh interpreter.

    Args:
        arguments: what follows `snellen`.
        cwd: its working folder; also its HOME, unless `env` says otherwise.
        env: variables to set, or with None to take away.
        before: a command that starts the interpreter, such as ("taskset", "-c", "0").
        script: what the interpreter runs; by default `snellen` with a small eye chart.
        options: for `subprocess.run`.
    """
    variables: dict[str, str | None] = {name: value for name, value in os.environ.items() if name not in GENTLE}
    variables |= {"HOME": str(cwd), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": None} | dict(env or {})
    paths = [variables.get("PYTHONPATH"), str(Path(snellen.__file__).parents[1])]  # the Snellen that is under test
    variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return subprocess.run(
        [*before, sys.executable, str(script), *map(str, arguments)],
        cwd=cwd,
        env={name: value for name, value in variables.items() if value is not None},
        **{"capture_output": True, "text": True, "encoding": "utf-8", "timeout": 300} | options,
    )


def require_fine(done: subprocess.CompletedProcess[str]) -> str:
    """Its stdout; fails with what it said unless it ended well and without a traceback."""
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def require_sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of stderr, which is one of ours; fails on a traceback, a signal or success."""
    assert done.returncode in (1, 2), f"{done.returncode}\n{done.stderr}"
    assert "Traceback" not in done.stderr, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("snellen: "), done.stderr
    return last


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the finished run `runs/first` and a picture `letter.png`: read it, never write to it."""
    folder = tmp_path_factory.mktemp("environments")
    require_fine(child(*TRAIN, "--name", "first", "--precision", "fp32", cwd=folder))
    Image.fromarray(make_eyechart(train=1, test=0).train.images[0]).save(folder / "letter.png")
    return folder


@pytest.fixture
def place(shared: Path, tmp_path: Path) -> Path:
    """A copy of `shared` that a test may write to."""
    return Path(shutil.copytree(shared, tmp_path / "place"))
