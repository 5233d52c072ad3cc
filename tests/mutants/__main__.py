"""Does the suite notice wrong numbers? `python -m tests.mutants [--only NAME …] [--by-syntax N] [--all] [--out FILE]`.

Each mutant is one expression made wrong in a copy of the sources: those of the catalog and a few planted by syntax and
chance; or as many of those as are asked for. Exit status 1 where one survives. In an order drawn by chance, as many as
twenty minutes allow, and it says how many it did not come to; `--all` takes the time that it takes.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.measured import write_measured
from tests.mutants.by_syntax import planted
from tests.mutants.catalog import MUTANTS
from tests.mutants.hunt import SETS, Found, hunt, require_sound
from tests.mutants.mutant import Mutant, UnfitMutant

_SAMPLE = 15  # planted by syntax beside the catalog
_SECONDS = 1_050.0  # of twenty minutes; what has begun by then is ended
_LONGEST_BY_SYNTAX = 300.0  # seconds of one set of tests; some changes make a loop endless


def main() -> int:
    """Hunt mutants; print one line each and, where asked for, write a JSON file."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these mutants only")
    parser.add_argument("--by-syntax", type=int, metavar="N", help="N mutants planted by syntax, without the catalog")
    parser.add_argument("--seed", type=int, default=0, help="decides which those are, and the order")
    parser.add_argument("--all", action="store_true", help="go on until all were tried")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many are hunted at once")
    parser.add_argument(
        "--whole-suite", action="store_true", help="all tests but slow ones, not only those a mutant names"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="where to write what was found")
    options = parser.parse_args()
    began = time.monotonic()
    by_chance = {each.name: each for each in planted(options.by_syntax or _SAMPLE, options.seed)}
    known = by_chance if options.by_syntax else MUTANTS | by_chance
    if unknown := set(options.only or ()) - set(known):
        parser.error(f"no such mutant: {', '.join(sorted(unknown))}")
    mutants = [known[name] for name in options.only or known]
    random.Random(options.seed).shuffle(mutants)  # where time runs out, every room has had its turn
    found: list[Found] = []
    try:
        if written := [each for each in mutants if each.name in MUTANTS]:
            require_sound(written, whole_suite=options.whole_suite)
        for each in _hunted(mutants, options, began):
            found.append(each)
            by = each.caught_by or "NOBODY: write the missing test"
            print(f"{each.mutant.name:52} {each.seconds:6.1f} s  {each.caught_in or '':13}  {by}", flush=True)
            if options.out:  # after each: a hunt that is cut off leaves what it found
                _write(options.out, found, began)
    except UnfitMutant as error:
        print(error, file=sys.stderr)
        return 2
    survived = _survivors(found)
    by_set = ", ".join(f"{sum(each.caught_in == name for each in found)} by {name}" for name in SETS)
    print(
        f"{len(found)} planted, {len(found) - len(survived)} caught, {by_set}; not tried: {len(mutants) - len(found)}"
    )
    for each in found:
        if each.caught_by is None:
            print(f"\n{each.mutant.name}, {each.mutant.file}\n- {each.mutant.old}\n+ {each.mutant.new}")
    return 1 if survived else 0


def _hunted(mutants: Sequence[Mutant], options: argparse.Namespace, began: float) -> Iterator[Found]:
    """What became of each, as it ends. A change planted by syntax after which no test runs is none, and passed over."""

    def one(mutant: Mutant) -> Found | None:
        if time.monotonic() - began > _SECONDS and not options.all:
            return None
        if mutant.name in MUTANTS:
            return hunt(mutant, whole_suite=options.whole_suite)
        try:
            return hunt(mutant, whole_suite=options.whole_suite, longest=_LONGEST_BY_SYNTAX)
        except UnfitMutant as error:
            print(str(error).splitlines()[0], flush=True)
            return None

    with ThreadPoolExecutor(options.jobs) as pool:
        waiting: list[Future[Found | None]] = [pool.submit(one, mutant) for mutant in mutants]
        try:
            for done in as_completed(waiting):
                if (found := done.result()) is not None:
                    yield found
        finally:
            pool.shutdown(cancel_futures=True)


def _survivors(found: list[Found]) -> list[str]:
    return [each.mutant.name for each in found if each.caught_by is None]


def _write(path: Path, found: list[Found], began: float) -> None:
    survived = _survivors(found)
    write_measured(
        path,
        module="tests.mutants",
        what="mistakes planted one at a time in a copy of the sources, and the first test that noticed each",
        began=began,
        n=len(found),
        caught=len(found) - len(survived),
        caught_in={name: sum(each.caught_in == name for each in found) for name in SETS},
        survived=survived,
        mutants=[each.to_json() for each in found],
    )


if __name__ == "__main__":
    sys.exit(main())
