"""JSON without what only Python takes for JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from snellen.runs.strict_json import read_json


@pytest.mark.parametrize("content", [{"a": [1, -2.5, None, True, "ä😀"]}, [], "x", 0, 1e308, 10**299, {"": {}}])
def test_what_json_can_hold_comes_back(content: Any) -> None:
    assert read_json(json.dumps(content)) == content
    assert read_json(json.dumps(content, ensure_ascii=False)) == content


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("NaN", "NaN is not a number"),
        ('{"a": [-Infinity]}', "-Infinity is not a number"),
        ("1e999", "1e999 is larger than any number"),
        ("-1e999", "larger"),
        ("9" * 301, "a number has 301 digits"),
        ("9" * 10_000, "digits"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ('"\\ud800"', "half a character"),
        ('{"\\uDFFF": 1}', "half a character"),
        ("", "Expecting value"),
        ("{", "Expecting"),
    ],
)
def test_what_it_cannot_hold_is_a_value_error_of_a_few_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        read_json(text)
    assert len(str(refused.value)) < 100
