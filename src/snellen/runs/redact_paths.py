"""What leaves this machine, as a page or as evidence, does not say where on its disk anything lay."""

from __future__ import annotations

import re
from typing import Any

_FOLDERS = re.compile(r"(?<![\w./:])(?:[A-Za-z]:)?(?:[/\\][^/\\\s:;,'\"]+)+[/\\](?=[^/\\\s])")


def redact_paths(content: Any) -> Any:
    """JSON-able content in whose texts absolute paths are only their last part.

    What is handed on names the file something came from, not where on this disk it lies.
    """
    if isinstance(content, str):
        return _FOLDERS.sub("", content)
    if isinstance(content, list):
        return [redact_paths(each) for each in content]
    if isinstance(content, dict):
        return {key: redact_paths(value) for key, value in content.items()}
    return content
