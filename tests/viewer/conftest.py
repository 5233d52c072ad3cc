"""A real viewer on the loopback interface, in a thread of its own, on a run of the little eye chart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from snellen.data import catalog
from snellen.data.dataset import Dataset
from snellen.report.page import Options, Page
from snellen.runs.run import Run
from snellen.viewer.auth import Limits, Tokens
from snellen.viewer.live import Loaded
from snellen.viewer.server import address, build_app, listen, port_of, prepare, server


@dataclass(frozen=True)
class Viewer:
    """A viewer that runs, and a browser that has come in."""

    port: int
    tokens: Tokens
    client: httpx.Client

    @property
    def origin(self) -> str:
        """What its own page says in `Origin`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address that is printed."""
        return address(self.port, self.tokens)

    @property
    def cookie(self) -> str:
        """The `Cookie` header of somebody who has come in."""
        return f"snellen-{self.port}={self.tokens.cookie}"

    def post(self, path: str, content: bytes, **headers: str) -> httpx.Response:
        """As the page posts."""
        return self.client.post(path, content=content, headers={"origin": self.origin, **headers})


Start = Callable[..., Any]


@pytest.fixture(scope="session")
def prepared(finished_run: Run, tiny_dataset: Dataset) -> tuple[Page, list[Loaded]]:
    """The page and the loaded run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog._LOADERS, "eyechart", lambda data, download, progress: tiny_dataset)
        return prepare([finished_run], Options(layer_views=4, device="cpu"))


@pytest.fixture(scope="session")
def loaded(prepared: tuple[Page, list[Loaded]]) -> Loaded:
    """The run of the viewer, for questions without HTTP."""
    return prepared[1][0]


@contextmanager
def running(page: Page, loaded: list[Loaded], limits: Limits | None = None) -> Iterator[Viewer]:
    """A viewer while it is entered."""
    tokens = Tokens()
    with listen(0) as door:
        port = port_of(door)
        serving = server(build_app(page, loaded, port=port, tokens=tokens, limits=limits), limits)
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [door]})
        thread.start()
        try:
            while not serving.started:
                time.sleep(0.01)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                client.cookies.set(f"snellen-{port}", tokens.cookie, domain="127.0.0.1")
                yield Viewer(port, tokens, client)
        finally:
            serving.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture(scope="session")
def viewer(prepared: tuple[Page, list[Loaded]]) -> Iterator[Viewer]:
    """A viewer that all tests share."""
    with running(*prepared) as started:
        yield started


@pytest.fixture
def start(prepared: tuple[Page, list[Loaded]]) -> Callable[..., Any]:
    """Start a viewer with other limits, or with another page: `with start(limits=…) as viewer`."""

    def begin(page: Page | None = None, limits: Limits | None = None) -> Any:
        return running(page or prepared[0], prepared[1], limits)

    return begin
