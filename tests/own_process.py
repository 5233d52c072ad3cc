"""A test of `make test` stays in its own process; one that does not is marked, and then `make test-all` runs it.

A fresh interpreter costs a second or two of processor before it has done anything, a pool of them several. So a test
that starts one without saying so by its marker fails here, whoever starts it: the test, a fixture, or what it tests.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

PROCESS_FOLDERS = ("environments", "fuzz", "soak")
"""All that is in these folders of `tests` has the marker `processes`."""
_MAY_START = frozenset({"processes", "torchrun", "browser", "slow", "gpu"})
_CHEAP = frozenset({"fc-list", "git", "mount", "ps", "umount", "uname"})  # milliseconds, and not an interpreter

_running: list[pytest.Item] = []


def pytest_configure() -> None:
    """From now on each start of a process is looked at."""
    begin_program, begin_worker = subprocess.Popen.__init__, BaseProcess.start

    def looked_at_program(self: subprocess.Popen[Any], args: Any, *more: Any, **options: Any) -> None:
        first = args if isinstance(args, str | os.PathLike) else args[0]
        if Path(os.fsdecode(first)).name not in _CHEAP:
            _require_marker(f"{args}")
        begin_program(self, args, *more, **options)

    def looked_at_worker(self: BaseProcess) -> None:
        _require_marker(f"a worker of multiprocessing, {self.name}")
        begin_worker(self)

    subprocess.Popen.__init__ = looked_at_program  # type: ignore[method-assign,assignment]
    BaseProcess.start = looked_at_worker  # type: ignore[method-assign]


def pytest_itemcollected(item: pytest.Item) -> None:
    """What is in a folder of processes has their marker."""
    if item.path.relative_to(Path(__file__).parent).parts[0] in PROCESS_FOLDERS:
        item.add_marker(pytest.mark.processes)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Remembers who is running."""
    _running[:] = [item]
    try:
        return (yield)
    finally:
        _running.clear()


def _require_marker(what: str) -> None:
    if _running and not any(mark.name in _MAY_START for mark in _running[0].iter_markers()):
        pytest.fail(f"{_running[0].nodeid} starts {what}. Mark it `processes`, or do the same in this process.")
