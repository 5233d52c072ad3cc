"""JSON both ways: every result to plain values by one function, and documents read strictly.

Strictly is as JSON's standard has it: no NaN, no Infinity, no number that becomes one, no half characters. Python's own
reader takes all four, and whoever writes them on (a page, a table, a ledger) breaks later and elsewhere.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

_MOST_DIGITS = 300  # beyond it no float can hold a whole number
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def to_json(value: Any) -> Any:
    """A result as plain lists, numbers, strings and None; a number that is not finite becomes None.

    A dataclass becomes its fields, in order. What a class writes besides or instead is data of the class:

        kind: ClassVar[str]                    written first; it tells members of a union apart
        json_also: ClassVar[tuple[str, ...]]   properties written after the fields
        json_only: ClassVar[tuple[str, ...]]   fields and properties written instead of all fields

    Arrays become nested lists, paths text, keys text.

    Raises:
        TypeError: `value` holds something that has no form in JSON.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None  # np.float64 is a float as well
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: to_json(getattr(value, name)) for name in _written(type(value))}
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's arrays and scalars; NumPy itself is not imported by who only reads recipes
        return to_json(value.tolist())
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _written(result: type) -> tuple[str, ...]:
    fields = tuple(field.name for field in dataclasses.fields(result))
    kind = ("kind",) if hasattr(result, "kind") and "kind" not in fields else ()
    return kind + tuple(getattr(result, "json_only", fields)) + tuple(getattr(result, "json_also", ()))


def flat(content: Any, prefix: str = "") -> dict[str, Any]:
    """Nested objects as one, keyed by path, such as "optimizer.lr", as `--set` spells it; lists and None stay whole."""
    if not isinstance(content, dict):
        return {prefix.rstrip("."): content}
    return {key: value for name, item in content.items() for key, value in flat(item, f"{prefix}{name}.").items()}


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
