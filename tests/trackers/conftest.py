"""Runs with rows and with trackers, and an ear for whatever wants to leave this machine."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from snellen.data.dataset import Dataset
from snellen.evaluate import grade
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.train import fit as fitting


class Ear(socketserver.ThreadingTCPServer):
    """A proxy on loopback that refuses everything and remembers who was to be reached."""

    daemon_threads = True

    def __init__(self) -> None:
        self.heard: list[str] = []
        super().__init__(("127.0.0.1", 0), _Refuse)

    @property
    def environment(self) -> dict[str, str]:
        """What sends every HTTP client of a process here, those written in Go too."""
        url = f"http://127.0.0.1:{self.server_address[1]}"
        return {name: url for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")} | {"NO_PROXY": ""}


class _Refuse(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        line = self.rfile.readline(1_000).decode("latin-1").strip()
        assert isinstance(self.server, Ear)
        self.server.heard.append(line)
        self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture
def ear() -> Iterator[Ear]:
    with Ear() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_recipe: Recipe, tiny_dataset: Dataset
) -> Callable[..., Run]:
    """Train the tiny recipe in this test's folder `runs`, with options of `fit`; its pictures are empty files."""
    for file, name in ((fitting, "curves_png"), (grade, "confusion_png")):
        monkeypatch.setattr(file, name, lambda path, *_, **__: path.touch())

    def train(**options: Any) -> Run:
        settings = {"device": "cpu", "precision": "fp32", "runs": tmp_path / "runs", "name": "run"} | options
        return fitting.fit(tiny_recipe, tiny_dataset, **settings)

    return train


def curves(run: Run) -> dict[str, list[tuple[int, float]]]:
    """The journal by curve: (step, value)."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in run.journal.rows():
        for name, value in row.items():
            if name != "step":
                found.setdefault(name, []).append((row["step"], value))
    return found
