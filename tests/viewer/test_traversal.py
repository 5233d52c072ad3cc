"""Two hundred and more spellings of a way out: none leads anywhere, and none makes the viewer open a file."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest
from tests.viewer.wire import answer_to, head

UP = ("..", "%2e%2e", "%2E.", "%252e%252e", "..;", "..%00", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%uff0e%uff0e",
      "%EF%BC%8E%EF%BC%8E", "....", "..%20", ".%0a.", "..%0d%0a", "%%32%65%%32%65")  # fmt: skip
OVER = ("/", "%2f", "%5c", "\\", "%252f", "%c0%af", "//", "%EF%BC%8F")
TARGETS = ("etc/passwd", "run.json")
ABSOLUTE = (
    "/etc/passwd", "//etc/passwd", "/%2fetc%2fpasswd", "/C:/Windows/win.ini", "/c:%5cboot.ini", "/%5c%5chost%5cshare",
    "/\\\\host\\share", "/%00", "/page.html%00.png", "/%ff", "/file:///etc/passwd", "/file:%2f%2f/etc/passwd",
    "/proc/self/environ", "/dev/stdin", "/~root/.ssh/id_rsa", "/%7eroot", "/.git/config", "/.env", "/static/page.css",
    "/page.js", "/favicon.ico", "/robots.txt", "/CON", "/answer.", "/answer::$DATA", "/ANSWER", "/./", "/.", "/%2e",
    "/answer/", "/answer%2f", "/answer;x", "/answer%20", "/answer%0a", "/answer%0d%0a", "/%0a", "/%0d", "/%09", "/%20",
    "/%3f", "/%23", "/%e2%80%ae", "/%f0%9f%92%a9", "/%ed%a0%80", "/%ed%b0%80%ed%a0%80", "/explain/x", "//", "///",
    "/*", "/%2a", "/" + "a/" * 2000, "/" + "../" * 2000, "/" + "%2e%2e%2f" * 500,
)  # fmt: skip
CLIMBS = tuple(
    f"/{over.join([up] * 3)}{over}{target}" for up, over, target in itertools.product(UP, OVER, TARGETS)
) + tuple(f"/answer/{up}/{up}/{target}" for up, target in itertools.product(UP, TARGETS))
SPELLINGS = sorted({*CLIMBS, *ABSOLUTE})

_opened: list[str] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(str(arguments[0]))


@pytest.fixture
def opened() -> Any:
    """Names of all files that this process, and so the viewer in it, opens meanwhile."""
    global _opened
    if not getattr(_note, "hooked", False):
        sys.addaudithook(_note)  # can never be taken away again
        _note.hooked = True  # type: ignore[attr-defined]
    _opened = []
    yield _opened
    _opened = None


def test_there_are_more_than_two_hundred() -> None:
    assert len(SPELLINGS) > 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_no_spelling_of_a_path_leads_anywhere_or_opens_a_file(viewer: Any, opened: list[str], method: str) -> None:
    for path in SPELLINGS:
        status, whole = answer_to(viewer, head(viewer, f"{method} {path}", "Content-Length: 0"))
        assert status == 404, path
        assert "root:" not in whole, path
    assert opened == []


def test_no_spelling_in_a_query_opens_a_file(viewer: Any, opened: list[str]) -> None:
    for path in SPELLINGS:
        for asked in ("run", "fit", "token"):
            text = head(viewer, f"POST /answer?{asked}={path}", "Content-Length: 1")
            assert answer_to(viewer, f"{text}x")[0] == (415 if asked == "token" else 400), (asked, path)
    assert opened == []


def test_the_watch_for_opened_files_can_fail(opened: list[str]) -> None:
    with open(__file__, encoding="utf-8"):
        pass
    assert opened == [__file__]
