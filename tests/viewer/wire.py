"""Questions to a viewer as bytes on a socket, for what no well-behaved client would send."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any


@contextmanager
def said(viewer: Any, text: str | bytes) -> Iterator[socket.socket]:
    """A connection on which exactly these bytes were sent; of a text each line feed as CR LF."""
    with socket.create_connection(("127.0.0.1", viewer.port), timeout=30) as line:
        line.sendall(text if isinstance(text, bytes) else text.replace("\n", "\r\n").encode("latin-1"))
        yield line


def heard(line: socket.socket) -> tuple[int, str]:
    """Status and the whole answer, until the line is closed; status 0 where it is closed without a word."""
    whole = b""
    with suppress(ConnectionResetError):  # who goes on sending to a closed line is told so after the answer
        while part := line.recv(65_536):
            whole += part
    return (int(whole.split(b" ", 2)[1]) if whole else 0), whole.decode("latin-1")


def one_answer(line: socket.socket) -> tuple[int, str]:
    """Status and text of the next answer; the line stays open."""
    answer = http.client.HTTPResponse(line)
    answer.begin()
    return answer.status, answer.read().decode("latin-1")


def answer_to(viewer: Any, text: str | bytes) -> tuple[int, str]:
    """Status and the whole answer to exactly these bytes; they should say `Connection: close`."""
    with said(viewer, text) as line:
        return heard(line)


def head(viewer: Any, start: str = "GET /", *headers: str, version: str = "HTTP/1.1") -> str:
    """A whole head, as somebody sends it who has come in; it closes the line."""
    own = (f"Host: 127.0.0.1:{viewer.port}", f"Origin: {viewer.origin}", f"Cookie: {viewer.cookie}")
    return "\n".join((f"{start} {version}", *own, *headers, "Connection: close", "", ""))


def upload(viewer: Any, *, length: int, sent: str = "") -> str:
    """The start of an upload by the viewer's own page."""
    return (
        f"POST /answer HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\nOrigin: {viewer.origin}\nCookie: {viewer.cookie}\n"
        f"Content-Length: {length}\n\n{sent}"
    )
