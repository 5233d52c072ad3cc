"""The viewer's four routes and its start on the loopback interface.

    GET  /               the page, made once
    GET  /openapi.json   these routes, for scripts
    POST /answer         a picture file -> what the network says
    POST /explain        the network's own small picture -> where it looks, and what it has seen like it

There is no route that takes a path, a name or an address, so there is nothing to climb out of and nobody to be sent to.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, get_args

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from snellen.data.catalog import load_again
from snellen.data.pictures import Fit
from snellen.errors import DataError, InvalidSetting, NotAPicture, SnellenError, TooLarge
from snellen.models.device import return_freed_memory
from snellen.report.bundle import LIVE, bundle_html, content_policy
from snellen.report.page import Options, Page, build_page
from snellen.runs.run import Run
from snellen.viewer.auth import Gate, Keys, Limits
from snellen.viewer.connection import Line
from snellen.viewer.description import description
from snellen.viewer.live import MAX_PIXELS, UPLOADED, Loaded, answer, explain, load_run

_HOST = "127.0.0.1"
_END_SECONDS = 4  # lines end sooner (`Limits.drain_seconds`); after this what still computes is broken off
_PART = 2**18  # bytes
_TIDY_SECONDS = 1.0
_STATUS: tuple[tuple[type[SnellenError], int], ...] = (
    (NotAPicture, 415), (TooLarge, 413), (DataError, 422), (SnellenError, 400),
)  # fmt: skip


def prepare(runs: Sequence[Run], options: Options) -> tuple[Page, list[Loaded]]:
    """The page of the runs, and their models ready to answer; raises as `build_page`."""
    dataset = load_again(runs[0].info["data"], data=options.data)
    page = build_page(runs, options, dataset)
    loaded = []
    for run in runs:
        options.say(f"{run.name}: ready to answer")
        loaded.append(load_run(run, dataset, options.device))
    return page, loaded


def build_app(page: Page, loaded: Sequence[Loaded], *, port: int, keys: Keys, limits: Limits | None = None) -> ASGIApp:
    """The viewer as an ASGI application behind its gate.

    Args:
        page: of the runs.
        loaded: the same runs in the same order.
        port: on which it will listen; only this one is answered to.
        keys: of this start.
        limits: for tests; else those of `Limits`.
    """
    limits, tidy = limits or Limits(), _Tidy()
    live = {"max_bytes": limits.body_bytes, "max_pixels": MAX_PIXELS, "formats": UPLOADED}
    html = bundle_html(page.title, {**page.content, "live": live}, page.sprites, entry=LIVE).encode()
    policy = f"{content_policy(LIVE)}; frame-ancestors 'none'"

    async def show(_: Request) -> Response:
        return _InParts(html, headers={"content-security-policy": policy})

    async def describe(_: Request) -> Response:
        return JSONResponse(description(port=port, runs=len(loaded), limits=limits))

    async def on_answer(request: Request) -> Response:
        return await _answered(lambda body: answer(_chosen(request, loaded), body, _fit(request)), request, tidy)

    async def on_explain(request: Request) -> Response:
        return await _answered(lambda body: explain(_chosen(request, loaded), body), request, tidy)

    routes = [
        Route("/", show, methods=["GET"]),
        Route("/openapi.json", describe, methods=["GET"]),
        Route("/answer", on_answer, methods=["POST"]),
        Route("/explain", on_explain, methods=["POST"]),
    ]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    return Gate(app, port=port, keys=keys, limits=limits)


def listen(port: int) -> socket.socket:
    """A socket on the loopback interface; port 0 takes a free one.

    Raises:
        InvalidSetting: the port is taken or not allowed.
    """
    door = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((_HOST, port))
    except OSError as error:
        door.close()
        raise InvalidSetting(
            f"--port {port} cannot be had: {error.strerror}. Leave it out, and a free one is taken."
        ) from None
    door.listen(128)
    return door


def port_of(door: socket.socket) -> int:
    """The port a socket listens on."""
    return int(door.getsockname()[1])


def address(port: int, keys: Keys) -> str:
    """Where to point a browser."""
    return f"http://{_HOST}:{port}/?token={keys.token}"


def server(app: ASGIApp, limits: Limits | None = None) -> uvicorn.Server:
    """A server that drains for a few seconds when told to stop; start it with `run(sockets=[…])`."""
    line = type("Line", (Line,), {"limits": limits or Limits()})
    return uvicorn.Server(
        uvicorn.Config(
            app, loop="asyncio", http=line, ws="none", lifespan="off", interface="asgi3", log_level="error",
            access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=_END_SECONDS,
        )
    )  # fmt: skip


class _InParts(HTMLResponse):
    """A page of many megabytes that is copied to the socket bit by bit, not for every reader as a whole."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), _PART):
            await send({"type": "http.response.body", "body": self.body[start : start + _PART], "more_body": True})
            await asyncio.sleep(0)  # the others' turn, and the moment to learn that the reader has gone
        await send({"type": "http.response.body", "body": b""})


class _Tidy:
    """Gives freed memory back after an answer: without it ten thousand pictures of all sizes leave holes of 40 MB.

    Once a second at most, because the next answers have to take their pages anew.
    """

    def __init__(self) -> None:
        self._due = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _TIDY_SECONDS
            return_freed_memory()


async def _answered(ask: Callable[[bytes], dict[str, Any]], request: Request, tidy: _Tidy) -> Response:
    body = await request.body()

    def told() -> dict[str, Any]:
        try:
            return ask(body)
        finally:
            tidy()

    try:
        return JSONResponse(await run_in_threadpool(told))
    except SnellenError as error:
        status = next(code for kind, code in _STATUS if isinstance(error, kind))
        return PlainTextResponse(str(error), status)


def _chosen(request: Request, loaded: Sequence[Loaded]) -> Loaded:
    number = request.query_params.get("run", "0")
    known = {str(at): each for at, each in enumerate(loaded)}
    if number not in known:
        raise InvalidSetting(f"run={number[:20]} is not possible: 0 to {len(loaded) - 1}.")
    return known[number]


def _fit(request: Request) -> Fit | None:
    asked = request.query_params.get("fit")
    if asked is None:
        return None
    for fit in get_args(Fit):
        if asked == fit:
            return fit  # type: ignore[no-any-return]
    raise InvalidSetting(f"fit={asked[:20]} is not possible: {', '.join(get_args(Fit))}.")
