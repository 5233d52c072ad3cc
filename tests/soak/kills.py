"""Kill trainings at random moments, resume them, and compare them with one that nobody disturbed.

    python -m tests.soak.kills --times 300 --seed 1 --out FILE.json
    python -m tests.soak.kills --times 50 --signal TERM

Moments are uniform over the processor time that is left of a run: data, training, saves, looks at val, grading, guards
and the look at test, whose ledger is a scratch one. After each kill the folder must be readable; at the end every file
of it must equal that of the undisturbed run to the bit. Exit code 1 at any difference.
"""

from __future__ import annotations

import argparse
import math
import mmap
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before PyTorch is imported: a process that has threads cannot be forked

from tests.soak.outcome import tell
from tests.soak.training import RECIPES, Ended, attempt, content, differences, go_on, prepare_process, unreadable

from snellen.data.ledger import Ledger
from snellen.evaluate import test_set
from snellen.recipes.recipe import Recipe
from snellen.runs.environment import describe_environment
from snellen.runs.run import Journal
from snellen.train import fit, recorder

_PHASE = mmap.mmap(-1, 1)
"""Where a child is; shared with it, so that the parent knows after its death."""
_PARTS: tuple[tuple[str, Any, str], ...] = (
    ("making the folder", fit, "create_run"),
    ("training", fit, "train"),
    ("saving a checkpoint", recorder, "save_checkpoint"),
    ("looking at val", recorder.Recorder, "_close_epoch"),
    ("saving the best weights", recorder, "save_weights"),
    ("writing the journal", Journal, "append"),
    ("grading", fit, "_grade"),
    ("guards", fit, "check_run"),
    ("opening the test set", test_set, "evaluate_on_test"),
    ("writing the ledger", Ledger, "_append"),
    ("writing test grades", test_set, "write_grades"),
)
_ELSEWHERE = "reading, preparing, showing"
_EXIT_CODES = {
    signal.SIGKILL: {-signal.SIGKILL},
    signal.SIGTERM: {143, -signal.SIGTERM},  # outside a training nobody waits for the signal; a shell says 143 to both
    signal.SIGINT: {130},
    signal.SIGHUP: {129, -signal.SIGHUP},
}
# Python itself prints and drops what is raised in the callback of a weak reference: such a Ctrl-C must be repeated.
_IGNORED = re.compile(r"Exception ignored in: [^\n]*\nTraceback .*?(?:KeyboardInterrupt|Interrupted): ", re.DOTALL)
_TO_EXIT_SECONDS = 5.0
_MOST_IN_ONE_RUN = 5
_LONGEST_DELAY = 0.01


@dataclass
class Tally:
    """What has happened so far."""

    phases: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    slowest_exit: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def landed(self) -> int:
        """Signals that reached a process at work."""
        return self.phases.total()


def soak(times: int, *, seed: int, number: signal.Signals, scratch: Path) -> Tally:
    """Train and disturb until `times` signals have landed."""
    _mark_parts()
    moments, tally = random.Random(seed), Tally()
    undisturbed = {recipe.name: _undisturbed(recipe, scratch / f"whole-{recipe.name}") for recipe in RECIPES}
    print(
        f"seed {seed}; processor seconds undisturbed: {', '.join(f'{n} {s:.1f}' for n, (_, s) in undisturbed.items())}",
        flush=True,
    )
    while tally.landed < times:
        recipe = RECIPES[tally.runs % len(RECIPES)]
        expected, seconds = undisturbed[recipe.name]
        place = scratch / f"{recipe.name}-{tally.runs}"
        if _disturb(recipe, place, seconds, moments, number, tally):
            tally.failures += [f"{place.name}: {name} differs" for name in differences(expected, content(place))]
        tally.runs += 1
        print(f"{tally.landed:4} of {times}, {tally.runs} runs, {len(tally.failures)} failures", flush=True)
    return tally


def _undisturbed(recipe: Recipe, place: Path) -> tuple[dict[str, str], float]:
    """Content and processor seconds of a run that nobody disturbs; made twice, or nothing could be compared."""
    found = []
    for each in (place.with_name(f"{place.name}-again"), place):
        log = each.with_suffix(".log")
        ended = attempt(lambda: go_on(each, recipe), log)  # noqa: B023 - it is called before the next one
        assert ended.code == 0, log.read_text()
        found.append((content(each), ended.processor_seconds))
    unequal = differences(found[0][0], found[1][0])
    assert not unequal, f"two undisturbed runs differ: {unequal}"
    return found[1]


def _disturb(
    recipe: Recipe, place: Path, seconds: float, moments: random.Random, number: signal.Signals, tally: Tally
) -> bool:
    """Start, disturb and resume one run until it comes to its end; returns whether it did."""
    log, times, left = place.with_suffix(".log"), 0, seconds
    while True:
        _PHASE[0] = 0
        moment = moments.uniform(0, left) if times < _MOST_IN_ONE_RUN else math.inf
        delay = moments.uniform(0, _LONGEST_DELAY)
        ended = attempt(lambda: go_on(place, recipe), log, moment=moment, delay=delay, number=number)
        if ended.signalled and ended.code != 0:
            times += 1
            # What was done need not be done again, but for a start and what came after the last save.
            left = max(seconds / 3, left - 0.75 * ended.processor_seconds)
            tally.phases[(_ELSEWHERE, *(name for name, _, _ in _PARTS))[_PHASE[0]]] += 1
            tally.slowest_exit = max(tally.slowest_exit, ended.to_exit_seconds)
        tally.failures += [f"{place.name}: {text}" for text in [*_amiss(ended, number, log), *unreadable(place)]]
        if not ended.signalled or ended.code not in _EXIT_CODES[number]:
            return ended.code == 0


def _amiss(ended: Ended, number: signal.Signals, log: Path) -> list[str]:
    found = []
    if ended.code not in (_EXIT_CODES[number] | {0} if ended.signalled else {0}):
        found.append(f"exit code {ended.code}: {log.read_text()[-2000:]}")
    if "Traceback" in _IGNORED.sub("", log.read_text()):
        found.append(f"a traceback: {log.read_text()[-2000:]}")
    if ended.signalled and ended.to_exit_seconds > _TO_EXIT_SECONDS:
        found.append(f"{ended.to_exit_seconds:.1f} s from the signal to the exit")
    return found


def _mark_parts() -> None:
    """Let the parts of a run say in shared memory that they are at work."""
    for place, (_, owner, name) in enumerate(_PARTS, start=1):
        setattr(owner, name, _marked(getattr(owner, name), place))


def _marked(function: Callable[..., Any], place: int) -> Callable[..., Any]:
    @wraps(function)
    def marked(*arguments: Any, **options: Any) -> Any:
        before = _PHASE[0]
        _PHASE[0] = place
        result = function(*arguments, **options)  # where it is left by an error, it is what was disturbed
        _PHASE[0] = before
        return result

    return marked


def report(tally: Tally, *, times: int, seed: int, number: signal.Signals, seconds: float) -> dict[str, Any]:
    """The outcome, JSON-able. `failure_rate_below` is the rule of three: no failure in n, 95 % confidence."""
    environment = describe_environment()
    command = f"python -m tests.soak.kills --times {times} --seed {seed} --signal {number.name.removeprefix('SIG')}"
    return {
        "what": f"trainings disturbed by {number.name} at random moments, resumed, compared with undisturbed ones",
        "command": command,
        "seed": seed,
        "asked": times,
        "landed": tally.landed,
        "landed_in": dict(tally.phases.most_common()),
        "runs": tally.runs,
        "most_in_one_run": _MOST_IN_ONE_RUN,
        "failures": tally.failures,
        "failure_rate_below": round(3 / tally.landed, 4) if not tally.failures else None,
        "slowest_exit_seconds": round(tally.slowest_exit, 3),
        "seconds": round(seconds, 1),
        "environment": {key: value for key, value in environment.items() if key != "command"},
    }


def main(arguments: list[str]) -> int:
    """Soak; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.kills", description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=300, help="signals that must land")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--signal", choices=("KILL", "TERM", "INT", "HUP"), default="KILL")
    parser.add_argument("--out", type=Path, help="keep the outcome here, as JSON")
    parsed = parser.parse_args(arguments)
    number = signal.Signals[f"SIG{parsed.signal}"]
    prepare_process()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="snellen-soak-") as scratch:
        tally = soak(parsed.times, seed=parsed.seed, number=number, scratch=Path(scratch))
    found = report(tally, times=parsed.times, seed=parsed.seed, number=number, seconds=time.monotonic() - started)
    tell(found, parsed.out)
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
