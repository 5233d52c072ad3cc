"""Does the suite notice wrong numbers? `python -m tests.mutants [--only NAME …] [--whole-suite] [--out FILE.json]`.

Each mutant of the catalog is one line made wrong in a copy of the sources. Exit status 1 where one survives.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.measured import write_measured
from tests.mutants.catalog import MUTANTS
from tests.mutants.hunt import SETS, Found, hunt, require_sound
from tests.mutants.mutant import UnfitMutant


def main() -> int:
    """Hunt all mutants or those named; print one line each and, where asked for, write a JSON file."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=sorted(MUTANTS), metavar="NAME", help="these mutants only")
    parser.add_argument(
        "--whole-suite", action="store_true", help="all tests but slow ones, not only those a mutant names"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="where to write what was found")
    options = parser.parse_args()
    mutants = [MUTANTS[name] for name in options.only or MUTANTS]
    found: list[Found] = []
    began = time.monotonic()
    try:
        require_sound(mutants, whole_suite=options.whole_suite)
        for mutant in mutants:
            found.append(hunt(mutant, whole_suite=options.whole_suite))
            by = found[-1].caught_by or "NOBODY: write the missing test"
            print(f"{mutant.name:44} {found[-1].seconds:6.1f} s  {found[-1].caught_in or '':13}  {by}", flush=True)
            if options.out:  # after each: a hunt that is cut off leaves what it found
                _write(options.out, found, began)
    except UnfitMutant as error:
        print(error, file=sys.stderr)
        return 2
    survived = _survivors(found)
    by_set = ", ".join(f"{sum(each.caught_in == name for each in found)} by {name}" for name in SETS)
    caught = f"{len(found) - len(survived)} of {len(found)} caught, {by_set}"
    print(caught + "".join(f"; survived: {name}" for name in survived))
    return 1 if survived else 0


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
