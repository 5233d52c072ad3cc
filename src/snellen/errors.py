"""Every error a user can meet, as a tree.

    SnellenError                     one sentence: what is wrong, with the value, and the way out
    ├── UsageError                   the command or a setting is wrong (exit code 2)
    │   ├── UnknownName              no such recipe, model, data set, run …; names the nearest match
    │   └── InvalidSetting           a field has a value it cannot have
    ├── DataError                    what lies on disk is not what it should be (exit code 1)
    │   ├── DataNotFound             names every place tried
    │   ├── ChecksumMismatch         prints both sums; never deletes the file
    │   ├── HostileFile              a file holds something that must not be read
    │   ├── NotAPicture              a file is of none of the picture formats that are read
    │   ├── TooLarge                 a picture has more bytes or pixels than are read
    │   └── BadSplit                 a class or split too small to learn from or to judge
    ├── RunError                     a run folder is missing, broken, locked or of another version
    ├── TrainingDiverged             the loss became NaN or infinite; the last good weights are kept
    ├── MissingExtra                 a part that is installed separately is not here; says how to get it
    ├── TrackerError                 TensorBoard, W&B, MLflow or the hub did not take a run
    ├── SealError                    the test set was asked for without a ledger line
    └── StorageError                 disk full, read-only folder: what could not be written, and where

`UnfinishedRun`, a warning, says that the answers are those of a run that has not come to its end.
`SnellenError`s are printed as one sentence without traceback. Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class SnellenError(Exception):
    """Base of all errors that a user can cause and mend."""

    exit_code = 1


class UsageError(SnellenError, ValueError):
    """The command or a setting is wrong."""

    exit_code = 2


class UnknownName(UsageError):
    """No such name; the message offers the nearest ones."""


class InvalidSetting(UsageError):
    """A field has a value that it cannot have."""


class DataError(SnellenError):
    """What lies on disk is not what it should be."""


class DataNotFound(DataError):
    """The data set is in none of the places tried."""


class ChecksumMismatch(DataError):
    """A file's checksum differs from the published one."""


class HostileFile(DataError):
    """A file holds something that must not be read, such as a foreign class inside a pickle."""


class NotAPicture(DataError):
    """A file is of none of the picture formats that are read."""


class TooLarge(DataError):
    """A picture has more bytes or pixels than are read."""


class BadSplit(DataError):
    """A class or split is too small to learn from or to judge."""


class RunError(SnellenError):
    """A run folder is missing, broken, locked or of another version."""


class TrainingDiverged(SnellenError):
    """The loss became NaN or infinite."""


class MissingExtra(SnellenError):
    """A part that is installed separately is not here."""


class TrackerError(SnellenError):
    """A tracker did not take what it was given; the run folder is as it was."""


class SealError(SnellenError):
    """The test set was asked for without a ledger line."""


class StorageError(SnellenError):
    """Something could not be written: disk full, folder read-only."""


class UnfinishedRun(UserWarning):
    """What answers are weights kept so far, not those of a finished training."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None, since a wrong hint is worse than none.

    Near is a slip of a letter or two, or a word that begins alike: prune for data_pruning, lr for optimizer.lr.
    """
    choices = list(known)
    slip = difflib.get_close_matches(name, choices, n=1, cutoff=0.75)
    words = _words(name)

    def alike(choice: str) -> tuple[int, int, float]:
        others = _words(choice)
        shared = sum(any(word == other or word[:4] == other[:4] != word for other in others) for word in words)
        return shared, -abs(len(words) - len(others)), difflib.SequenceMatcher(None, name, choice).ratio()

    best = slip[0] if slip else max(choices, key=alike, default=None)
    return best if best and (slip or alike(best)[0]) else None


def _words(name: str) -> list[str]:
    return re.split("[_-]", name.lower().rpartition(".")[2])


def unknown_name(kind: str, name: str, known: Iterable[str], *, list_with: str) -> UnknownName:
    """The error for a name that does not exist, with the nearest match.

    Args:
        kind: what was named, such as "recipe".
        name: what the user wrote.
        known: all names that exist.
        list_with: the command that lists them.
    """
    choices = sorted(known)
    near = nearest(name, choices)
    hint = f"Did you mean {near!r}? " if near else f"Known: {', '.join(choices)}. "
    return UnknownName(f"Unknown {kind} {name!r}. {hint}List them: {list_with}")
