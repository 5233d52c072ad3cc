"""Who may ask, and how much: what stands before the five routes.

A server on one's own machine is open to every page in one's browser. So nobody is answered who

    leaves two readings of a question   400, 505  `Door`; that is how smuggling begins
    comes by a name that is not ours    400       Starlette's TrustedHostMiddleware; it would be DNS rebinding
    brings more than 8 MB               413       Starlette's limit on bodies, before a byte is read
    posts from another page             403       `OwnPage`; any web page can post to a local port
    has not the cookie                  401       `OwnPage`; other users of this machine can reach the port as well

and every answer leaves with headers that let nothing else in.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
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
        head_bytes: of an address and headers that come bit by bit.
        head_seconds: until they must be here.
        body_bytes: of an upload.
        body_seconds: until it must be here.
        drain_seconds: until what is being answered must be told, once the server stops.
        at_once: uploads being read or answered.
    """

    head_bytes: int = 16_384
    head_seconds: float = 10.0
    body_bytes: int = 8_000_000
    body_seconds: float = 10.0
    drain_seconds: float = 2.0
    at_once: int = 2


@dataclass(frozen=True)
class Tokens:
    """Two secrets of one start: what the printed address holds, and what the browser gets for it."""

    address: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32))


class ForeignPage(AuthenticationError):
    """Another page than the viewer's own wants to send something."""


class OwnPage(AuthenticationBackend):
    """For Starlette's AuthenticationMiddleware: lets in who has the cookie, and posts of the viewer's own page."""

    def __init__(self, tokens: Tokens, *, port: int) -> None:
        self._tokens = tokens
        self._cookie = f"snellen-{port}"  # cookies do not know ports; two viewers would take each other's

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        """Let one question in.

        Raises:
            ForeignPage: it would change something, and comes from elsewhere.
            AuthenticationError: it comes without the cookie.
        """
        if conn.scope["method"] not in _SAFE:
            origins = [origin.lower() for origin in conn.headers.getlist("origin")]
            sites = set(conn.headers.getlist("sec-fetch-site"))
            if origins != [f"http://{conn.headers['host'].lower()}"] or sites - {"same-origin"}:
                raise ForeignPage("Only the viewer's own page may send something here.")
        if not _equal(conn.cookies.get(self._cookie, ""), self._tokens.cookie):
            raise AuthenticationError("Open the address that `snellen view` printed: it holds the key to this page.")
        return AuthCredentials(), SimpleUser("own page")

    def refuse(self, conn: HTTPConnection, error: Exception) -> Response:
        """The answer to who was not let in; who has just shown the token of the printed address gets the cookie."""
        if isinstance(error, ForeignPage):
            return PlainTextResponse(str(error), 403)
        shown = conn.query_params.get("token", "")
        if conn.scope["path"] == "/" and conn.scope["method"] in _SAFE and _equal(shown, self._tokens.address):
            enter = RedirectResponse("/", status_code=303)  # the address in the bar no longer holds the token
            enter.set_cookie(self._cookie, self._tokens.cookie, httponly=True, samesite="strict")
            return enter
        return PlainTextResponse(str(error), 401)


class Door:
    """ASGI middleware before all others: plain HTTP/1 only, and the headers of every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand one question on, or refuse it."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)  # the page brings a policy of its own
            await send(message)

        if scope["type"] == "http":  # no websocket, and nothing to do when the server starts or ends
            await (_unclear(scope) or self._app)(scope, receive, guarded)


def _unclear(scope: Scope) -> Response | None:
    """The answer to a question that two readers could read in two ways, or that is not HTTP/1."""
    headers, version = Headers(scope=scope), scope["http_version"]
    if version not in ("1.0", "1.1"):
        return PlainTextResponse("Only HTTP/1.1 is spoken here.", 505, {"connection": "close"})
    if "transfer-encoding" in headers and ("content-length" in headers or version == "1.0"):
        return PlainTextResponse("The length of the upload is said in two ways.", 400, {"connection": "close"})
    if not scope["path"].isprintable():  # Starlette's routes end in "$", before which a line feed may stand
        return PlainTextResponse("Not Found", 404)
    return None


def _equal(shown: str, secret: str) -> bool:
    return secrets.compare_digest(shown.encode(), secret.encode())
