"""`snellen compare OLD NEW…`: is one run better, on the val pictures that all of them have?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from snellen.cli.options import WithCode
from snellen.errors import UsageError
from snellen.show.text import print_json


@dataclass(frozen=True, kw_only=True)
class Args(WithCode):
    """What `snellen compare` takes."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Two runs or more; all are held against the first. Their data may have changed in between."""


def run(args: Args) -> int:
    """Compare; returns the exit code."""
    from snellen.evaluate.compare_runs import compare_runs
    from snellen.evaluate.val import evaluate_on_val
    from snellen.runs.run import open_run
    from snellen.show.terminal import show_comparison
    from snellen.show.text import new_console

    if len(args.runs) < 2:
        raise UsageError("Which runs? snellen compare runs/OLD runs/NEW")
    runs = [open_run(path) for path in args.runs]
    found = compare_runs(runs, [evaluate_on_val(one) for one in runs])
    if args.json:
        print_json(found)
    else:
        show_comparison(new_console(), found)
    return 0
