"""Every path that a user gives, how a name is shown, and where the cache lies."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
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


STEERING = (
    "\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff"
)
"""Characters, as a regular expression's range has them, that steer a terminal or the reading direction, or are not seen
and join nothing; line breaks, which some texts may have, are not among them."""
_IN_A_LINE = re.compile(f"[\n{STEERING}]")


def visible(name: str | os.PathLike[str]) -> str:
    """A name, path or sentence in one line, every character of it to be seen or harmless: ESC is spelled \\x1b.

    A byte that is no letter of UTF-8 is spelled as itself, \\xe9. What was spelled out once stays as it is, so a name
    that was read by it can be shown by it again (and is quoted by '', not by `repr`).
    """
    return _IN_A_LINE.sub(_spelled, os.fspath(name))


def _spelled(found: re.Match[str]) -> str:
    letter = found.group()
    return f"\\x{ord(letter) - 0xDC00:02x}" if "\udc80" <= letter <= "\udcff" else ascii(letter)[1:-1]


def typed(*words: str) -> str:
    """Words as one writes them behind a command, with quotes where a blank would split one in two."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


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
