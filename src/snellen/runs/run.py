"""The third noun: what was done, as a folder that explains itself.

    recipe.json            every choice, resolved
    run.json               what it was trained on and how it went: data, split, seed, precision, status, results
    environment.json       versions, processor, commit, command
    metrics.jsonl          one row per epoch (train and val only); results.csv holds the same
    weights.safetensors    best on val, or the last ones of a --final run
    resume/                what is needed to go on after an interruption
    predictions_val.npz    logits, labels and ids of the val images
    guards.json            verdicts with evidence
    curves.png confusion.png report.html
    predictions_test.npz   only beside a ledger line

Every file is replaced in one rename, so the folder can be read at any moment of a training.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from snellen.errors import RunError, StorageError
from snellen.recipes.json_form import read_recipe, to_json
from snellen.recipes.recipe import Recipe
from snellen.runs.atomic import storage_error, write_json
from snellen.runs.journal import Journal

_FORMAT = 1
_MAX_JSON_BYTES = 50_000_000


@dataclass(frozen=True)
class Run:
    """A run folder. Construct it with `create` or `open_run`."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def typed(self) -> str:
        """The folder as one writes it behind a command, with quotes where a blank would split it in two."""
        return subprocess.list2cmdline([str(self.folder)]) if os.name == "nt" else shlex.quote(str(self.folder))

    @property
    def recipe(self) -> Recipe:
        """The recipe it was trained with."""
        return read_recipe(self.folder / "recipe.json")

    @property
    def journal(self) -> Journal:
        """The rows of numbers, one per epoch."""
        return Journal(self.folder)

    @property
    def info(self) -> dict[str, Any]:
        """`run.json`: data, split, seed, precision, status, results."""
        return self.read("run.json")

    def update_info(self, **changes: Any) -> None:
        """Replace some entries of `run.json`."""
        write_json(self.folder / "run.json", {**self.info, **changes})

    def read(self, name: str) -> dict[str, Any]:
        """One JSON file of the folder.

        Raises:
            RunError: it is missing, too large or not a JSON object.
        """
        path = self.folder / name
        try:
            if path.stat().st_size > _MAX_JSON_BYTES:
                raise RunError(f"{path} has {path.stat().st_size} bytes, more than a run folder's JSON ever has.")
            content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        except FileNotFoundError:
            raise RunError(f"{self.folder} has no {name}; it is not a finished Snellen run.") from None
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{path} cannot be read ({error}).") from error
        if not isinstance(content, dict):
            raise RunError(f"{path} must hold a JSON object.")
        return content

    def write(self, name: str, content: Any) -> None:
        """Write one JSON file of the folder in one rename."""
        write_json(self.folder / name, content)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder while training in it; the lock ends with the process, also when it is killed.

        Raises:
            RunError: another process trains in this folder.
        """
        lock = FileLock(self.folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(f"{self.folder} is in use by another process. Wait for it, or train under --name.") from None
        except OSError as error:
            raise storage_error(self.folder, error) from error
        try:
            yield
        finally:
            lock.release()


def create_run(root: Path, name: str, recipe: Recipe, info: dict[str, Any], environment: dict[str, Any]) -> Run:
    """Make a new run folder; a name that is taken gets -2, -3 and so on, never an overwrite.

    Raises:
        RunError: the name cannot be a folder name.
        StorageError: the folder cannot be made.
    """
    if not re.fullmatch(r"[\w][\w.+-]{0,100}", name):
        raise RunError(f"A run cannot be called {name!r}: use letters, digits, '.', '_', '+' and '-'.")
    folder = _make_unused(root, name)
    run = Run(folder)
    try:
        run.write("recipe.json", to_json(recipe))
        run.write("environment.json", environment)
        run.write("run.json", {"format": _FORMAT, **info})
    except StorageError:
        shutil.rmtree(folder, ignore_errors=True)  # half a run folder is in the way of the next try
        raise
    return run


def open_run(path: Path) -> Run:
    """An existing run folder.

    Raises:
        RunError: no such folder, or it is not a run, or it was written by a newer Snellen.
    """
    if not path.is_dir():
        near = sorted(child.parent.name for child in path.parent.glob("*/run.json")) if path.parent.is_dir() else []
        listed = f" Runs beside it: {', '.join(near[-8:])}." if near else " Train one: snellen train eyechart"
        raise RunError(f"There is no run at {path}.{listed}")
    run = Run(path)
    found = run.info.get("format")
    if found != _FORMAT:
        raise RunError(
            f"{path} has run format {found!r}; this Snellen reads format {_FORMAT}. Upgrade, or train again."
        )
    _require_description(run)
    return run


def _require_description(run: Run) -> None:
    """Raise unless `run.json` says what every later command reads: a run folder may come from anywhere."""
    try:
        info = run.info
        data, texts = info["data"], [info["status"], info["device"], info["precision"], info["data"]["name"]]
        side, names = data["image_shape"], data["class_names"]
        whole = (
            all(isinstance(text, str) for text in [*texts, *names, data["train"]["fingerprint"]])
            and (len(side), len(names) >= 2, type(info["seed"]), type(info["final"])) == (3, True, int, bool)
            and all(type(pixels) is int and 1 <= pixels <= 4096 for pixels in side)
            and all(len(info["statistics"][name]) == side[2] for name in ("mean", "std"))
        )
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise RunError(
            f"{run.folder / 'run.json'} does not describe a Snellen run. Train again, or take another folder."
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _make_unused(root: Path, name: str) -> Path:
    for attempt in range(1, 10_000):
        folder = root / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            root.mkdir(parents=True, exist_ok=True)
            folder.mkdir()
        except FileExistsError:
            if root.is_dir():
                continue
            raise RunError(f"{root} is a file, not a folder for runs. Choose another with --runs.") from None
        except OSError as error:
            raise storage_error(folder, error) from error
        return folder
    raise RunError(f"{root} already holds 9,999 runs called {name}; choose another --name.")
