"""Where Chromium is, and how it is started so that it asks nothing of a network by itself."""

from __future__ import annotations

import os
import shutil
from typing import Any, NoReturn

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def chromium_path() -> str | None:
    """The installed browser, or None."""
    return next((path for path in map(shutil.which, _NAMES) if path), None)


def launch(running: Any) -> Any:
    """A browser, from a running Playwright."""
    return running.chromium.launch(executable_path=chromium_path(), args=_QUIET)


def without_browser(reason: str) -> NoReturn:
    """Skip; on a machine that decides about changes, fail: there the page must have been seen."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
