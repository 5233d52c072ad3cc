"""A viewer that is a process of its own, with a run to show."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.soak.clients import Door, come_in


@dataclass(frozen=True)
class Served:
    """A viewer that is a process of its own."""

    process: subprocess.Popen[str]
    door: Door
    complaints: Path

    def usage(self) -> tuple[float, int]:
        """Its memory in MB and the number of its open files."""
        about = Path(f"/proc/{self.process.pid}")
        pages = int((about / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6, len(list((about / "fd").iterdir()))


def a_run(given: Path | None, folder: Path) -> Path:
    """A copy of a finished run, or an eye chart that is learned now for one epoch, under `folder`.

    All epochs would cost minutes, and what the viewer answers with does not matter here.
    """
    runs = folder / "runs"
    if given is not None:
        return Path(shutil.copytree(given, runs / given.name))
    subprocess.run(
        [sys.executable, "-m", "snellen", "train", "eyechart", "--set", "epochs=1", "--runs", str(runs)],
        check=True, stdout=sys.stderr,
    )  # fmt: skip
    return next(path.parent for path in runs.glob("*/run.json"))


@contextmanager
def serving(run: Path, folder: Path) -> Iterator[Served]:
    """`snellen view` on a run; it is killed in the end, whatever happened."""
    complaints = folder / "stderr.txt"
    with complaints.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "snellen", "view", str(run), "--no-browser", "--json"],
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        printed = process.stdout.readline()
        if not printed:
            sys.exit(f"The viewer did not start:\n{complaints.read_text()}")
        yield Served(process, come_in(json.loads(printed)["url"]), complaints)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
