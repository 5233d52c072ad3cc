"""JSON both ways, tables, and arrays: every result to plain values by one function, and what was written read strictly.

Strictly is as JSON's standard has it: no NaN, no Infinity, no number that becomes one, no half characters. Python's own
reader takes all four, and whoever writes them on (a page, a table, a ledger) breaks later and elsewhere. Halves that
stand for a byte are the exception: so Python writes a path that is no UTF-8, and the same path has to come back.

Arrays of a file are read if they are of the kinds expected, no larger than they are, and no objects. NumPy's own reader
makes room for whatever a header promises before it looks for the values, of any dtype.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import os
import re
import shutil
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
        content = json.loads(
            text, parse_constant=_refuse, parse_float=_finite, parse_int=_whole, object_pairs_hook=_once
        )
        if _HALF.search(text):
            json.dumps(content, ensure_ascii=False).encode(errors="surrogateescape")
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeEncodeError:
        raise ValueError("it holds half a character, which no file can") from None
    return content


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"it has {name[:40]!r} twice")
        found[name] = value
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is larger than any number")
    return value


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


def to_csv(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """A table as text; what a row does not have is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


MAX_BYTES = 2**30
"""Of all arrays of a file together, unpacked; 50,000 images of 1,000 classes with views take 400 million."""
_FOLDED = 20
"""A file may be larger than that if it unfolds to no more than so many times its size: a bomb does a thousand."""

_BROKEN = (
    LookupError, ValueError, EOFError, OSError, RuntimeError, ArithmeticError, SyntaxError, MemoryError, struct.error,
    TokenError, BadZipFile, zlib.error,
)  # fmt: skip


def read_arrays(file: IO[bytes], kinds: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz by name.

    Args:
        file: open, to be read in any order.
        kinds: dtype of each array that may be in it, None for any but objects; other arrays are not looked at.

    Raises:
        ValueError: it is no such file, too large unpacked, or an array is of another kind.
    """
    try:
        most = max(MAX_BYTES, _FOLDED * file.seek(0, os.SEEK_END))
        with ZipFile(file) as archive:
            members = {info.filename: info for info in archive.infolist()}
            wanted = {name: members[f"{name}.npy"] for name in kinds if f"{name}.npy" in members}
            if (size := sum(info.file_size for info in wanted.values())) > most:
                raise ValueError(f"it unfolds to {size:,} bytes; at most {most:,} are read. numpy.savez folds nothing")
            if any(info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for info in wanted.values()):
                raise ValueError("it is compressed in a way that NumPy never does")
            found = {}
            for name, info in wanted.items():
                with archive.open(info) as member:
                    found[name] = _array(name, member, kinds[name])
            return found
    except _BROKEN as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _array(name: str, member: IO[bytes], kind: Any) -> NDArray[Any]:
    import numpy as np
    from numpy.lib import format as npy

    content = io.BytesIO()
    shutil.copyfileobj(member, content, 2**20)  # a large array is not there twice
    content.seek(0)
    version = npy.read_magic(content)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_columns, found = read_header(content)
    if found.hasobject or (kind is not None and found != np.dtype(kind)):
        raise ValueError(f"{name} is of {found}; it must be {'numbers or texts' if kind is None else np.dtype(kind)}")
    values = np.frombuffer(content.getbuffer(), dtype=found, offset=content.tell())
    # A shape that promises more than is there does not fit, and costs nothing.
    return np.asarray(values.reshape(shape, order="F" if by_columns else "C"), order="C")
