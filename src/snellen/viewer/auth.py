"""Who may ask, and how much: one door before the whole viewer.

A server on one's own machine is open to every page in one's browser. So the door lets in only who

    speaks plain HTTP/1                 else 400, 431, 505  (two readings of one question are how smuggling begins)
    comes by one of our own names       else 421  (a foreign name that leads to 127.0.0.1 is DNS rebinding)
    posts from our own page             else 403  (any web page can post to a local port)
    has the key                         else 401  (other users of this machine can reach the port as well)
    brings at most 8 MB                 else 413  (said before a byte of it is read)
    within ten seconds                  else 408
    while fewer than two others do so   else 429

and every answer leaves with headers that let nothing else in. How long a line may be held is `line.py`'s business.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE = ("GET", "HEAD")
_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Limits:
    """How much one question may be, how long it may take, and how many at once.

    Attributes:
        head_bytes: of the address and all headers.
        head_seconds: until they must be here.
        body_bytes: of an upload.
        body_seconds: until it must be here.
        stall_seconds: for which a client may read nothing of its answer.
        drain_seconds: until what is being answered must be told, once the server stops.
        at_once: questions being read or answered.
        lines: open connections.
    """

    head_bytes: int = 16_384
    head_seconds: float = 10.0
    body_bytes: int = 8_000_000
    body_seconds: float = 10.0
    stall_seconds: float = 30.0
    drain_seconds: float = 2.0
    at_once: int = 2
    lines: int = 128


@dataclass(frozen=True)
class Keys:
    """Two secrets of one start: what the printed address holds, and what the browser gets for it."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class Gate:
    """ASGI middleware that refuses with one sentence, or hands the question on with its whole body read."""

    def __init__(self, app: ASGIApp, *, port: int, keys: Keys, limits: Limits | None = None) -> None:
        self._app = app
        self._hosts = frozenset(f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]"))
        self._cookie = f"snellen-{port}"  # cookies do not know ports; two viewers would take each other's
        self._keys = keys
        self._limits = limits or Limits()
        self._asking = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one question in, or not."""
        if scope["type"] != "http":
            return  # no websocket, and nothing to do when the server starts or ends
        send, request = _with_headers(send), Request(scope, receive)
        refusal = self._unclear(request) or self._stranger(request)
        if refusal is not None:
            await refusal(scope, receive, send)
        elif request.method in _SAFE:
            await self._app(scope, receive, send)
        elif self._asking >= self._limits.at_once:
            busy = _refuse(429, "Other pictures are being looked at. Try again in a second.", retry=1)
            await busy(scope, receive, send)
        else:
            self._asking += 1
            try:
                await self._ask(request, send)
            finally:
                self._asking -= 1

    def _unclear(self, request: Request) -> Response | None:
        """The answer to a question that two readers could read in two ways, or that is not HTTP/1."""
        if request.scope["http_version"] not in ("1.0", "1.1"):
            return _refuse(505, "Only HTTP/1.1 is spoken here.", close=True)
        head = [request.scope["raw_path"], request.scope["query_string"], *sum(request.headers.raw, ())]
        if sum(map(len, head)) > self._limits.head_bytes:
            return _refuse(431, f"The headers have more than {self._limits.head_bytes:,} bytes.", close=True)
        chunked = "transfer-encoding" in request.headers
        if chunked and ("content-length" in request.headers or request.scope["http_version"] == "1.0"):
            return _refuse(400, "The length of the upload is said in two ways.", close=True)
        if not request.scope["path"].isprintable():  # Starlette's routes end in "$", before which a line feed may stand
            return _refuse(404, "Not Found")
        return None

    def _stranger(self, request: Request) -> Response | None:
        """The answer to somebody who may not come in, or who has just shown the token at the door."""
        hosts = request.headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return _refuse(421, "This server answers only to its own address on this machine.")
        if request.method not in _SAFE:
            origins = [origin.lower() for origin in request.headers.getlist("origin")]
            sites = set(request.headers.getlist("sec-fetch-site"))
            if origins != [f"http://{hosts[0].lower()}"] or sites - {"same-origin"}:
                return _refuse(403, "Only the viewer's own page may send something here.")
        shown = request.query_params.get("token")
        if request.url.path == "/" and request.method in _SAFE and shown and _equal(shown, self._keys.token):
            enter = RedirectResponse("/", status_code=303)  # the address in the bar no longer holds the token
            enter.set_cookie(self._cookie, self._keys.cookie, httponly=True, samesite="strict")
            return enter
        if not _equal(request.cookies.get(self._cookie, ""), self._keys.cookie):
            return _refuse(401, "Open the address that `snellen view` printed: it holds the key to this page.")
        return None

    async def _ask(self, request: Request, send: Send) -> None:
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await self._read(request)
        except TimeoutError:
            seconds = f"{self._limits.body_seconds:g}"
            late = _refuse(408, f"The picture was not here after {seconds} seconds. Try again.", close=True)
            await late(request.scope, request.receive, send)
        except (ClientDisconnect, asyncio.CancelledError):
            pass  # nobody is left to be answered, or nobody to answer: the server has been told to stop
        else:
            if body is None:
                megabytes = f"{self._limits.body_bytes / 1e6:g}"
                refusal = _refuse(413, f"The file has more than {megabytes} MB, the most that is read.")
                await refusal(request.scope, request.receive, send)
            else:
                await self._app(request.scope, _again(body, request.receive), send)

    async def _read(self, request: Request) -> bytes | None:
        """The body, or None once it is known to be too long."""
        if int(request.headers.get("content-length", 0)) > self._limits.body_bytes:
            return None
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self._limits.body_bytes:
                return None
        return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body that has been read already."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _with_headers(send: Send) -> Send:
    async def guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)  # the page brings a policy of its own
        await send(message)

    return guarded


def _refuse(status: int, sentence: str, *, retry: int | None = None, close: bool = False) -> Response:
    headers = {"retry-after": str(retry)} if retry else {}
    return PlainTextResponse(sentence, status, headers | ({"connection": "close"} if close else {}))


def _equal(shown: str, secret: str) -> bool:
    return secrets.compare_digest(shown.encode(), secret.encode())
