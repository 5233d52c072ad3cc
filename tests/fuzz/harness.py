"""What every fuzz target shares: coverage of our own code, and what counts as a finding.

A finding is anything a hostile input may not do: raise something else than a `SnellenError`, write or delete outside
the target's own folder, start a process, reach for the network, or take more than two seconds of processor time. Each
is written down once, by the place it came from, and the run goes on; what kills the process (a crash in C, a hang,
memory without end) is libFuzzer's to report. Import this module before anything of Snellen's.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from snellen.errors import SnellenError

LONGEST_SECONDS = 2.0
"""Of processor time for one input: what a person would call a hang on a slow machine."""
CORPUS = Path(__file__).with_name("corpus")

Read = Callable[[bytes], object]
Edit = Callable[[bytes, Random], bytes]
"""An input changed in its structure: a field of a document, a chunk of a picture."""

TARGETS = ("table", "run_folder", "recipe", "picture", "web", "archive")

_STARTED = getattr(sys.modules["__main__"], "__spec__", None)
if _STARTED is not None and _STARTED.name in {f"tests.fuzz.{target}" for target in TARGETS}:
    import atheris

    # Never left: what is imported while it runs is covered too.
    atheris.instrument_imports(include=["snellen", "PIL", "starlette", "tarfile"]).__enter__()


class NotAllowed(BaseException):
    """Something no reading may do. No `except Exception` of the code under test can swallow it."""


_CHANGES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod")
_NEVER = (
    "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.Popen", "socket.connect",
    "socket.bind", "socket.getaddrinfo",
)  # fmt: skip
_watched: list[Path] = []


def _on_event(event: str, arguments: tuple[object, ...]) -> None:
    if not _watched:
        return
    if event in _NEVER:
        raise NotAllowed(f"{event}{arguments!r:.200}")
    opened = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    for place in arguments[:2] if event in ("os.rename", "os.link") else arguments[:1]:
        if (opened or event in _CHANGES) and isinstance(place, str | bytes | os.PathLike):
            path = os.path.abspath(os.path.join(_relative_to(event, arguments), os.fsdecode(place)))
            if path != os.devnull and not path.startswith(f"{_watched[0]}{os.sep}"):
                raise NotAllowed(f"{event} of {path}")


def _relative_to(event: str, arguments: tuple[object, ...]) -> str:
    """The folder that a path is meant from: `shutil.rmtree` names files inside a folder that it holds open."""
    opened = arguments[-1] if event in ("os.remove", "os.rmdir", "os.mkdir") else -1
    return os.readlink(f"/proc/self/fd/{opened}") if isinstance(opened, int) and opened >= 0 else ""


sys.addaudithook(_on_event)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Inside, whatever a hostile file must not make us do raises: see the top of this file.

    Args:
        folder: the only one below which anything may be written.

    Raises:
        NotAllowed: at the place where it was tried, or because it took too long.
    """
    began = time.process_time()
    _watched.append(folder.resolve())
    try:
        yield
    finally:
        _watched.pop()
    if (seconds := time.process_time() - began) > LONGEST_SECONDS:
        raise NotAllowed(f"took {seconds:.1f} s of processor time")


def try_out(read: Read, content: bytes, folder: Path) -> BaseException | None:
    """What a target does with one input that it may not do, or None."""
    try:
        with watched(folder):
            read(content)
    except SnellenError:
        return None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    return None


def place_of(error: BaseException) -> str:
    """Kind of error and the innermost line of our own it came from: what tells two findings apart."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "snellen" in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "target"
    return f"{type(error).__name__} at {where}"


def seeds(target: str) -> dict[str, bytes]:
    """The committed inputs of a target, by name."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / target).iterdir())}


def fuzz(read: Read, edit: Edit | None = None, *, folder: Path) -> None:
    """Hand `read` to libFuzzer; returns never. Findings go to `$FUZZ_FINDINGS`, a folder.

    The seeds are read once before: what is imported at the first use is not the input's processor time.

    Args:
        read: the target.
        edit: changes inputs in their structure, three times out of four; else bytes are changed.
        folder: the only one that may be written to.
    """
    findings = Path(os.environ.get("FUZZ_FINDINGS") or tempfile.mkdtemp(prefix="findings-"))
    known: set[str] = set()
    for content in seeds(_STARTED.name.rpartition(".")[2]).values() if _STARTED else ():
        try_out(read, content, folder)

    def one_input(content: bytes) -> None:
        error = try_out(read, content, folder)
        if error is None or (place := place_of(error)) in known:
            return
        known.add(place)
        name = hashlib.sha256(content).hexdigest()[:16]
        (findings / f"{name}.input").write_bytes(content)
        (findings / f"{name}.txt").write_text(f"{place}\n\n{''.join(traceback.format_exception(error))}")
        print(f"FINDING {place} {name}", file=sys.stderr, flush=True)

    def mutate(content: bytes, max_size: int, seed: int) -> bytes:
        chance = Random(seed)
        if edit is not None and chance.random() < 0.75:
            return edit(content, chance)[:max_size]
        return atheris.Mutate(content, max_size)

    atheris.Setup(sys.argv, one_input, custom_mutator=mutate)
    atheris.Fuzz()


def own_folder() -> Path:
    """A new folder for what a target has to have on disk, inside `$FUZZ_FOLDER` where that is set."""
    folder = Path(tempfile.mkdtemp(prefix="snellen-fuzz-", dir=os.environ.get("FUZZ_FOLDER"))).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # libFuzzer does not come to that
    return folder
