"""How long a connection may be held: dawdlers, idle crowds, and the server that stops."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.viewer.wire import answer_to, head, heard, one_answer, said, upload

from snellen.report.page import Page
from snellen.viewer.auth import Limits
from snellen.viewer.live import Loaded

Start = Callable[..., Any]
SOON = Limits(head_seconds=0.4, body_seconds=0.4)


def dribble(line: socket.socket, text: str, seconds: float = 10) -> float:
    """Send a byte each 50 ms until the line is closed; the seconds until then."""
    began = time.monotonic()
    try:
        for byte in text.encode():
            line.sendall(bytes([byte]))
            time.sleep(0.05)
            assert time.monotonic() - began < seconds, "the line is still open"
    except OSError:
        pass
    return time.monotonic() - began


def test_a_head_that_dawdles_is_not_waited_for_however_its_bytes_are_spread(start: Start) -> None:
    with start(limits=SOON) as viewer, said(viewer, "GET / HT") as line:
        threading.Thread(target=dribble, args=(line, "X" * 60)).start()
        assert heard(line) == (0, "")


def test_a_line_on_which_nothing_comes_is_closed_without_a_word(start: Start) -> None:
    with start(limits=SOON) as viewer, said(viewer, b"") as line:
        began = time.monotonic()
        assert heard(line) == (0, "")
        assert 0.3 < time.monotonic() - began < 5


def test_a_head_that_dawdles_after_a_question_that_did_not_is_not_waited_for_either(start: Start) -> None:
    with start(limits=SOON) as viewer:
        first = head(viewer, "GET /nothing").replace("Connection: close\n", "")
        with said(viewer, first) as line:
            assert one_answer(line)[0] == 404
            line.sendall(b"GET /")
            assert heard(line) == (0, "")


def test_a_question_of_http_0_9_is_waited_for_no_longer_than_a_head(start: Start) -> None:
    with start(limits=SOON) as viewer:
        assert answer_to(viewer, "GET /\n") == (0, "")


def test_a_body_in_single_bytes_is_408(start: Start) -> None:
    with start(limits=SOON) as viewer, said(viewer, upload(viewer, length=100)) as line:
        threading.Thread(target=dribble, args=(line, "x" * 60)).start()
        assert heard(line)[0] == 408


@pytest.mark.parametrize("length", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_the_rest_of_a_refused_upload_is_not_waited_for_for_ever(start: Start, length: str) -> None:
    with start(limits=SOON) as viewer:
        stranger = f"POST /answer HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\n{length}\n\n"
        with said(viewer, stranger) as line:
            assert one_answer(line)[0] == 403
            assert dribble(line, "5\r\nxxxxx\r\n" * 20) < 5


def test_a_page_that_is_asked_for_with_a_body_is_shown_and_the_body_not_waited_for(start: Start) -> None:
    with start(limits=SOON) as viewer, said(viewer, head(viewer, "GET /nothing", "Content-Length: 100")) as line:
        assert heard(line)[0] == 404


PAGES = 40  # so many that no buffer of the system holds them


@pytest.mark.parametrize("words", [b"", b"GET / HTTP/1.1\r\nX-A: "], ids=["silent", "half a head"])
def test_hundreds_of_idle_lines_do_not_stop_the_page(viewer: Any, words: bytes) -> None:
    with ExitStack() as crowd:
        for _ in range(400):
            line = crowd.enter_context(socket.create_connection(("127.0.0.1", viewer.port), timeout=30))
            line.sendall(words)
        began = time.monotonic()
        assert httpx.get(f"{viewer.origin}/nothing", headers={"cookie": viewer.cookie}).status_code == 404
        assert viewer.client.get("/").status_code == 200
        assert time.monotonic() - began < 5


def test_who_hangs_up_while_the_page_is_sent_is_not_written_to(
    start: Start, prepared: tuple[Page, list[Loaded]], caplog: pytest.LogCaptureFixture
) -> None:
    page = prepared[0]
    large = replace(page, content={**page.content, "padding": "x" * 20_000_000})
    with start(page=large) as viewer:
        for _ in range(5):
            with said(viewer, head(viewer)) as line:
                line.recv(10)
        assert viewer.client.get("/nothing").status_code == 404
    assert caplog.records == []


def test_a_server_that_is_told_to_stop_waits_for_nobody_who_dawdles(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as crowd:
        with start(limits=Limits(drain_seconds=0.5)) as viewer:
            half = crowd.enter_context(said(viewer, upload(viewer, length=100, sent="half")))
            idle = crowd.enter_context(said(viewer, b""))
            begun = crowd.enter_context(said(viewer, "GET / HT"))
            lazy = crowd.enter_context(said(viewer, head(viewer).replace("Connection: close\n", "") * PAGES))
            time.sleep(0.3)
            began = time.monotonic()
        assert time.monotonic() - began < 3
        for line in (half, idle, begun):
            assert heard(line) == (0, "")
        lazy.close()
    assert caplog.records == []


def test_what_is_being_answered_when_the_server_stops_is_answered(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def slowly(*_: object) -> dict[str, Any]:
        asked.set()
        time.sleep(0.8)
        return {"seen": True}

    monkeypatch.setattr("snellen.viewer.server.answer", slowly)
    with ExitStack() as crowd:
        with start() as viewer:
            line = crowd.enter_context(said(viewer, upload(viewer, length=1, sent="x")))
            assert asked.wait(10)
        assert one_answer(line) == (200, '{"seen":true}')
