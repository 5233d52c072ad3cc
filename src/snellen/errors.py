"""Every error a user can meet: one sentence that says what is wrong, with the value, and the way out.

`SnellenError`s are printed as that sentence without traceback. Anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import numbers
import re
import reprlib
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

_Function = TypeVar("_Function", bound=Callable[..., Any])
SHORT = reprlib.Repr()  # a wrong value may be a megabyte long; its message stays a sentence
SHORT.maxstring = SHORT.maxother = 60
_WORDS: dict[Any, str] = {
    str: "text", int: "a whole number", float: "a number", bool: "True or False", Path: "a path", type(None): "None",
}  # fmt: skip


class SnellenError(Exception):
    """Base of all errors that a user can cause and mend."""

    exit_code = 1


class SnellenWarning(UserWarning):
    """Something that a user should know and that stops nothing; shown as one sentence."""


class UsageError(SnellenError, ValueError):
    """The command or a setting is wrong (exit code 2)."""

    exit_code = 2


class UnknownName(UsageError):
    """No such recipe, model, data set, run …; the message offers the nearest one."""


class InvalidSetting(UsageError):
    """A field has a value that it cannot have."""


class DataError(SnellenError):
    """What lies on disk is not what it should be (exit code 1)."""


class DataNotFound(DataError):
    """The data set is in none of the places tried, which the message names."""


class ChecksumMismatch(DataError):
    """A file's checksum differs from the published one; both are named, and the file is never deleted."""


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
    """The loss became NaN or infinite; the last good weights are kept."""


class MissingExtra(SnellenError):
    """A part that is installed separately is not here; the message says how to get it."""


class TrackerError(SnellenError):
    """TensorBoard, W&B, MLflow or the hub did not take a run; the run folder is as it was."""


class SealError(SnellenError):
    """The test set was asked for without a ledger line."""


class StorageError(SnellenError):
    """Something could not be written: disk full, folder read-only."""


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

    whole = [choice for choice in choices if choice.rpartition(".")[2] == name.rpartition(".")[2]]
    if len(whole) == 1:  # of a dotted field its last part was written
        return whole[0]
    best = slip[0] if slip else max(choices, key=alike, default=None)
    return best if best and (slip or alike(best)[0]) else None


def _words(name: str) -> list[str]:
    return re.split("[_-]", name.lower().rpartition(".")[2])


def unknown_name(kind: str, name: str, known: Iterable[str], *, list_with: str = "") -> UnknownName:
    """The error for a name that does not exist, with the nearest match.

    Args:
        kind: what was named, such as "recipe".
        name: what the user wrote.
        known: all names that exist.
        list_with: the command that lists them; without one they are listed here.
    """
    choices = sorted(known)
    near = nearest(name, choices)
    hint = f" Did you mean {near!r}?" if near else ""
    listed = f" Known: {', '.join(choices)}." if not (near and list_with) else ""
    return UnknownName(f"Unknown {kind} {name!r}.{hint}{listed}" + (f" List them: {list_with}" if list_with else ""))


# Arguments from Python


def checked(function: _Function) -> _Function:
    """A public function whose arguments are held against their annotations: one of a wrong type is one sentence."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        hints = _hints(function)
        for name, value in signature.bind(*given, **named).arguments.items():
            several = signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
            if name in hints and signature.parameters[name].kind is not inspect.Parameter.VAR_KEYWORD:
                for each in value if several else (value,):
                    require_type(name, each, hints[name])
        return function(*given, **named)

    return typing.cast(_Function, call)


def require_types(holder: object, prefix: str = "") -> None:
    """Hold what an object was made with, as its attributes have it, against the annotations of its class's `__init__`.

    `prefix` stands before each name in the sentence.

    Raises:
        InvalidSetting: one is of another type.
    """
    for name, hint in _hints(type(holder).__init__).items():
        if name != "return":
            require_type(prefix + name, getattr(holder, name), hint)


def require_type(name: str, value: object, hint: Any) -> None:
    """One value against one annotation; what `isinstance` cannot judge passes.

    Raises:
        InvalidSetting: it is of another type.
    """
    if not _fits(value, hint):
        raise InvalidSetting(f"{name}={SHORT.repr(value)} is not possible: {_spoken(hint)}.")


_hints = functools.cache(typing.get_type_hints)


def _fits(value: Any, hint: Any) -> bool:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in inside)
    if origin is Literal:
        return isinstance(value, str) and value in inside
    if origin in (tuple, Sequence):
        if not isinstance(value, tuple | list if origin is tuple else Sequence) or isinstance(value, str | bytes):
            return False
        kinds = inside if origin is tuple and inside[-1] is not Ellipsis else (inside[0],) * len(value)
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    if origin is Mapping:
        return isinstance(value, Mapping)
    if hint in (int, float):
        return isinstance(value, numbers.Integral if hint is int else numbers.Real) and not isinstance(value, bool)
    judged = isinstance(hint, type) and origin is None and hint is not Any and not getattr(hint, "_is_protocol", False)
    return isinstance(value, hint) if judged else True


def _spoken(hint: Any) -> str:
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_spoken, inside))
    if origin is Literal:
        return " or ".join(map(repr, inside))
    if origin in (tuple, Sequence):
        return (
            f"a list of {len(inside)} entries"
            if origin is tuple and Ellipsis not in inside
            else f"a list of {_spoken(inside[0])}"
        )
    if origin is Mapping:
        return "named values"
    return _WORDS.get(hint) or str(getattr(hint, "__name__", hint))
