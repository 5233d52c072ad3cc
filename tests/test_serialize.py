"""Results as plain JSON values, and JSON without what only Python takes for JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from snellen.recipes.catalog import RECIPES
from snellen.serialize import read_json, to_json


@dataclass(frozen=True)
class Share:
    """Fields and a property that follows from them."""

    json_also: ClassVar[tuple[str, ...]] = ("value",)
    hits: int
    n: int

    @property
    def value(self) -> float:
        """A fraction."""
        return self.hits / self.n


@dataclass(frozen=True)
class Result:
    """Everything a result may hold; `hidden` is not written."""

    kind: ClassVar[str] = "result"
    json_only: ClassVar[tuple[str, ...]] = ("shares", "array", "path", "by_name", "scalar", "missing")
    shares: tuple[Share, ...]
    array: np.ndarray[Any, Any]
    path: Path
    by_name: dict[Any, Any]
    scalar: Any
    missing: None
    hidden: object


def test_a_result_becomes_plain_values_whatever_it_holds() -> None:
    array = np.array([[1.5, np.nan], [-np.inf, 2]], dtype=np.float32)
    by_name = {1: np.int64(3), "b": [float("inf"), True, "ä"]}
    content = to_json(Result((Share(1, 4),), array, Path("a/b"), by_name, np.float64("nan"), None, object()))
    assert content == {
        "kind": "result",
        "shares": [{"hits": 1, "n": 4, "value": 0.25}],
        "array": [[1.5, None], [None, 2.0]],
        "path": "a/b",
        "by_name": {"1": 3, "b": [None, True, "ä"]},
        "scalar": None,
        "missing": None,
    }
    assert read_json(json.dumps(content, allow_nan=False)) == content


@pytest.mark.parametrize("value", [np.bool_(True), np.int32(7), np.float32(0.5), np.array(3), np.arange(3) > 1])
def test_numpys_scalars_and_arrays_are_plain_afterwards(value: Any) -> None:
    assert json.loads(json.dumps(to_json(value))) == value.tolist()


def test_what_has_no_form_in_json_is_named() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        to_json([object()])


def test_a_recipe_says_of_what_kind_its_parts_are() -> None:
    assert to_json(RECIPES["sprint"])["optimizer"]["kind"] == RECIPES["sprint"].optimizer.kind


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
