"""Run the tests against copies of the sources with one mistake each; the working tree is only read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.mutants.mutant import ROOT, Mutant, UnfitMutant

SETS = {
    "make test": "not processes and not long and not slow and not gpu",
    "make test-all": "(processes or long) and not slow and not gpu",
}
"""The two sets of tests in the order in which they are asked, as `Makefile` has them."""
WHOLE_SUITE = ("tests", "--ignore=tests/mutants")
_FAILED, _PASSED, _NONE_CHOSEN = 1, 0, 5  # pytest's exit codes; any other means that the tests did not run
_LONGEST_SECONDS = 3_600.0  # also for the whole suite; an endless loop ends there
_NOTICED = re.compile(r"^(?:FAILED|ERROR) (tests/\S+?::.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Found:
    """What became of a mutant.

    Attributes:
        mutant: the mistake.
        caught_by: the first test that failed; None where all passed and the mistake survived.
        caught_in: which of `SETS` that test is in.
        seconds: of the tests, until the first failure.
    """

    mutant: Mutant
    caught_by: str | None
    caught_in: str | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The mutant's fields, and what became of it."""
        about = asdict(self.mutant) | {"tests": list(self.mutant.tests)}
        noticed = {"caught": self.caught_by is not None, "caught_by": self.caught_by, "caught_in": self.caught_in}
        return about | noticed | {"seconds": self.seconds}


def hunt(mutant: Mutant, *, whole_suite: bool = False, longest: float = _LONGEST_SECONDS) -> Found:
    """Break a copy of the sources and see whether the tests notice: those of `make test` first, then the others.

    Args:
        mutant: the mistake.
        whole_suite: run all fast tests instead of those that the mutant names.
        longest: seconds that the tests of one set may take.

    Raises:
        UnfitMutant: the mutant's line is gone, or no test could be run against it.
    """
    with copied_sources() as source:
        mutant.apply(source)
        started = time.monotonic()
        for name, markers in SETS.items():
            chosen = WHOLE_SUITE if whole_suite else mutant.paths
            done = _run_to_an_end(mutant, source, [*chosen, "-m", markers], longest)
            if done.returncode in (_PASSED, _NONE_CHOSEN):
                continue
            noticed = _NOTICED.search(done.stdout)
            if done.returncode != _FAILED or noticed is None:
                raise UnfitMutant(f"{mutant.name}: the tests did not run.\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            return Found(mutant, noticed[1], name, round(time.monotonic() - started, 1))
    return Found(mutant, None, None, round(time.monotonic() - started, 1))


def _run_to_an_end(
    mutant: Mutant, source: Path, arguments: Sequence[str], longest: float
) -> subprocess.CompletedProcess[str]:
    try:
        return run_tests(source, arguments, timeout=longest)
    except subprocess.TimeoutExpired:
        raise UnfitMutant(
            f"{mutant.name}: its tests did not end within {longest:.0f} s. It makes a loop endless; plant "
            "another mistake."
        ) from None


def require_sound(mutants: Sequence[Mutant], *, whole_suite: bool = False) -> None:
    """Run the same tests on an unbroken copy: where they fail anyway, failing proves nothing.

    Raises:
        UnfitMutant: a test fails, or the copy is not what is tested.
    """
    paths = sorted({path for mutant in mutants for path in mutant.paths})
    with copied_sources() as source:
        where = "import pathlib, snellen; print(pathlib.Path(snellen.__file__).resolve().parents[1])"
        tested = subprocess.run(
            [sys.executable, "-c", where],
            env=_environment(source),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        if Path(tested.stdout.strip()) != source.resolve():
            raise UnfitMutant(f"The tests import Snellen from {tested.stdout.strip()}, not from the copy {source}.")
        done = run_tests(source, [*(WHOLE_SUITE if whole_suite else paths), "-m", "not slow and not gpu"])
    if done.returncode != _PASSED:
        raise UnfitMutant(f"The tests fail without any mutant.\n{done.stdout[-4000:]}{done.stderr[-2000:]}")


@contextmanager
def copied_sources() -> Iterator[Path]:
    """A folder with a copy of the package and without its bytecode, gone afterwards."""
    with TemporaryDirectory(prefix="mutant-") as folder:
        source = Path(folder) / "src"
        # No bytecode: a mutant of equal length within the same second would be taken for the original.
        shutil.copytree(ROOT / "src" / "snellen", source / "snellen", ignore=shutil.ignore_patterns("__pycache__"))
        yield source


def run_tests(
    source: Path, arguments: Sequence[str], *, timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    """pytest on these arguments against the package in `source`, up to the first failure."""
    options = (
        "-x",
        "-q",
        "--tb=no",
        "-rfE",
        "-p",
        "no:cacheprovider",
        "--hypothesis-seed=0",
        "--hypothesis-profile=hunt",
    )
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    return subprocess.run(command, env=_environment(source), cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def _environment(source: Path) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(source),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(source.parent / "hypothesis"),
        "COLUMNS": "500",  # or pytest cuts the names of the tests
    }
