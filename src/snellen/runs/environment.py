"""Where a run was made: versions, processor, threads, commit, command; and what of it stays on this machine."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from snellen.version import VERSION

_FOLDERS = re.compile(r"(?<![\w./:])(?:[A-Za-z]:)?(?:[/\\][^/\\\s:;,'\"]+)+[/\\](?=[^/\\\s])")
_PACKAGES = ("torch", "numpy", "pillow", "safetensors")


def describe_environment() -> dict[str, Any]:
    """What a number depends on besides the recipe, JSON-able. Device and precision are added by the trainer."""
    return {
        "snellen": VERSION,
        "commit": _commit(),
        "command": shlex.join([*_program(), *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores": processors(),
        "memory_gib": memory_gib(),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def _program() -> list[str]:
    """`snellen`, or the module or script that was started in its place."""
    name = getattr(getattr(sys.modules.get("__main__"), "__spec__", None), "name", "").removesuffix(".__main__")
    started = ["-m", name] if name else [Path(sys.argv[0]).name]
    return ["snellen"] if "snellen" in (name, Path(sys.argv[0]).stem) else ["python", *filter(None, started)]


def processors() -> int:
    """How many of them this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The processor's own name, with its family where the name says little."""
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return platform.processor() or platform.machine()
    fields = {key.strip(): value.strip() for key, _, value in lines}
    name = fields.get("model name", platform.machine())
    return f"{name} (family {fields.get('cpu family', '?')}, model {fields.get('model', '?')})"


def memory_gib() -> float | None:
    """Physical memory in GiB, or None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the source tree this package runs from, with "+changes" when it was edited; None when installed."""
    here = Path(__file__).resolve().parents[1]
    try:
        # A packaged copy inside someone else's repository must not borrow that repository's commit.
        tracked = _git(here, "ls-files", "--error-unmatch", "errors.py")
        if not tracked:
            return None
        return _git(here, "rev-parse", "--short=12", "HEAD") + ("+changes" if _git(here, "status", "-s", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5, check=True
    )  # fmt: skip
    return done.stdout.strip()


def redact_paths(content: Any) -> Any:
    """JSON-able content in whose texts absolute paths are only their last part.

    What is handed on names the file something came from, not where on this disk it lies.
    """
    if isinstance(content, str):
        return _FOLDERS.sub("", content)
    if isinstance(content, list):
        return [redact_paths(each) for each in content]
    if isinstance(content, dict):
        return {key: redact_paths(value) for key, value in content.items()}
    return content
