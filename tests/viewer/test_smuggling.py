"""Bytes that two readers could read in two ways, and bytes that are no HTTP/1: each refused, and never a traceback."""

from __future__ import annotations

import http.client
import time
from typing import Any

import pytest
from tests.viewer.wire import answer_to, head, heard, one_answer, said

CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (("Content-Length: 1", "Content-Length: 2"), "xx", 400),
        (("Content-Length: 2", "Content-Length: 1"), "xx", 400),
        (("Content-Length: 1, 2",), "xx", 400),
        (("Content-Length: 6", CHUNKED), "0\n\nG", 400),
        ((CHUNKED, "Content-Length: 6"), "0\n\nG", 400),
        ((CHUNKED, CHUNKED), "0\n\n", 400),
        (("Transfer-Encoding: identity",), "x", 400),
        (("Transfer-Encoding: gzip, chunked",), "0\n\n", 400),
        (("Transfer-Encoding: xchunked",), "0\n\n", 400),
        (("Transfer-Encoding: chunked\x0b",), "0\n\n", 400),
        (("Transfer-Encoding : chunked",), "0\n\n", 400),
        (("Content-Length: +1",), "x", 400),
        (("Content-Length: -1",), "x", 400),
        (("Content-Length: 0x1",), "x", 400),
        (("Content-Length: 1e1",), "x", 400),
        (("Content-Length: \xb2",), "x", 400),
        (("Content-Length: ",), "x", 400),
        (("Content-Length: " + "9" * 20,), "x", 413),
        (("Content-Length: " + "9" * 21,), "x", 400),
        ((CHUNKED,), "zz\n", 400),
        ((CHUNKED,), "-1\nx\n", 400),
        ((CHUNKED,), "0x1\nx\n0\n\n", 400),
        ((CHUNKED,), "1" * 21 + "\nx\n", 400),
        ((CHUNKED,), "1\nxx0\n\n", 400),
        (("X-A: a\0b", "Content-Length: 0"), "", 400),
        (("X A: b",), "", 400),
        (("X-A b",), "", 400),
        ((": b",), "", 400),
        (("H\xf6st: x",), "", 400),
        (("X-A: a\rX-B: b",), "", 400),
    ],
    ids=str,
)
def test_an_upload_that_can_be_read_in_two_ways_is_refused(
    viewer: Any, headers: tuple[str, ...], body: str, status: int
) -> None:
    assert answer_to(viewer, head(viewer, "POST /answer", *headers) + body)[0] == status


def test_a_head_without_end_is_refused(viewer: Any) -> None:
    with said(viewer, "GET / HTTP/1.1\n" + "X-A: " + "a" * 1_000_000) as line:
        assert heard(line)[0] == 400


@pytest.mark.parametrize("version", ["HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/9.9"])
def test_another_version_of_http_is_505(viewer: Any, version: str) -> None:
    assert answer_to(viewer, head(viewer, version=version))[0] == 505


def test_chunks_are_no_part_of_http_1_0(viewer: Any) -> None:
    text = head(viewer, "POST /answer", CHUNKED, version="HTTP/1.0")
    assert answer_to(viewer, f"{text}1\nx\n0\n\n")[0] == 400


@pytest.mark.parametrize(
    "text",
    [
        "GET /\n\n", "GET\n\n", "\n\n\n", "GET  / HTTP/1.1\n\n", "GET\t/\tHTTP/1.1\n\n", "GET / HTTP/1.1 \n\n",
        "GET / http/1.1\n\n", "GET / HTTP/11\n\n", "GET /\xe9 HTTP/1.1\n\n", "GET /\0 HTTP/1.1\n\n",
        " GET / HTTP/1.1\n\n", "GET / HTTP/1.1\n folded: x\n\n", "G(T / HTTP/1.1\n\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        b"\xff\xfeG\0E\0T\0 \0/\0\r\n\r\n", b"\0" * 64 + b"\r\n\r\n",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_http_is_400_and_its_line_is_closed(viewer: Any, text: str | bytes) -> None:
    assert answer_to(viewer, text)[0] == 400


@pytest.mark.parametrize("start", ["GET", "OPTIONS *", "GET *", "GET [", "GET %E2%84%80", "GET http://evil.example/"])
def test_a_target_that_is_no_path_leads_nowhere(viewer: Any, start: str) -> None:
    start = start if " " in start else f"{start} {viewer.origin}/"
    assert answer_to(viewer, head(viewer, start))[0] == 404


def test_a_folded_host_is_one_host(viewer: Any) -> None:
    for host, status in ((f"127.0.0.1:{viewer.port}", 200), (f"127.0.0.1:{viewer.port}\n evil.example", 400)):
        text = f"GET / HTTP/1.1\nHost:\n {host}\nCookie: {viewer.cookie}\nConnection: close\n\n"
        assert answer_to(viewer, text)[0] == status


def test_headers_that_speak_for_a_proxy_change_nothing(viewer: Any) -> None:
    lies = ("X-Forwarded-Host: evil.example", "Forwarded: host=evil.example", "X-Original-URL: /answer",
            "X-Rewrite-URL: /answer", "X-HTTP-Method-Override: POST", "X-Forwarded-For: 10.0.0.1")  # fmt: skip
    status, whole = answer_to(viewer, head(viewer, "GET /", *lies))
    assert status == 200
    assert "evil.example" not in whole.split("\r\n\r\n")[0]


@pytest.mark.parametrize("wanted", ["websocket", "h2c", "TLS/1.0"])
def test_nobody_changes_to_another_protocol(viewer: Any, wanted: str) -> None:
    asked = head(viewer, "GET /nothing", f"Upgrade: {wanted}").replace("Connection: close", "Connection: Upgrade")
    with said(viewer, asked) as line:
        assert line.recv(65_536).startswith(b"HTTP/1.1 404")
    assert answer_to(viewer, "PRI * HTTP/2.0\n\nSM\n\n")[0] == 505
    assert answer_to(viewer, head(viewer, "CONNECT 127.0.0.1:22"))[0] == 404


@pytest.mark.parametrize(("method", "status"), [("OPTIONS", 405), ("TRACE", 405), ("PUT", 405), ("BREW", 405)])
def test_a_method_that_there_is_not_is_405_and_repeats_nothing(viewer: Any, method: str, status: int) -> None:
    for path in ("/", "/answer", "/explain"):
        answered, whole = answer_to(viewer, head(viewer, f"{method} {path}", "X-Echo: secret", "Content-Length: 0"))
        assert answered == status
        assert "secret" not in whole


def test_questions_sent_at_once_are_answered_in_turn(viewer: Any) -> None:
    asked = [head(viewer, f"GET /{name}").replace("Connection: close\n", "") for name in ("a", "b")]
    _, whole = answer_to(viewer, "".join([*asked, head(viewer, "POST /answer", "Content-Length: 1"), "x"]))
    assert [part.split(" ")[0] for part in whole.split("HTTP/1.1 ")[1:]] == ["404", "404", "415"]


def test_the_rest_of_a_refused_upload_is_not_taken_for_a_question(viewer: Any) -> None:
    hidden = head(viewer, "GET /")
    length = f"Content-Length: {len(hidden) + hidden.count(chr(10))}"
    with said(viewer, f"POST /answer HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\n{length}\n\n") as line:
        assert one_answer(line)[0] == 403
        line.sendall((hidden + head(viewer, "GET /nothing")).replace("\n", "\r\n").encode())
        assert heard(line)[0] == 404


def test_broken_chunks_after_a_refusal_end_the_line_without_a_traceback(
    viewer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    text = f"POST /answer HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\n{CHUNKED}\n\n"
    with said(viewer, text) as line:
        assert one_answer(line)[0] == 403
        line.sendall(b"zz\r\n")
        assert heard(line)[1] == ""
    assert caplog.records == []


def test_a_line_that_was_refused_serves_the_next_question(viewer: Any) -> None:
    client = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=30)
    own = {"origin": viewer.origin, "cookie": viewer.cookie}
    for _ in range(3):
        client.request("POST", "/answer", bytes(9_000_000), own)
        refused = client.getresponse()
        assert (refused.status, refused.read()) == (413, b"Content Too Large")
        client.request("GET", "/nothing", headers=own)
        assert client.getresponse().read() == b"Not Found"
    client.close()


def test_a_question_in_single_bytes_is_understood(viewer: Any) -> None:
    with said(viewer, b"") as line:
        for byte in head(viewer, "GET /nothing").replace("\n", "\r\n").encode():
            line.sendall(bytes([byte]))
            time.sleep(0.0005)
        assert heard(line)[0] == 404
