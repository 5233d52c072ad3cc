"""Where Chromium is, how it is started so that it asks nothing of a network by itself, and how to wait for a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

Open = Callable[..., Any]
Expect = Callable[[Any], Any]

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",  # a camera that shows a test picture
]  # fmt: skip


def chromium_path() -> str | None:
    """The installed browser, or None."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


def launch(running: Any) -> Any:
    """A browser, from a running Playwright."""
    return running.chromium.launch(executable_path=chromium_path(), args=_QUIET)


def settled(tab: Any) -> Any:
    """Wait until what is drawn is what the address asks for: the page hears of a new address a moment later."""
    tab.wait_for_function("() => document.documentElement.dataset.shown === location.hash")
    return tab


def all_painted(tab: Any, selector: str) -> None:
    """Wait until each canvas holds more than one colour; of the small ones that a page has many of, the first few."""
    tab.wait_for_function(
        """selector => {
            const found = [...document.querySelectorAll(selector)].slice(0, 8);
            return found.length && found.every(({ width, height }, at) => {
                if (!width) return false;
                const copy = Object.assign(document.createElement("canvas"), { width, height });
                const pen = copy.getContext("2d", { willReadFrequently: true });
                pen.drawImage(found[at], 0, 0);
                return new Set(new Uint32Array(pen.getImageData(0, 0, width, height).data.buffer)).size > 1;
            });
        }""",
        arg=selector,
    )


def without_browser(reason: str) -> NoReturn:
    """Skip; on a machine that decides about changes, fail: there the page must have been seen."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
