"""Where Chromium is, and how it is started so that it asks nothing of a network by itself."""

from __future__ import annotations

import shutil
from typing import Any

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
