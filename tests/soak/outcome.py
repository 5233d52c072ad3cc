"""What a soak found: printed, and kept where it is wanted."""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from snellen.runs.environment import describe_environment


def head(module: str, run: Path | None, began: float) -> dict[str, Any]:
    """Where the numbers of a record about the viewer come from.

    Args:
        module: that was started, as `python -m` takes it.
        run: the finished run that was asked for; None is an eye chart.
        began: when, by `time.time()`.
    """
    asked = [f"runs/{run.name}" if run and each == str(run) else each for each in sys.argv[1:]]
    return {
        "command": shlex.join(["python", "-m", module, *asked]),
        "commit": describe_environment()["commit"],
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(began)),
        "run": run.name if run else "eyechart",
    }


def tell(found: dict[str, Any], out: Path | None) -> None:
    """Print the outcome as JSON, and write it to `out`, whose folder is made."""
    text = json.dumps(found, indent=1, ensure_ascii=False)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n", encoding="utf-8")
    print(text)
