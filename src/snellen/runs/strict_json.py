"""JSON as its standard has it: no NaN, no Infinity, no number that becomes one, no half characters.

Python's own reader takes all four, and whoever writes them on (a page, a table, a ledger) breaks later and elsewhere.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

_MOST_DIGITS = 300  # beyond it no float can hold a whole number
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(text: str) -> Any:
    """The content of a document.

    Raises:
        ValueError: it is no such JSON; nested too deep counts as well.
    """
    try:
        content = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
        if _HALF.search(text):
            json.dumps(content, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half a character, which no file can") from None
    return content


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is larger than any number")
    return value


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)
