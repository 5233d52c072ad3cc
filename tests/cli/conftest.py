"""The command line inside this process, where a test can look at it."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from snellen.cli.main import main


@dataclass(frozen=True)
class Answer:
    """What a command gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on stdout; anything beside it is an error."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one line on stderr; anything beside it fails."""
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert "Traceback" not in line
        return line


Snellen = Callable[..., Answer]


@pytest.fixture
def snellen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], small_eyechart: None
) -> Iterator[Snellen]:
    """Run one command line in a folder of its own, where "eyechart" is a small one and nothing else is to be found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("SNELLEN_DATA", "SNELLEN_LEDGER"):
        monkeypatch.delenv(name, raising=False)
    pipe = signal.getsignal(signal.SIGPIPE)

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as left:
            code = int(left.code or 0)
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    yield run
    signal.signal(signal.SIGPIPE, pipe)
