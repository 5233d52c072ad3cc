"""What a measurement of the suite leaves in `results/`: the numbers, and what they depend on."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from snellen.runs.environment import describe_environment


def write_measured(path: Path, *, module: str, what: str, began: float, **found: Any) -> None:
    """Write what was found as JSON, with command, seconds, machine and commit.

    Args:
        path: the file; its folder is made.
        module: that was started, as `python -m` takes it.
        what: one sentence: what the numbers are.
        began: when, by `time.monotonic()`.
        found: the numbers.
    """
    here = describe_environment()
    record = {
        "what": what,
        "command": shlex.join(["python", "-m", module, *sys.argv[1:]]),
        "commit": here["commit"],
        "machine": f"{here['processor']}, {here['cores']} cores",
        "python": here["python"],
        "packages": here["packages"],
        "seconds": round(time.monotonic() - began, 1),
        **found,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
