"""Who is let in and who is not, asked over a real socket: each refusal has its status and one sentence."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.viewer.wire import answer_to, head, heard, one_answer, said, upload

from snellen.viewer.auth import Limits

Start = Callable[..., Any]


# Host


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:{port}", "localhost.evil.example:{port}", "",
        "127.0.0.1:{port}.evil.example", "evil.example@127.0.0.1:{port}", "127.0.0.1:{port}@evil.example",
        "127.0.0.1.:{port}", "127.1:{port}", "2130706433:{port}", "0x7f000001:{port}", "0.0.0.0:{port}",
        "[::ffff:127.0.0.1]:{port}", "[0:0:0:0:0:0:0:1]:{port}", "::1:{port}", "localhost.:{port}",
        "127.0.0.1:{port} evil.example", "127.0.0.1:{port},evil.example",
        "127.0.0.1:{port}/", "http://127.0.0.1:{port}", "127.0.0.1:{port}#", "127.0.0.1:{port}\\@evil.example",
        "loc\u00e0lhost:{port}", "127.0.0.1:{port}\xa0", "127.0.0.1%00:{port}", "*", "[::1%25lo]:{port}",
    ],
)  # fmt: skip
def test_a_name_that_is_not_ours_is_refused(viewer: Any, host: str) -> None:
    text = f"GET / HTTP/1.1\nHost: {host.format(port=viewer.port)}\nCookie: {viewer.cookie}\nConnection: close\n\n"
    assert answer_to(viewer, text)[0] == 400


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_our_own_names_are_answered_to(viewer: Any, host: str) -> None:
    text = f"GET / HTTP/1.1\nHost: {host}:{viewer.port}\nCookie: {viewer.cookie}\nConnection: close\n\n"
    assert answer_to(viewer, text)[0] == 200


def test_without_a_host_or_with_two_nothing_is_answered(viewer: Any) -> None:
    assert answer_to(viewer, f"GET / HTTP/1.0\nCookie: {viewer.cookie}\n\n")[0] == 400
    host = f"Host: 127.0.0.1:{viewer.port}\n"
    assert answer_to(viewer, f"GET / HTTP/1.1\n{host}{host}Connection: close\n\n")[0] == 400


# Origin


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "http://127.0.0.1:1", "http://localhost:{port}", "",
        "https://127.0.0.1:{port}", "http://127.0.0.1:{port}/", "http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:{port}@evil.example", "http://evil.example@127.0.0.1:{port}", "127.0.0.1:{port}",
        "//127.0.0.1:{port}", "http://127.0.0.1:{port} http://evil.example", "http://[::1]:{port}", "file://",
        "chrome-extension://127.0.0.1:{port}", "http://127.0.0.1", "http://127.0.0.1:0{port}",
        "http://127.0.0.1:{port}%00", "data:",
    ],
)  # fmt: skip
def test_a_post_from_another_page_is_403(viewer: Any, origin: str) -> None:
    assert viewer.post("/answer", b"x", origin=origin.format(port=viewer.port)).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "", "SAME-ORIGIN", "same-origin, cross-site"])
def test_a_post_that_the_browser_calls_foreign_is_403(viewer: Any, site: str) -> None:
    response = viewer.post("/answer", b"x", **{"sec-fetch-site": site})
    assert response.status_code == 403
    assert response.text == "Only the viewer's own page may send something here."


@pytest.mark.parametrize("first", ["own", "foreign"])
@pytest.mark.parametrize(("name", "foreign"), [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")])
def test_a_header_said_twice_is_not_believed(viewer: Any, name: str, foreign: str, first: str) -> None:
    said_twice = [f"{name}: {viewer.origin if name == 'Origin' else 'same-origin'}", f"{name}: {foreign}"]
    said_twice = said_twice if first == "own" else said_twice[::-1]
    whole = head(viewer, "POST /answer", "Content-Length: 1", *said_twice)
    if name == "Origin":
        whole = whole.replace(f"Origin: {viewer.origin}\n", "", 1) if first == "foreign" else whole
    assert answer_to(viewer, f"{whole}x")[0] == 403


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "POST", "MERGE", "get", "G\u00cbT"])
def test_no_method_but_get_and_head_comes_from_another_page(viewer: Any, method: str) -> None:
    text = f"{method} /answer HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\nOrigin: http://evil.example\n"
    asks = "Access-Control-Request-Method: POST\nAccess-Control-Request-Private-Network: true\n"
    status, whole = answer_to(viewer, f"{text}{asks}Cookie: {viewer.cookie}\nConnection: close\n\n")
    assert status == (400 if "\u00cb" in method else 403)
    assert "access-control" not in whole.lower()


# Token


def test_without_the_key_nothing_is_shown_or_answered(viewer: Any) -> None:
    for response in (
        httpx.get(f"{viewer.origin}/"),
        httpx.get(f"{viewer.origin}/", params={"token": "guess"}),
        httpx.get(f"{viewer.origin}/", params={"token": viewer.tokens.cookie}),
        httpx.get(f"{viewer.origin}/", cookies={f"snellen-{viewer.port}": viewer.tokens.address}),
        httpx.post(f"{viewer.origin}/answer", content=b"x", headers={"origin": viewer.origin}),
        httpx.get(f"{viewer.origin}/answer", params={"token": viewer.tokens.address}),
    ):
        assert response.status_code == 401
        assert "snellen view" in response.text


def test_the_printed_address_gives_a_cookie_that_no_script_and_no_other_site_can_use(viewer: Any) -> None:
    response = httpx.get(viewer.url)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"].lower()
    assert cookie.startswith(f"snellen-{viewer.port}=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie
    with httpx.Client(follow_redirects=True) as browser:
        assert browser.get(viewer.url).status_code == 200
        assert "token" not in str(browser.get(viewer.url).url)


def test_two_starts_share_no_secret(viewer: Any, start: Start) -> None:
    with start() as other:
        secrets = {viewer.tokens.address, viewer.tokens.cookie, other.tokens.address, other.tokens.cookie}
    assert len(secrets) == 4
    assert min(map(len, secrets)) >= 43  # 256 bits


@pytest.mark.parametrize(
    "cookie",
    [
        "", "snellen-{port}", "snellen-{port}=", "snellen-{port}={key}x", "snellen-{port}={short}", "snellen-1={key}",
        "SNELLEN-{port}={key}", "snellen-{port}=\u00e9", "snellen-{port}={key}; snellen-{port}=x", "{key}",
        "snellen-{port}=\\303\\251", "snellen-{port}=" + "a" * 8_000,
    ],
)  # fmt: skip
def test_a_cookie_that_is_not_the_key_is_401(viewer: Any, cookie: str) -> None:
    shown = cookie.format(port=viewer.port, key=viewer.tokens.cookie, short=viewer.tokens.cookie[:-1])
    text = f"GET / HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\nCookie: {shown}\nConnection: close\n\n"
    assert answer_to(viewer, text)[0] == 401


@pytest.mark.parametrize("query", ["token=", "token=%ff", "token=%00", "token={token}x", "TOKEN={token}", "token"])
def test_a_token_that_is_not_the_printed_one_is_401(viewer: Any, query: str) -> None:
    text = f"GET /?{query.format(token=viewer.tokens.address)} HTTP/1.1\nHost: 127.0.0.1:{viewer.port}\n"
    assert answer_to(viewer, f"{text}Connection: close\n\n")[0] == 401


# Size, time, number


def test_a_body_that_announces_too_much_is_413_before_it_is_read(viewer: Any) -> None:
    with said(viewer, upload(viewer, length=8_000_001)) as line:
        status, text = one_answer(line)
    assert (status, text) == (413, "Content Too Large")


@pytest.mark.parametrize("size", [8_000_001, 20_000_000])
def test_who_writes_all_before_it_reads_still_hears_why_not(viewer: Any, size: int) -> None:
    for headers in ({}, {"cookie": "x=y"}, {"origin": "http://evil.example"}):
        client = http.client.HTTPConnection("127.0.0.1", viewer.port, timeout=30)
        client.request("POST", "/answer", bytes(size), {"origin": viewer.origin, "cookie": viewer.cookie} | headers)
        assert client.getresponse().status == 413
        client.close()


def test_a_body_that_grows_too_long_unannounced_is_413(start: Start) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    with start(limits=Limits(body_bytes=1_000)) as viewer:
        response = viewer.client.post("/answer", content=chunks(), headers={"origin": viewer.origin})
    assert response.status_code == 413


def test_a_body_that_dawdles_is_408_and_its_line_is_closed(start: Start) -> None:
    with (
        start(limits=Limits(body_seconds=0.3)) as viewer,
        said(viewer, upload(viewer, length=100, sent="slow")) as line,
    ):
        began = time.monotonic()
        status, text = heard(line)
        assert time.monotonic() - began < 5
    assert status == 408
    assert "0.3 seconds" in text


def test_a_third_question_at_once_is_429_and_later_all_is_well(viewer: Any) -> None:
    half = upload(viewer, length=4).replace("\n\n", "\nExpect: 100-continue\n\n")
    with said(viewer, half) as first, said(viewer, half) as second:
        for line in (first, second):
            assert line.recv(65_536).startswith(b"HTTP/1.1 100")  # it is inside, and its body is waited for
        flooded = viewer.post("/answer", b"x")
        assert (flooded.status_code, flooded.headers["retry-after"]) == (429, "1")
        assert viewer.client.get("/").status_code == 200  # the page itself is not held up
        for line in (first, second):
            line.sendall(b"junk")
            assert line.recv(65_536).startswith(b"HTTP/1.1 415")
    assert viewer.post("/answer", b"x").status_code == 415


def test_who_hangs_up_in_the_middle_leaves_the_place_to_others(viewer: Any) -> None:
    for _ in range(3):
        with said(viewer, upload(viewer, length=100, sent="half")):
            pass
    until(lambda: viewer.post("/answer", b"x").status_code == 415)


def test_a_flood_is_answered_or_refused_and_the_page_lives(viewer: Any) -> None:
    seen: list[int] = []

    def ask() -> None:
        seen.append(
            httpx.post(
                f"{viewer.origin}/answer", content=b"x", headers={"origin": viewer.origin, "cookie": viewer.cookie},
                timeout=60,
            ).status_code
        )  # fmt: skip

    crowd = [threading.Thread(target=ask) for _ in range(16)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join()
    assert len(seen) == 16
    assert set(seen) <= {415, 429}
    assert viewer.client.get("/").status_code == 200


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


# Headers


def test_every_answer_carries_the_headers_that_let_nothing_else_in(viewer: Any) -> None:
    for response in (
        viewer.client.get("/"),
        viewer.client.get("/nothing"),
        viewer.post("/answer", b"x"),
        httpx.get(f"{viewer.origin}/"),
        viewer.client.get("/", headers={"host": "evil.example"}),
    ):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["cache-control"] == "no-store"
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "server" not in response.headers
        assert "access-control-allow-origin" not in response.headers
