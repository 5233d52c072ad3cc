"""Cut the power after each system call of a write, and look at everything that may be left of it.

    python -m tests.soak.power_cuts --out FILE.json
    python -m tests.soak.power_cuts --every 9

A kill leaves what was written; a power cut leaves only what was forced to disk, and of the rest any part. For each
write of tests/soak/writes.py `strace` records the calls with what they wrote. `tests/soak/disk.py` replays them, and
after each of them every mixture of old and new names and contents is put on the disk and checked as after a kill. When
the write has returned, nothing of it may be open to chance any more. Exit code 1 at anything else.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak import syscalls  # first: it sets the number of threads before PyTorch is imported
from tests.soak.disk import TREE_CALLS, Disk, State
from tests.soak.writes import Write

from snellen.data.ledger import Ledger
from snellen.runs.environment import describe_environment
from snellen.runs.run import Journal


@dataclass
class Tally:
    """What was tried on one write.

    Attributes:
        moments: calls after which something was open to chance or changed.
        tried: different states that were checked.
        failures: sentences.
    """

    moments: int = 0
    tried: int = 0
    failures: list[str] = field(default_factory=list)


def cut(write: Write, scratch: Path, *, every: int = 1) -> Tally:
    """Record one write, and check what a power cut may leave after each of its calls, or in one of `every` states."""
    place, trace = syscalls.fresh(write, scratch), scratch / "trace"
    before, disk, tally = write.state(place), Disk(place), Tally()
    options = ["-xx", "-s", str(2**24), "-e", f"trace={','.join(TREE_CALLS)}"]
    code, said = syscalls.traced(write, place, options, trace)
    assert (code, said) == (0, "done"), f"{write.name}: {code} {said} {syscalls.log(scratch)}"
    there, seen, met = Disk(place).now(), set[int](), 0
    for line in trace.read_text().splitlines():
        if not disk.apply(line):
            continue
        tally.moments += 1
        for state in disk.states(seed=tally.moments):
            if (known := hash(tuple(state.items()))) in seen:
                continue
            seen.add(known)
            met += 1
            if (met - 1) % every == 0:
                tally.tried += 1
                _lay(state, place)
                amiss = [*_cut_tails(place), *write.check(place, before, False)]
                call = line.split("(")[0]
                tally.failures += [f"{write.name}, after call {tally.moments} ({call}): {text}" for text in amiss]
    assert disk.now() == there, f"{write.name}: the replay did not end where the write did"
    tally.failures += [f"{write.name}: {path} is not forced to disk in the end" for path in disk.left_over()]
    return tally


def _lay(state: State, place: Path) -> None:
    """Put a state on the disk, and nothing else."""
    shutil.rmtree(place)
    place.mkdir()
    for path, content in state.items():
        if content is None:
            (place / path).mkdir()
        else:
            (place / path).write_bytes(content)


def _cut_tails(place: Path) -> list[str]:
    """Take away what there is of a line that was being appended, if readers leave it out and read the lines before it.

    A power cut may leave half of it, which no kill does. The ledger goes on showing it, marked.
    """
    found = []
    for path in place.rglob("*.jsonl"):
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if content == whole:
            continue
        if content.endswith(b"}"):  # nothing but the end of the line is missing
            path.write_bytes(content + b"\n")
            continue
        if path.name == "metrics.jsonl":
            seen = [json.dumps(row) for row in Journal(path.parent).rows()]
        else:
            *before, last = Ledger(path).lines()
            seen = [json.dumps(line.content) for line in before]
            found += [f"{path.name}: half a line is taken for a whole one"] if last.intact else []
        if seen != [json.dumps(json.loads(line)) for line in whole.splitlines()]:
            found.append(f"{path.name}: half a line hides those before it")
        path.write_bytes(whole)
    return found


def report(tallies: dict[str, Tally], *, every: int, seconds: float) -> dict[str, Any]:
    """The outcome, JSON-able."""
    return {
        "what": "the power cut after each system call of each write: every mixture of old and new that fsync allows",
        "command": "python -m tests.soak.power_cuts" + (f" --every {every}" if every > 1 else ""),
        "moments": sum(tally.moments for tally in tallies.values()),
        "states": sum(tally.tried for tally in tallies.values()),
        "failures": [text for tally in tallies.values() for text in tally.failures],
        "writes": {name: {"moments": tally.moments, "states": tally.tried} for name, tally in tallies.items()},
        "seconds": round(seconds, 1),
        "environment": {key: value for key, value in describe_environment().items() if key != "command"},
    }


def main(arguments: list[str]) -> int:
    """Cut; returns the exit code."""
    return syscalls.over_all_writes("power_cuts", str(__doc__), cut, report, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
