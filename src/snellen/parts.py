"""Parts of a training by reference: the text by which a recipe names a network, a transform, an optimizer and the like.

    NAME                     ours, registered, or of an installed package (entry points in the group `snellen.KIND`)
    FILE.py:NAME             of a file
    package.module:NAME      of a module that can be imported
    given:NAME               an object that was handed over in Python, and lies in no file

Keyword arguments may follow as in a call, literals only: `mine.py:Tiny(width=32)`.

A reference is data and may come from anywhere, so it never decides what is imported. Code runs from files and modules
that the user named, with `allow`: in `--set`, with `--code`, or in Python. A file is known by its name, without its
folder, so that a recipe means the same where the file has moved.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar, get_args

from snellen.errors import SHORT, InvalidSetting, SnellenError, checked, unknown_name
from snellen.paths import user_path

Kind = Literal["model", "transform", "optimizer", "schedule", "loss", "data", "guard"]
GIVEN = "given"
ALL_NAMES = "snellen recipes; those of a file of your own need --code FILE.py"
_OF_FILE = "own_part_"  # the beginning of the name of a module that is a file of somebody's own
_Part = TypeVar("_Part")

_REGISTERED: dict[str, dict[str, Any]] = {kind: {} for kind in get_args(Kind)}
_ALLOWED: dict[str, str] = {}  # a file's name -> its path, a module's name -> itself; in the order they were named
_GIVEN: dict[str, Any] = {}
_LOADED: dict[str, tuple[str, ModuleType]] = {}  # a file's path -> the hash of what was loaded, and the module


@dataclass(frozen=True)
class Reference:
    """A reference, read: of the part `name` in a file or a module, in "given", or in "" for a bare name."""

    where: str
    name: str
    arguments: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What `allow` remembers of `where`: a file's own name, or the module's."""
        return re.split(r"[/\\]", self.where)[-1] if self.where.endswith(".py") else self.where

    def __str__(self) -> str:
        """The spelling that a recipe holds; of a file it has no folder."""
        chosen = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return (f"{self.key}:" if self.where else "") + self.name + (f"({chosen})" if chosen else "")


@cache
def read(text: str) -> Reference:
    """Take a reference apart; nothing is looked up.

    Raises:
        InvalidSetting: it is none, or an argument is no literal.
    """
    found = re.fullmatch(r"(?:(?P<where>.+?):)?(?P<name>[^\W\d][\w-]*)(?P<call>\(.*\))?", text.strip(), re.DOTALL)
    if found is None:
        raise InvalidSetting(
            f"{SHORT.repr(text)} names no part. Write NAME, FILE.py:NAME or package.module:NAME, with arguments as in "
            "mine.py:Tiny(width=32)."
        )
    try:
        call = ast.parse(f"part{found['call'] or '()'}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise ValueError
        arguments = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords if each.arg}
        if len(arguments) != len(call.keywords):  # `**`, or a name that comes twice
            raise ValueError
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise InvalidSetting(
            f"{SHORT.repr(text)}: arguments are written by name, with plain numbers, texts, True, False, None and "
            "lists of them, such as mine.py:Tiny(width=32)."
        ) from None
    return Reference(found["where"] or "", found["name"], arguments)


@checked
def register(kind: Kind, name: str) -> Callable[[_Part], _Part]:
    """Decorator: make a part known by a bare name, unless another file's has it. Ours come in this way too."""
    if not re.fullmatch(r"[^\W\d][\w-]*", name):
        raise InvalidSetting(f"{SHORT.repr(name)} cannot be the name of a part: letters, digits and _.")

    def keep(part: _Part) -> _Part:
        there = _REGISTERED[kind].get(name, part)
        if _home(there) != _home(part):  # another file's; the same one may be read anew
            raise InvalidSetting(f"There is a {kind} called {name} already, of {_home(there)}. Choose another name.")
        _REGISTERED[kind][name] = part
        return part

    return keep


def registered(kind: Kind) -> dict[str, Any]:
    """The parts of a kind that were registered by now, by name; those of named files and modules among them."""
    for where in list(_ALLOWED):
        _module(where)
    return _REGISTERED[kind]


def known(kind: Kind) -> tuple[str, ...]:
    """Every bare name of a kind; of installed packages too, which are not imported for it."""
    return (*dict.fromkeys((*registered(kind), *_brought(kind))),)


def find(kind: Kind, text: str) -> Any:
    """The part that a reference names, with its arguments bound.

    Raises:
        UnknownName: there is none of that name, or it has no such argument; the nearest one is offered.
        InvalidSetting: nobody has allowed its file or module, or that cannot be imported.
    """
    named = read(text)
    part = _in_module(named) if named.where else _by_name(kind, named.name)
    if not named.arguments:
        return part
    accepted = _parameters(part)
    for argument in named.arguments:
        if accepted is not None and argument not in accepted:
            raise unknown_name(f"argument of {named.name}", argument, accepted)
    return partial(part, **named.arguments)


def with_argument(kind: Kind, text: str, name: str, value: Any) -> str:
    """A reference to code that is allowed, with one argument more, if its part takes that; else empty."""
    named = read(text)
    if named.key not in _ALLOWED or name not in (_parameters(find(kind, text)) or ()):
        return ""
    return str(replace(named, arguments={**named.arguments, name: value}))


@checked
def allow(code: str | Path) -> None:
    """Let code run from this file or module from here on, in this process; it is imported at once.

    Raises:
        InvalidSetting: there is no such file, it cannot be imported, or another one of that name was named before.
    """
    text = str(code)
    if not text.endswith(".py"):
        if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", text):
            raise InvalidSetting(f"--code {text} is neither a file that ends in .py nor the name of a module.")
        _imported(text, lambda: importlib.import_module(text))
        _ALLOWED[text] = text
        return
    path = user_path(text).absolute()
    if not path.is_file():
        raise InvalidSetting(f"There is no file {text}, from which code was to be taken.")
    before = Path(_ALLOWED.get(path.name, path))
    if before != path and before.is_file() and before.read_bytes() != path.read_bytes():
        raise InvalidSetting(f"{before} and {path} have one name and are two files. Rename one of them.")
    _imported(path.name, lambda: _of_file(path))
    _ALLOWED[path.name] = str(path)


def allowed() -> tuple[str, ...]:
    """Everything that was allowed, for another process that is to allow the same."""
    return tuple(_ALLOWED.values())


def as_options() -> tuple[str, ...]:
    """The same as the options of a command; a file below this folder by its path from here."""
    here = f"{Path.cwd()}{os.sep}"
    return tuple(word for place in allowed() for word in ("--code", place.removeprefix(here)))


def named_by_user(text: str) -> str:
    """Allow the file or module of a reference that the user wrote; returns the spelling that a recipe holds."""
    named = read(text)
    if named.where and named.where != GIVEN:
        allow(named.where)
    return str(named)


def give(part: Any, reference: str | None = None) -> str:
    """Remember an object, class or function for this process; returns the reference to it, of its class's name.

    `reference` is what it is to be found by instead: that of a run which was trained with it.
    """
    own = part if hasattr(part, "__name__") else type(part)
    name = read(reference).name if reference else re.sub(r"\W", "", own.__name__) or "part"
    while not reference and _GIVEN.get(name, part) is not part:  # of another object: that one goes on to be found
        name += "_"
    _GIVEN[name] = part
    return f"{GIVEN}:{name}"


def sources(references: Iterable[str]) -> dict[str, dict[str, str | None]]:
    """Of each part in a file, a module or "given", the file's name and SHA-256, for `run.json`; raises as `find`."""
    found: dict[str, dict[str, str | None]] = {}
    for text in references:
        named = read(text)
        if not named.where:
            continue
        _in_module(named)
        file = None if named.where == GIVEN else getattr(_module(named.key), "__file__", None)
        path = Path(file) if file else None
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path else None
        found[text] = {"file": path.name if path else None, "sha256": digest}
    return found


def changed(before: Any, references: Iterable[str]) -> str:
    """Which of these parts is other than a `run.json` has it, in one sentence; empty if none is. Raises as `find`.

    `before` is what `sources` gave, or whatever a received folder has in its place.
    """
    for text, now in sources(references).items():
        was = before.get(text) if isinstance(before, dict) else None
        known_as = str(was.get("sha256")) if isinstance(was, dict) else "unknown"
        if now["sha256"] is not None and now["sha256"] != known_as:
            hashes = f"SHA-256 {known_as[:12]}…, now {str(now['sha256'])[:12]}…"
            return f"{now['file']} is not what it was in the training ({hashes})."
    return ""


@contextmanager
def one_sentence(beginning: str) -> Iterator[None]:
    """Inside, whatever somebody's own code raises becomes `beginning`, the error, and the line it happened in.

    Raises:
        InvalidSetting: instead of every exception but our own.
    """
    try:
        yield
    except (SnellenError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        passed = [(frame.f_globals.get("__name__", ""), at) for frame, at in traceback.walk_tb(error.__traceback__)]
        lines = [at for name, at in passed if name.startswith((_OF_FILE, *_ALLOWED))]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
        said = " ".join(str(getattr(error, "msg", error)).split())[:200].rstrip(".")
        where = f", line {line}" if line else ""
        raise InvalidSetting(f"{beginning}: {type(error).__name__}: {said}{where}.") from error


# Looking up


def _by_name(kind: Kind, name: str) -> Any:
    here = registered(kind)
    if name in here:
        return here[name]
    if name not in (brought := _brought(kind)):
        raise unknown_name(kind, name, known(kind), list_with=ALL_NAMES)
    return _imported(f"The {kind} {name} of an installed package", brought[name].load)


@cache
def _brought(kind: str) -> dict[str, EntryPoint]:
    return {each.name: each for each in entry_points(group=f"snellen.{kind}")}


def _in_module(named: Reference) -> Any:
    if named.where == GIVEN:
        if named.name not in _GIVEN:
            raise InvalidSetting(
                f"{named.name} was handed over in Python and lies in no file. Open the run with it again: "
                f"snellen.open_run(PATH, model=…); or name it in a file: FILE.py:{named.name}"
            )
        return _GIVEN[named.name]
    module = _module(named.key)
    if not hasattr(module, named.name):
        own = [name for name, part in vars(module).items() if _home(part) == module.__name__]
        raise unknown_name(f"part of {named.key}", named.name, own)
    return getattr(module, named.name)


def _module(where: str) -> ModuleType:
    """What was allowed under this name, imported; a file again where it has changed."""
    if where not in _ALLOWED:
        files = ", ".join(name for name in _ALLOWED if name.endswith(".py"))
        renamed = f" A file is known by its name: if it is {files} now, call it {where} again." if files else ""
        raise InvalidSetting(
            f"{where} is code of somebody's own, which runs only when you name it yourself. If you trust it: "
            f"--code {'PATH/' if where.endswith('.py') else ''}{where}, or in Python snellen.allow(…).{renamed}"
        )
    path = Path(_ALLOWED[where])
    module: ModuleType = _imported(
        where, lambda: _of_file(path) if path.suffix == ".py" else importlib.import_module(where)
    )
    return module


def _imported(what: str, load: Callable[[], Any]) -> Any:
    with one_sentence(f"{what} cannot be imported"):
        return load()


def _of_file(path: Path) -> ModuleType:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    known_as, module = _LOADED.get(str(path), ("", None))
    if module is not None and known_as == digest:
        return module
    name = f"{_OF_FILE}{path.stem}"  # the same when it is read anew or from elsewhere: what it registers is its own
    loader = _AsHashed(path, content)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None, "it has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look there
    _LOADED[str(path)] = digest, module  # before: what it asks of us while it loads must not load it again
    sys.path.append(str(path.parent))  # it may import its neighbours; last on the path, so that they hide nothing
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name], _LOADED[str(path)]
        raise
    finally:
        sys.path.remove(str(path.parent))
    return module


class _AsHashed(importlib.abc.SourceLoader):
    """Runs the very bytes that were hashed, and leaves no compiled file beside them."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content = path, content

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_data(self, path: Any) -> bytes:
        return self._content


def _home(part: Any) -> str:
    return str(getattr(getattr(part, "func", part), "__module__", ""))


def _parameters(part: Any) -> list[str] | None:
    """The names of a callable's arguments; None where it takes any, or does not say."""
    try:
        parameters = inspect.signature(part).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return None
    return [each.name for each in parameters if each.kind is not inspect.Parameter.POSITIONAL_ONLY]
