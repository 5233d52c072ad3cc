"""Run fuzz targets, each in a process of its own, and say what came of it.

    python -m tests.fuzz --target all --executions 1000000 --seconds 720 --out fuzzing.json

A target ends at whichever comes first. Inputs that reached something new stay in `--work`, and so do findings: the
input, and the traceback beside it. The exit code is the number of findings, at most 100.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.fuzz.harness import CORPUS, TARGETS

from snellen.runs.environment import describe_environment

ROOT = Path(__file__).parents[2]
MOST_MEMORY_MIB = 1_500
LONGEST_WALL_SECONDS = 60
"""For one input, where processor time does not pass: a wait. Long, because a machine may be busy with other things."""


@dataclass(frozen=True)
class Outcome:
    """What one target's run came to.

    Attributes:
        executions: inputs tried.
        seconds: by the clock.
        processor_seconds: the process got of them; a busy machine gives few.
        coverage: branches and comparisons of instrumented code reached, libFuzzer's `cov`.
        features: the same told apart by how often, `ft`.
        corpus: inputs kept because each reached something new.
        peak_rss_mib: memory of the process.
        findings: places where something came out that is not allowed, and "libFuzzer: ..." where the process ended.
    """

    target: str
    seed: int
    executions: int
    seconds: float
    processor_seconds: float
    coverage: int
    features: int
    corpus: int
    peak_rss_mib: int
    findings: tuple[str, ...]


# Linux counts the memory of whoever starts a process into its peak, which is what the limit is held against.
_RELAY = """
import os, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
os._exit(os.waitstatus_to_exitcode(os.wait()[1]) & 255)
"""


def run_target(target: str, *, executions: int, seconds: int, seed: int, work: Path) -> Outcome:
    """Fuzz one target in a child process; its output is kept as `work/TARGET.log`."""
    kept, findings = work / target, work / f"{target}-findings"
    kept.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    options = (
        f"-seed={seed}", f"-runs={executions}", f"-max_total_time={seconds}", "-max_len=32768", "-print_final_stats=1",
        f"-timeout={LONGEST_WALL_SECONDS}", f"-rss_limit_mb={MOST_MEMORY_MIB}", f"-artifact_prefix={findings}/",
    )  # fmt: skip
    began, used = time.monotonic(), _processor_seconds()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # files are written a thousand times a second
    with (work / f"{target}.log").open("wb") as log, tempfile.TemporaryDirectory(dir=memory) as scratch:
        done = subprocess.run(
            [
                *(sys.executable, "-I", "-S", "-c", _RELAY),
                *("-m", f"tests.fuzz.{target}", *options, str(kept), str(CORPUS / target)),
            ],
            stdout=log, stderr=log, cwd=ROOT,
            env={**os.environ, "FUZZ_FINDINGS": str(findings), "FUZZ_FOLDER": scratch},
        )  # fmt: skip
    text = (work / f"{target}.log").read_text(errors="replace")
    found = re.findall(r"^FINDING (.*) [0-9a-f]{16}$", text, re.MULTILINE)
    found += re.findall(r"ERROR: (libFuzzer: [^\n]{0,80})", text)
    if done.returncode != 0 and not found:
        found.append(f"the process ended with {done.returncode}: {text.strip().splitlines()[-1:]}")
    states = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)/", text) or [("0", "0", "0")]
    return Outcome(
        target, seed, _number(text, "number_of_executed_units"), round(time.monotonic() - began, 1),
        round(_processor_seconds() - used, 1),
        *map(int, states[-1]), _number(text, "peak_rss_mb"), tuple(found),
    )  # fmt: skip


def _processor_seconds() -> float:
    """Of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _number(text: str, name: str) -> int:
    found = re.search(rf"stat::{name}:\s+(\d+)", text)
    return int(found[1]) if found else 0


def main(arguments: list[str]) -> int:
    """Run what was asked for; returns the number of findings."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Feed Snellen's readers hostile files.")
    parser.add_argument("--target", choices=(*TARGETS, "all"), default="all")
    parser.add_argument("--executions", type=int, default=1_000_000, help="of each target")
    parser.add_argument("--seconds", type=int, default=720, help="for each target")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--work", type=Path, help="folder for logs, inputs and findings; a new one by default")
    parser.add_argument("--out", type=Path, help="write the figures to this file")
    asked = parser.parse_args(arguments)
    work = asked.work or Path(tempfile.mkdtemp(prefix="snellen-fuzzing-"))
    outcomes, environment = [], describe_environment()
    for target in TARGETS if asked.target == "all" else (asked.target,):
        outcome = run_target(
            target, executions=asked.executions, seconds=asked.seconds, seed=asked.seed, work=work.resolve()
        )
        print(json.dumps(asdict(outcome)), flush=True)
        outcomes.append(outcome)
        if asked.out:
            command = f"python -m tests.fuzz {shlex.join(arguments)}"
            content = {**environment, "command": command, "targets": [asdict(each) for each in outcomes]}
            asked.out.write_text(json.dumps(content, indent=2) + "\n")
    return min(100, sum(len(outcome.findings) for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
