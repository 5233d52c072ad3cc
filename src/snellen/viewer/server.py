"""The viewer's five routes and its start on the loopback interface.

    GET  /               the page, made once
    GET  /openapi.json   these routes, for scripts
    GET  /original       a picture of the page by split and number -> as it lies on the disk
    POST /answer         a picture file -> what the network says
    POST /explain        the network's own small picture -> where it looks, and what it has seen like it

There is no route that takes a path, a name or an address, only numbers of pictures that the page shows, so there is
nothing to climb out of and nobody to be sent to.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, cast, get_args

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from snellen.data.pictures import Fit
from snellen.data.run_images import images_of_each
from snellen.errors import DataError, InvalidSetting, NotAPicture, SnellenError, TooLarge
from snellen.models.device import return_freed_memory
from snellen.report.bundle import LIVE, bundle_html, content_policy
from snellen.report.originals import Originals
from snellen.report.page import Options, Page, build_page
from snellen.runs.run import Run
from snellen.viewer.auth import Door, Limits, OwnPage, Tokens
from snellen.viewer.description import description
from snellen.viewer.live import MAX_PIXELS, UPLOADED, Loaded, answer, explain, load_run, original

_HOST = "127.0.0.1"
_NAMES = ("localhost", "127.0.0.1", "[::1]")
_END_SECONDS = 4  # connections end sooner (`Limits.drain_seconds`); after this what still computes is broken off
_PART = 2**18  # bytes
_TIDY_SECONDS = 1.0
_STATUS: dict[type[SnellenError], int] = {NotAPicture: 415, TooLarge: 413, DataError: 422, SnellenError: 400}


def prepare(runs: Sequence[Run], options: Options) -> tuple[Page, list[Loaded]]:
    """The page of the runs, and their models ready to answer; raises as `build_page`."""
    images = images_of_each(runs, options.data)
    page = build_page(runs, replace(options, live=True), images)
    loaded = []
    for number, (run, own) in enumerate(zip(runs, images, strict=True)):
        options.say(f"{run.name}: ready to answer")
        loaded.append(load_run(run, own.train, options.device, page.looked if number == 0 else None))
    return page, loaded


def build_app(
    page: Page, loaded: Sequence[Loaded], *, port: int, tokens: Tokens, limits: Limits | None = None
) -> ASGIApp:
    """The viewer as an ASGI application; `loaded` are the page's runs in its order, other limits are for tests."""
    limits = limits or Limits()
    uploads, own_page = _Uploads(limits), OwnPage(tokens, port=port)
    live = {"max_bytes": limits.body_bytes, "max_pixels": MAX_PIXELS, "formats": UPLOADED}
    live["originals"] = list(page.originals)
    text = bundle_html(page.title, {**page.content, "live": live}, page.sprites, entry=LIVE)
    html = text.encode(errors="backslashreplace")  # as `runs.atomic.write_text`
    policy = f"{content_policy(LIVE)}; frame-ancestors 'none'"
    headers = {"content-security-policy": policy, "content-length": str(len(html))}

    async def show(request: Request) -> Response:
        if request.query_params:  # of who has come in already: the address in the bar should not hold the token
            return RedirectResponse("/", status_code=303)
        return StreamingResponse(_parts(html), media_type="text/html", headers=headers)

    async def describe(_: Request) -> Response:
        return JSONResponse(description(port=port, runs=len(loaded), limits=limits))

    async def on_original(request: Request) -> Response:
        return await uploads.answered(request, lambda _: original(*_asked(request, page)))

    async def on_answer(request: Request) -> Response:
        return await uploads.answered(request, lambda body: answer(_chosen(request, loaded), body, _fit(request)))

    async def on_explain(request: Request) -> Response:
        return await uploads.answered(request, lambda body: explain(_chosen(request, loaded), body))

    app = Starlette(
        routes=[
            Route("/", show, methods=["GET"]),
            Route("/openapi.json", describe, methods=["GET"]),
            Route("/original", on_original, methods=["GET"]),
            Route("/answer", on_answer, methods=["POST"]),
            Route("/explain", on_explain, methods=["POST"]),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=_NAMES, www_redirect=False),
            Middleware(AuthenticationMiddleware, backend=own_page, on_error=own_page.refuse),
        ],
        exception_handlers={SnellenError: _refused, ClientDisconnect: _nobody_left},
        max_body_size=limits.body_bytes,
    )
    app.router.redirect_slashes = False
    return Door(app)


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


def address(port: int, tokens: Tokens) -> str:
    """Where to point a browser."""
    return f"http://{_HOST}:{port}/?token={tokens.address}"


def server(app: ASGIApp, limits: Limits | None = None) -> uvicorn.Server:
    """A server that drains for a few seconds when told to stop; start it with `run(sockets=[…])`."""
    limits = limits or Limits()
    return uvicorn.Server(
        uvicorn.Config(
            app, loop="asyncio", http=type("Connection", (Connection,), {"limits": limits}), ws="none", lifespan="off",
            interface="asgi3", log_level="error", access_log=False, server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=_END_SECONDS, h11_max_incomplete_event_size=limits.head_bytes,
        )
    )  # fmt: skip


class Connection(H11Protocol):
    """uvicorn's connection, with an end to its patience.

    uvicorn waits for ever for a head that does not end, for the rest of an upload that was refused and, when it stops,
    for a client that does not read. The limits are an attribute of the class, since uvicorn makes the objects.
    """

    limits = Limits()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of the first head."""
        super().connection_made(transport)
        self._awaited: object = None  # one of h11's states
        self._clock: asyncio.TimerHandle | None = None
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on, and see what is waited for now."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        if self._clock is not None:
            self._clock.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Say that the bytes are no HTTP, unless another answer has begun: uvicorn would fail with a traceback."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """The server has been told to stop: let what is being answered end, and wait for nobody longer."""
        super().shutdown()
        self.loop.call_later(self.limits.drain_seconds, self.transport.abort)

    def _watch(self) -> None:
        """Start the clock of what is waited for, once; single bytes do not wind it up again."""
        if self.conn.their_state is self._awaited:
            return
        self._awaited = self.conn.their_state
        if self._clock is not None:
            self._clock.cancel()
        head, body = self.limits.head_seconds, self.limits.body_seconds
        # The routes have their own clock for a body that they want; what they do not want ends a little later.
        seconds = {h11.IDLE: head, h11.SEND_BODY: body + head}.get(self._awaited)
        self._clock = None if seconds is None else self.loop.call_later(seconds, self.transport.close)


class _Uploads:
    """Reads and answers a few uploads at once, each within a time.

    Afterwards freed memory is given back: without it ten thousand pictures of all sizes leave holes of 40 MB. Once a
    second at most, because the next answers have to take their pages anew.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._asking = 0
        self._due = 0.0

    async def answered(self, request: Request, ask: Callable[[bytes], dict[str, Any]]) -> Response:
        """The JSON that `ask` gives for the body; it is asked in a thread of its own.

        Raises:
            HTTPException: 429 or 408.
            SnellenError: of `ask`.
        """
        if self._asking >= self._limits.at_once:
            sentence = "Other pictures are being looked at. Try again in a second."
            raise HTTPException(429, sentence, {"retry-after": "1"})
        self._asking += 1
        try:
            return JSONResponse(await run_in_threadpool(self._told, ask, await self._body(request)))
        finally:
            self._asking -= 1

    def _told(self, ask: Callable[[bytes], dict[str, Any]], body: bytes) -> dict[str, Any]:
        try:
            return ask(body)
        finally:
            if time.monotonic() >= self._due:
                self._due = time.monotonic() + _TIDY_SECONDS
                return_freed_memory()

    async def _body(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                return await request.body()
        except TimeoutError:
            sentence = f"The picture was not here after {self._limits.body_seconds:g} seconds. Try again."
            raise HTTPException(408, sentence, {"connection": "close"}) from None


async def _parts(html: bytes) -> AsyncIterator[bytes]:
    """A page of many megabytes, copied to the socket bit by bit and not for every reader as a whole."""
    for start in range(0, len(html), _PART):
        yield html[start : start + _PART]
        await asyncio.sleep(0)  # the others' turn, and the moment to learn that the reader has gone


async def _refused(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), next(code for kind, code in _STATUS.items() if isinstance(error, kind)))


async def _nobody_left(_: Request, __: Exception) -> Response:
    return Response()


def _chosen(request: Request, loaded: Sequence[Loaded]) -> Loaded:
    number = request.query_params.get("run", "0")
    known = {str(at): each for at, each in enumerate(loaded)}
    if number not in known:
        raise InvalidSetting(f"run={number[:20]} is not possible: 0 to {len(loaded) - 1}.")
    return known[number]


def _asked(request: Request, page: Page) -> tuple[Originals, int]:
    split, number = request.query_params.get("split", ""), request.query_params.get("id", "")
    if split not in page.originals:
        raise InvalidSetting(f"split={split[:20]} is not possible: {', '.join(page.originals) or 'none has files'}.")
    if not re.fullmatch(r"[0-9]{1,9}", number):
        raise InvalidSetting(f"id={number[:20]} is not possible: a picture's number.")
    return page.originals[split], int(number)


def _fit(request: Request) -> Fit | None:
    asked = request.query_params.get("fit")
    if asked is not None and asked not in get_args(Fit):
        raise InvalidSetting(f"fit={asked[:20]} is not possible: {', '.join(get_args(Fit))}.")
    return cast(Fit | None, asked)
