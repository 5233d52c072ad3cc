"""Kill, or fail, each system call by which a write reaches the disk, one after the other, and look at what is left.

    python -m tests.soak.syscalls --out FILE.json
    python -m tests.soak.syscalls --every 9

For each write below, `strace` first counts its calls of write, fsync, rename and mkdir. Then each of them once is the
last thing the process does (KILL), once the first of all that find the disk full (ENOSPC), and once fails alone (EIO).
What was there before, or what was to be written, must be there whole; an error must be one of our sentences and leave
no temporary file; and what goes on from there must end as if nothing had happened. Exit code 1 at anything else.
"""

from __future__ import annotations

import argparse
import contextlib
import mmap
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported: a process that has threads cannot be forked

from tests.soak.outcome import tell
from tests.soak.training import fork as fork_child
from tests.soak.training import prepare_process
from tests.soak.writes import Write, writes

from snellen.errors import SnellenError
from snellen.runs.environment import describe_environment

CALLS = ("write", "pwrite64", "writev", "fsync", "fdatasync", "rename", "renameat", "renameat2", "mkdir", "mkdirat")
_TRACE = ["-e", f"trace={','.join(CALLS)}"]
KINDS = {"KILL": "signal=KILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}
_SAID = mmap.mmap(-1, 4096)
"""What a child has to say; shared, because every write of its own would be counted."""


@dataclass
class Tally:
    """What was tried on one write.

    Attributes:
        calls: names of its system calls -> how many.
        tried: kind -> at how many calls.
        failures: sentences.
    """

    calls: Counter[str]
    tried: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def why_not() -> str | None:
    """Why system calls cannot be injected here, or None where they can."""
    if shutil.which("strace") is None:
        return "strace is not installed: apt-get install strace"
    with subprocess.Popen(["sleep", "60"]) as asleep:
        probe = subprocess.run(
            ["timeout", "2", "strace", "-qq", "-p", str(asleep.pid)], capture_output=True, text=True, check=False
        )
        asleep.kill()
    return None if probe.returncode == 124 else f"strace cannot trace here: {probe.stderr.strip()}"


def sweep(write: Write, scratch: Path, *, every: int) -> Tally:
    """Disturb one write at each of its calls, or at one in `every`."""
    trace = scratch / "trace"
    place = fresh(write, scratch)
    code, said = traced(write, place, _TRACE, trace)
    assert (code, said) == (0, "done"), f"{write.name}: {code} {said} {log(scratch)}"
    names = re.findall(r"^(?:\d+ +)?(\w+)\(", trace.read_text(), re.MULTILINE)
    tally = Tally(Counter(names))
    for kind, how in KINDS.items():
        for n in range(1, len(names) + 1, every):
            place = fresh(write, scratch)
            before = write.state(place)
            code, said = traced(write, place, [*_TRACE, *_injections(how, names[:n], lasting=kind == "ENOSPC")], trace)
            tally.tried[kind] += 1
            amiss = [*_amiss(kind, names[n - 1], code, said), *write.check(place, before, kind != "KILL")]
            tally.failures += [f"{write.name}, {kind} at call {n} ({names[n - 1]}): {text}" for text in amiss]
    return tally


def _injections(how: str, names: list[str], *, lasting: bool) -> list[str]:
    """For strace, which counts the calls of each name by itself: the last of `names`, or also all after it."""
    if not lasting:
        return ["-e", f"inject={names[-1]}:{how}:when={names.count(names[-1])}"]
    each = (f"inject={name}:{how}:when={names[:-1].count(name) + 1}+" for name in CALLS)
    return [word for injection in each for word in ("-e", injection)]


def fresh(write: Write, scratch: Path) -> Path:
    """The place where the write is made, as it is before."""
    place = scratch / "place"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(write.beginning, place)
    return place


def traced(write: Write, place: Path, options: list[str], trace: Path) -> tuple[int, str]:
    """Make the write in a child under strace; returns its exit code and what it said.

    Args:
        write: what to make.
        place: the child's folder.
        options: of strace.
        trace: file for what strace tells.
    """
    _SAID[:] = bytes(len(_SAID))
    waits, begin = os.pipe()

    def act() -> int:
        os.chdir(place)
        made = write.prepare()
        os.read(waits, 1)
        try:
            made()
        except SnellenError as error:
            said = f"{type(error).__name__}: {error}"
        else:
            said = "done"
        _SAID[: len(said.encode())] = said.encode()
        return 0

    child = fork_child(act, trace.with_name("log"))
    command = ["strace", "-qq", "-o", str(trace), *options, "-p", str(child)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
        status = Path(f"/proc/{child}/status")
        while "TracerPid:\t0" in status.read_text():
            if strace.poll() is not None:
                os.kill(child, signal.SIGKILL)  # it would wait for ever
                raise AssertionError(strace.stderr and strace.stderr.read())
            time.sleep(0.001)
        os.write(begin, b"1")
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(waits)
    os.close(begin)
    return code, bytes(_SAID).rstrip(b"\0").decode()


def _amiss(kind: str, call: str, code: int, said: str) -> list[str]:
    if kind == "KILL":
        return [] if code == -9 else [f"not killed: {code} {said}"]
    if call == "mkdir" and kind == "EIO" and (code, said) == (0, "done"):
        return []  # the folder was there: making it had failed anyway
    if code != 0 or said == "done" or not said.startswith(("StorageError: ", "SealError: ")):
        return [f"no sentence: exit code {code}, {said!r}"]
    return [] if said.count("\n") == 0 else [f"more than one line: {said}"]


def log(scratch: Path) -> str:
    """The end of what the child complained about."""
    with contextlib.suppress(OSError):
        return (scratch / "log").read_text()[-2000:]
    return ""


def report(tallies: dict[str, Tally], *, every: int, seconds: float) -> dict[str, Any]:
    """The outcome, JSON-able."""
    environment = describe_environment()
    tried: Counter[str] = sum((tally.tried for tally in tallies.values()), Counter())
    return {
        "what": "each system call of each write killed, out of space, or failed; see tests/soak/syscalls.py",
        "command": "python -m tests.soak.syscalls" + (f" --every {every}" if every > 1 else ""),
        "calls": sum(tally.calls.total() for tally in tallies.values()),
        "tried": dict(tried),
        "failures": [text for tally in tallies.values() for text in tally.failures],
        "writes": {name: {"calls": dict(tally.calls), "tried": dict(tally.tried)} for name, tally in tallies.items()},
        "seconds": round(seconds, 1),
        "environment": {key: value for key, value in environment.items() if key != "command"},
    }


def main(arguments: list[str]) -> int:
    """Sweep; returns the exit code."""
    return over_all_writes("syscalls", str(__doc__), sweep, report, arguments)


def over_all_writes(
    name: str, about: str, attempt: Callable[..., Any], report: Callable[..., dict[str, Any]], arguments: list[str]
) -> int:
    """The command `python -m tests.soak.NAME`: try each write, tell of it, and tell what was found in all.

    Args:
        name: of the module.
        about: its docstring.
        attempt: given a write, a scratch folder and `every`, tells what it tried and its `failures`.
        report: given these by the write's name, `every` and `seconds`, makes the outcome.
        arguments: of the command line.

    Returns:
        The exit code: 1 if anything failed, 2 where it cannot be tried.
    """
    parser = argparse.ArgumentParser(prog=f"python -m tests.soak.{name}", description=about.split("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="try one in so many")
    parser.add_argument("--out", type=Path, help="keep the outcome here, as JSON")
    parsed = parser.parse_args(arguments)
    if reason := why_not():
        print(reason, file=sys.stderr)
        return 2
    prepare_process()
    started, tallies = time.monotonic(), {}
    with tempfile.TemporaryDirectory(prefix="snellen-soak-") as folder:
        scratch = Path(folder)
        for write in writes(scratch):
            tally = tallies[write.name] = attempt(write, scratch, every=parsed.every)
            print(f"{write.name}: {tally.tried} tried, {len(tally.failures)} failures", flush=True)
    found = report(tallies, every=parsed.every, seconds=time.monotonic() - started)
    tell(found, parsed.out)
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
