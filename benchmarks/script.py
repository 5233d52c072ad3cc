"""How a script here shows and keeps what it measures: each line as soon as it is there, errors as one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from snellen.bench.protocol import Measurement, document, table
from snellen.errors import SnellenError
from snellen.runs.atomic import write_json


def keep(lines: Iterable[Measurement], out: Path | None, *, quick: bool = False) -> list[Measurement]:
    """Take the lines one by one, write all so far into `out` (.json) after each, and print their table at the end."""
    found: list[Measurement] = []
    for line in lines:
        found.append(line)
        if out is not None:
            write_json(out, document(found, quick=quick))
    print(table(found), flush=True)
    return found


def say(error: SnellenError) -> int:
    """Print an error as one sentence; returns the exit code."""
    print(f"snellen: {error}", file=sys.stderr)
    return error.exit_code
