"""Fuzz target: the viewer behind its door, from a request's bytes to its answer. `python -m tests.fuzz.web [options]`

Everything but the socket is real: h11 reads the request as uvicorn has it read, the door and the routes are
`build_app`'s, and a small model answers.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any
from urllib.parse import unquote

import h11
from tests.fuzz import harness
from tests.fuzz.edits import edited_png, edited_text
from tests.fuzz.run_folder import FOLDER

from snellen.data.eyechart import make_eyechart
from snellen.report.page import Page
from snellen.runs.run import open_run
from snellen.viewer.auth import Limits, Tokens
from snellen.viewer.live import load_run
from snellen.viewer.server import build_app

PORT, TOKENS = 8000, Tokens(address="token", cookie="key")
_APP = build_app(
    Page("fuzzed", {}, {}),
    [load_run(open_run(FOLDER), make_eyechart(seed=0, train=120, test=0).train, "cpu")],
    port=PORT,
    tokens=TOKENS,
    limits=Limits(body_bytes=50_000),
)
_LOOP = asyncio.new_event_loop()
atexit.register(_LOOP.close)
_ANSWERS = {200, 303, 400, 401, 403, 404, 405, 413, 415, 422}
_HEAD = (
    b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"/", b"/answer", b"/explain", b"?fit=crop", b"?fit=pad", b"?run=0",
    b"?run=1", b"?token=token", b"&fit=squash", b"?fit=%00", b"%2e%2e/", b"//", b"localhost:8000", b"[::1]:8000",
    b"evil.example", b"null", b"cookie: snellen-8000=key\r\n", b"origin: http://127.0.0.1:8000\r\n", b"\xff", b"=",
    b"sec-fetch-site: cross-site\r\n", b"content-length: 99999999\r\n", b"transfer-encoding: chunked\r\n", b"%ff%fe",
    b"host: localhost:8000\r\n", b"content-type: text/html\r\n", b"expect: 100-continue\r\n", b"range: bytes=0-\r\n",
)  # fmt: skip


def read(content: bytes) -> None:
    """Every request that h11 lets through has one answer of those promised, and its headers."""
    scope, body, whole = _request(content)
    if scope is not None:
        status, headers, text = _run(_answer(scope, body, whole))
        assert status in _ANSWERS, status
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert b"default-src 'none'" in headers[b"content-security-policy"]
        assert status in (200, 303) or (len(text) < 500 and b"Traceback" not in text), text


def _run(
    answering: Coroutine[Any, Any, tuple[int, dict[bytes, bytes], bytes]],
) -> tuple[int, dict[bytes, bytes], bytes]:
    """The answer; from a thread of its own where a loop runs in this one, as beside a test's browser."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _LOOP.run_until_complete(answering)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_LOOP.run_until_complete, answering).result()


def _request(content: bytes) -> tuple[dict[str, Any] | None, list[bytes], bool]:
    """The scope as uvicorn makes it, the parts of the body, and whether it came to its end."""
    line = h11.Connection(h11.SERVER)
    parts: list[bytes] = []
    scope = None
    try:
        line.receive_data(content)
        while (event := line.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Request):
                path, _, query = event.target.partition(b"?")
                scope = {
                    "type": "http", "http_version": "1.1", "method": event.method.decode("ascii"), "scheme": "http",
                    "path": unquote(path.decode("ascii")), "raw_path": path, "query_string": query, "root_path": "",
                    "headers": [(name.lower(), value) for name, value in event.headers], "asgi": {"version": "3.0"},
                    "server": ("127.0.0.1", PORT), "client": ("127.0.0.1", 1),
                }  # fmt: skip
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            else:
                return scope, parts, isinstance(event, h11.EndOfMessage)
    except h11.RemoteProtocolError:
        return None, [], False  # uvicorn answers 400 itself
    return scope, parts, False


async def _answer(scope: dict[str, Any], body: list[bytes], whole: bool) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and text; a body that stops half way ends as a client that hangs up, without an answer."""
    events = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    end = {"type": "http.request", "body": b"", "more_body": False} if whole else {"type": "http.disconnect"}
    waiting = iter([*events, end])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    await _APP(scope, receive, send)  # type: ignore[arg-type]
    if not sent:
        assert not whole, "a whole request without an answer"
        return 400, {b"x-content-type-options": b"nosniff", b"content-security-policy": b"default-src 'none'"}, b""
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1
    text = b"".join(message.get("body", b"") for message in sent)
    return starts[0]["status"], dict(starts[0]["headers"]), text


def edit(content: bytes, chance: Random) -> bytes:
    """Words of the head changed, or the picture in the body, with a length that is right nine times out of ten."""
    head, _, body = content.partition(b"\r\n\r\n")
    if chance.random() < 0.5:
        at = chance.randint(0, len(head))
        head = head[:at] + chance.choice(_HEAD) + head[at + chance.choice((0, 0, 1, 4, 12)) :]
    elif body.startswith(b"\x89PNG"):
        body = edited_png(body, chance)
    else:
        body = edited_text(body, chance)
    if chance.random() < 0.9:
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        head = b"\r\n".join([*lines, b"content-length: %d" % len(body)])
    return head + b"\r\n\r\n" + body


if __name__ == "__main__":
    harness.fuzz(read, edit, folder=FOLDER)
