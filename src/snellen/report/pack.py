"""Columns of numbers on their way into the page: little-endian bytes in base64, a quarter of their size as JSON."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES = ("u1", "u2", "u4", "i4", "f4")
_STEPS = 65_535


def packed(values: NDArray[Any], kind: str) -> dict[str, str]:
    """An array as `{"type", "data"}`; the page turns it back into a typed array, row by row.

    Args:
        values: of any shape; the page knows the shape from what it is.
        kind: "u1", "u2", "u4", "i4" or "f4".
    """
    assert kind in _TYPES, f"the page has no {kind}"
    if kind[0] in "ui":
        limits = np.iinfo(kind)
        assert values.size == 0 or (values.min() >= limits.min and values.max() <= limits.max), f"beyond {kind}"
    content = np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()
    return {"type": kind, "data": base64.b64encode(content).decode("ascii")}


def packed_fractions(values: NDArray[Any]) -> dict[str, str]:
    """Fractions in [0, 1] in steps of 1/65535: fine enough for a hundredth of a percent."""
    return packed(np.round(np.clip(values, 0, 1) * _STEPS), "u2")


def packed_map(values: NDArray[Any]) -> dict[str, Any]:
    """A map (h, w) of values from 0 up, stretched so that its largest is 255, with its shape and that largest value."""
    top = float(values.max(initial=0))
    levels = np.round(np.clip(values, 0, None) / top * 255) if top > 0 else np.zeros(values.shape)
    return {"shape": list(values.shape), "top": top, **packed(levels, "u1")}


def json_for_html(content: Any) -> str:
    """JSON that can stand inside a `<script>` element whatever names it holds.

    "<", ">" and "&" are written as escapes, so no text in it can end the element or begin a comment; the two line
    separators that JSON allows and older JavaScript does not are escaped as well.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
