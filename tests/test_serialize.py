"""Results as plain JSON values, JSON without what only Python takes for JSON, and arrays no larger than they are."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from snellen import serialize
from snellen.recipes.catalog import RECIPES
from snellen.runs.atomic import write_json
from snellen.serialize import read_arrays, read_json, to_json


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


@pytest.mark.parametrize("path", [bytes([byte]) for byte in range(128, 256)])
def test_a_path_of_any_bytes_comes_back_from_a_file_of_our_own(path: bytes, tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {"source": os.fsdecode(b"caf" + path)})
    assert os.fsencode(read_json((tmp_path / "run.json").read_text(encoding="utf-8"))["source"]) == b"caf" + path


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
        ('"\\udc7f"', "half a character"),
        ('"\\udd00"', "half a character"),
        ('{"lr": 1, "b": {"lr": 2}, "lr": 3}', "it has 'lr' twice"),
        ("", "Expecting value"),
        ("{", "Expecting"),
    ],
)
def test_what_it_cannot_hold_is_a_value_error_of_a_few_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        read_json(text)
    assert len(str(refused.value)) < 100


ARRAYS = {"logits": np.arange(12, dtype=np.float32).reshape(4, 3), "ids": np.arange(4)}
KINDS = {"logits": np.float32, "ids": np.int64}


def packed(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{**ARRAYS, **arrays})
    return buffer.getvalue()


def refusal(content: bytes, kinds: Any = KINDS) -> str:
    """The sentence with which a file of this content is refused."""
    with pytest.raises(ValueError) as refused:
        read_arrays(io.BytesIO(content), kinds)
    return str(refused.value)


def test_arrays_by_columns_and_further_arrays_change_nothing() -> None:
    turned = np.asfortranarray(ARRAYS["logits"])
    read = read_arrays(io.BytesIO(packed(logits=turned, more=np.zeros(3))), {"logits": np.float32, "none": np.int64})
    assert list(read) == ["logits"]
    np.testing.assert_array_equal(read["logits"], turned)
    read["logits"][:] = 0  # the reader of a file may change what it read


@pytest.mark.parametrize(
    "values",
    [np.array(["ant", "bee"]), np.zeros((0, 3)), np.array(3), np.arange(4, dtype=">i8"), np.array([True, False])],
    ids=["texts", "empty", "number", "big-endian", "bools"],
)
def test_where_any_kind_will_do_it_comes_back_as_it_was(values: Any) -> None:
    read = read_arrays(io.BytesIO(packed(ids=values)), {"ids": None})["ids"]
    assert (read.dtype, read.shape) == (values.dtype, values.shape)
    np.testing.assert_array_equal(read, values)


def test_objects_are_refused_where_any_kind_will_do() -> None:
    content = packed(ids=np.array([1, None], dtype=object))
    assert refusal(content, {"ids": None}) == "ids is of object; it must be numbers or texts"
    assert refusal(packed(ids=np.zeros(4))) == "ids is of float64; it must be int64"


@pytest.mark.parametrize("kinds", [KINDS, dict.fromkeys(KINDS)], ids=["fixed", "any"])
@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 3), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3), 'x': 1}\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2**60,), }\n",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (",
        "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }\n",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (1099511627776,), }\n",
        "[" * 9_000,
        "__import__('os').mkdir('x')\n",
        "{'descr': [('a', '<f4')] * 10**9, 'fortran_order': False, 'shape': (3,), }\n",
    ],
    ids=["terabytes", "negative", "power", "cut", "objects", "nothing", "deep", "call", "long"],
)
def test_a_header_that_promises_anything_costs_nothing(text: str, kinds: Any) -> None:
    buffer = io.BytesIO(packed())
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
    with zipfile.ZipFile(buffer, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("logits.npy", member)
    refusal(buffer.getvalue(), kinds)


@pytest.mark.parametrize(
    "content",
    [b"", b"not an archive", pickle.dumps(ARRAYS), b"\x93NUMPY\x01\x00\x10\x00", packed()[:200], packed()[:-1]],
    ids=["nothing", "text", "pickle", "one array", "half", "without its end"],
)
def test_another_kind_of_file_is_refused(content: bytes) -> None:
    refusal(content)


def test_an_archive_that_unfolds_without_end_is_refused_before_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serialize, "MAX_BYTES", 10_000)
    bomb = packed(logits=np.zeros((40_000, 3), dtype=np.float32))
    assert len(bomb) * 20 < 480_000
    assert f"it unfolds to 480,288 bytes; at most {20 * len(bomb):,} are read" in refusal(bomb)
    noise = np.random.default_rng(0).random((40_000, 3), dtype=np.float32)  # as large, and hardly smaller when folded
    assert read_arrays(io.BytesIO(packed(logits=noise)), KINDS)["logits"].shape == (40_000, 3)


def test_an_archive_packed_in_another_way_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("ids.npy", b"x")
    assert "in a way that NumPy never does" in refusal(buffer.getvalue())
