"""Every path that a user gives, and where the cache lies."""

from __future__ import annotations

import os
from pathlib import Path

from snellen.errors import InvalidSetting, StorageError


def user_path(given: str | os.PathLike[str]) -> Path:
    """A path that a user gives, as it is meant: `~` is the home folder, and nothing else is changed.

    Links are left as they are named: what a path ends in is asked before where it leads to.

    Raises:
        InvalidSetting: it cannot be a path, or it begins with a home folder that there is not.
    """
    text = os.fspath(given)
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidSetting(f"{text!r} cannot be a path.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise InvalidSetting(f"{text} begins with a home folder that there is not; write the path in full.") from None


def cache_folder() -> Path:
    """Where downloads and decoded pictures are kept: `$XDG_CACHE_HOME/snellen`, else `~/.cache/snellen`.

    Raises:
        StorageError: the variable is not set, and this user has no home folder.
    """
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named) / "snellen"
    try:
        return Path.home() / ".cache" / "snellen"
    except RuntimeError:
        raise StorageError(
            "This user has no home folder to keep a cache in. Say where: XDG_CACHE_HOME=/some/folder snellen …"
        ) from None
