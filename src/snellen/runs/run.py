"""The third noun: what was done, as a folder that explains itself.

    recipe.json            every choice, resolved
    run.json               what it was trained on and how it went: data, split, seed, precision, status, results
    environment.json       versions, processor, commit, command
    metrics.jsonl results.csv   one row per epoch (train and val only); the second is derived from the first
    weights.safetensors    best on val, or the last ones of a --final run
    familiarity.safetensors   by which pictures unlike the training pictures are told
    resume/                what is needed to go on after an interruption
    predictions_val.npz    the answers to val: logits, labels, ids, names of files, content hashes
    scorecard_val.json confusion_val.json confidence_val.json   grades, which follow from the answers
    curves.png confusion.png reliability.png   the same as pictures
    guards.json            what each guard found, with evidence
    robustness.json report.html export/   where they were asked for
    predictions_test.npz scorecard_test.json   and so on: only beside a ledger line

Every file is replaced in one rename, and the folder comes in one: it can be read at any moment, also after a kill.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from snellen import parts
from snellen.errors import RunError, SnellenWarning, StorageError
from snellen.paths import typed
from snellen.recipes.json_form import read_recipe
from snellen.recipes.recipe import Recipe
from snellen.runs.atomic import (
    append_line,
    clear_leftovers,
    make_folder,
    storage_error,
    sync_folder,
    write_json,
    write_text,
)
from snellen.serialize import read_json, to_csv, to_json

Row = dict[str, Any]


class Journal:
    """Rows of numbers in a run folder; `metrics.jsonl` is the truth, `results.csv` is derived from it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "metrics.jsonl"
        self.csv_path = folder / "results.csv"

    def rows(self) -> list[Row]:
        """All whole rows, oldest first. A line torn by a crash is left out, and so is one with more than numbers."""
        if not self.path.exists():
            return []
        rows = []
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = read_json(line)
            except ValueError:
                continue
            if isinstance(row, dict) and all(value is None or isinstance(value, int | float) for value in row.values()):
                rows.append(row)
        return rows

    def append(self, row: Row) -> None:
        """Add a row; it is on disk when this returns."""
        append_line(self.path, json.dumps(row, allow_nan=False))
        self._write_csv(self.rows())

    def keep_until(self, step: int) -> None:
        """Drop rows after `step`: what an interrupted run wrote beyond its last checkpoint is trained again."""
        kept = [row for row in self.rows() if row.get("step", 0) <= step]
        write_text(self.path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in kept))
        self._write_csv(kept)

    def _write_csv(self, rows: list[Row]) -> None:
        write_text(self.csv_path, to_csv(dict.fromkeys(key for row in rows for key in row), rows))


WEIGHTS = "weights.safetensors"
_FORMAT = 2
_MAX_JSON_BYTES = 50_000_000
_LARGEST_SIDE = 4096  # pixels


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
        """The folder as one writes it behind a command, quoted, and the code that was let run here for parts of it."""
        return typed(str(self.folder), *parts.as_options())

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe it was trained with, read once."""
        return read_recipe(self.folder / "recipe.json")

    @property
    def journal(self) -> Journal:
        """The rows of numbers, one per epoch."""
        return Journal(self.folder)

    @property
    def val_looks(self) -> list[float]:
        """Val accuracy, a fraction, of each epoch that was looked at; the weights kept are those of the best."""
        return [row["val/accuracy"] for row in self.journal.rows() if row.get("val/accuracy") is not None]

    @cached_property
    def info(self) -> dict[str, Any]:
        """`run.json`: data, split, seed, precision, status, results. Read once; `refresh` reads what changed since."""
        return self.read("run.json")

    def refresh(self) -> None:
        """Forget what was read of `run.json` and `recipe.json`: another process may have written there."""
        for name in ("info", "recipe"):
            self.__dict__.pop(name, None)

    def update_info(self, **changes: Any) -> None:
        """Replace some entries of `run.json`, as it now lies on the disk."""
        self.write("run.json", {**self.read("run.json"), **changes})

    @property
    def way_out(self) -> str:
        """What to do where it lacks something; with the same seed a run that diverged would diverge again."""
        if self.info["status"] == "diverged":
            return "Its loss became NaN or infinite: train again with half the learning rate."
        if self.info["status"] == "finished":
            return "Train again, or take another copy of it."
        return f"Go on with it: snellen train --resume {self.typed}"

    def require_finished(self) -> None:
        """The rule of every verb that asks a run for answers: its weights are those chosen at the end.

        Raises:
            RunError: it is still in training, or was stopped, or diverged.
        """
        status = self.info["status"]
        if status != "finished":
            raise RunError(f"{self.folder} is not finished (status {status}). {self.way_out}")

    def read(self, name: str) -> dict[str, Any]:
        """One JSON file of the folder.

        Raises:
            RunError: it is missing, too large or not a JSON object.
        """
        path = self.folder / name
        try:
            if path.stat().st_size > _MAX_JSON_BYTES:
                raise RunError(f"{path} has {path.stat().st_size} bytes, more than a run folder's JSON ever has.")
            content = read_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{self.folder} has no {name}; it is not a finished Snellen run.") from None
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read ({error}).") from error
        if not isinstance(content, dict):
            raise RunError(f"{path} must hold a JSON object.")
        return content

    def write(self, name: str, content: Any) -> None:
        """Write one JSON file of the folder in one rename."""
        write_json(self.folder / name, content)
        self.refresh()

    def write_found(self, name: str, content: Any) -> None:
        """As `write`; where a finished run has no place for it, that is a warning, and what was found can be shown.

        Raises:
            StorageError: it cannot be written, and the run is still to come to its end.
        """
        try:
            self.write(name, content)
        except StorageError as error:
            if self.info["status"] != "finished":
                raise
            warnings.warn(str(error), SnellenWarning, stacklevel=2)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder while training in it; the lock ends with the process, also when it is killed.

        What a killed process left half-written is taken away.

        Raises:
            RunError: another process trains in this folder.
            StorageError: nothing can be written there.
        """
        lock = FileLock(self.folder / ".lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RunError(f"{self.folder} is in use by another process. Wait for it, or train under --name.") from None
        except OSError as error:
            raise storage_error(self.folder, error) from error
        try:
            self.refresh()  # whoever held the lock until now may have written
            for place in (self.folder, self.folder / "resume"):
                clear_leftovers(place)
            yield
        finally:
            lock.release()


def create_run(root: Path, name: str, recipe: Recipe, info: dict[str, Any], environment: dict[str, Any]) -> Run:
    """Make a new run folder; a name that is taken gets -2, -3 and so on, never an overwrite.

    It is written aside and renamed into place, so that a kill leaves a whole one or none, and the name free.

    Raises:
        RunError: the name cannot be a folder name.
        StorageError: the folder cannot be made.
    """
    if not re.fullmatch(r"[\w][\w.+-]{0,100}", name):
        raise RunError(f"A run cannot be called {name!r}: use letters, digits, '.', '_', '+' and '-'.")
    require_place(root)
    try:
        make_folder(root)
        with FileLock(root / ".new.lock"):  # no two take one name, and what a kill left belongs to nobody
            for leftover in root.glob(".*.new"):
                shutil.rmtree(leftover, ignore_errors=True)
            draft = Run(root / f".{name}.new")
            try:
                draft.write("recipe.json", to_json(recipe))
                draft.write("environment.json", environment)
                draft.write("run.json", {"format": _FORMAT, **info})
                folder = _unused(root, name)
                draft.folder.rename(folder)
            finally:
                shutil.rmtree(draft.folder, ignore_errors=True)
            sync_folder(root)
    except OSError as error:
        raise storage_error(root / name, error) from error
    return Run(folder)


def require_place(root: Path) -> None:
    """Raise now what making or continuing a run below `root` would raise later; nothing is left behind.

    Raises:
        RunError: a file is in its place.
        StorageError: nothing can be written there.
    """
    try:
        if root.exists() and not root.is_dir():
            raise RunError(f"{root} is a file, not a folder for runs. Choose another with --runs.")
        nearest = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
        with tempfile.TemporaryFile(dir=nearest) as probe:
            probe.write(bytes(4096))
    except OSError as error:
        raise storage_error(root, error) from error


def open_run(path: Path) -> Run:
    """An existing run folder.

    Raises:
        RunError: no such folder, or it is not a run, or one of another version.
    """
    if not path.is_dir():
        near = sorted(child.parent.name for child in path.parent.glob("[!.]*/run.json"))
        listed = f" Runs beside it: {', '.join(near[-8:])}." if near else " Train one: snellen train eyechart"
        raise RunError(f"There is no run at {path}.{listed}")
    run = Run(path)
    require_version(run)
    if run.info.get("format") != _FORMAT or not _describes_run(run.info):
        raise RunError(f"{path / 'run.json'} does not describe a Snellen run. Train again, or take another folder.")
    return run


def corrections_of(info: dict[str, Any]) -> str | None:
    """What a run's labels were corrected by, from its `run.json`, such as "12 rows (3fa2b1)"; None for nothing."""
    told = info["data"].get("corrections") or {}
    return f"{len(told['rows'])} rows ({told['sha256'][:6]})" if told else None


def require_version(run: Run) -> None:
    """Refuse a run folder that another version made.

    Raises:
        RunError: it is of an older or a newer format, or its run.json cannot be read.
    """
    found = run.info.get("format")
    if type(found) is int and found != _FORMAT:
        which, mend = ("an older", "train again") if found < _FORMAT else ("a newer", "upgrade")
        formats = f"run format {found}; this one reads {_FORMAT}"
        raise RunError(f"{run.folder} was made by {which} version of Snellen ({formats}): {mend}.")


def _unused(root: Path, name: str) -> Path:
    for attempt in range(1, 10_000):
        folder = root / (name if attempt == 1 else f"{name}-{attempt}")
        if not os.path.lexists(folder):  # a rename would replace an empty folder
            return folder
    raise RunError(f"{root} already holds 9,999 runs called {name}; choose another --name.")


def _describes_run(info: dict[str, Any]) -> bool:
    """Whether all of run.json that later commands read is there and of its kind: a folder may come from anywhere."""
    try:
        data, final, test = info["data"], info["final"], info["data"]["test"]
        names = data["class_names"]
        texts = [*(info[key] for key in ("status", "device", "precision")), data["name"], data["source"]]
        texts += [corrections_of(info) or "", data["train"]["fingerprint"], *names]
        height, width, channels = data["image_shape"]
        graded = info["status"] == "finished" and final is False
        return (
            all(isinstance(text, str) for text in texts)
            and isinstance(names, list)
            and len(names) >= 2
            and all(type(side) is int and 1 <= side <= _LARGEST_SIDE for side in (height, width, channels))
            and (type(info["seed"]), type(final)) == (int, bool)
            and 0 <= info["seed"] < 2**32
            and all(_are_numbers(info["statistics"][name], channels) for name in ("mean", "std"))
            and all(_is_number(info.get(name, 0)) for name in ("best_epoch", "seconds"))
            and (final or isinstance(data["val"]["fingerprint"], str))
            and (test is None or (type(test["count"]) is int and isinstance(test["identity"], str)))
            and (not graded or _is_grade(info["val"]["accuracy"]))
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _are_numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(map(_is_number, values))


def _is_grade(rate: Any) -> bool:
    return type(rate["hits"]) is type(rate["n"]) is int and 0 <= rate["hits"] <= rate["n"] and _is_number(rate["value"])
