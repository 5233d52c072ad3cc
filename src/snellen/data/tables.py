"""Pictures named, or held, by a table: CSV, TSV, JSON lines, or Parquet with paths or with the pictures themselves.

Hugging Face data on disk are of this kind: an image folder with metadata.csv, or Parquet shards whose image column
holds encoded files. Parquet is read by pyarrow, an extra. Paths are meant from the table's own folder; one that leads
out of it is not followed.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from snellen.data.listing import PARTS, Found, Listing, Part, class_name, make_listing, shown
from snellen.errors import DataError

TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
PATH_COLUMNS = ("path", "file_name", "filename", "file", "filepath", "image_path", "image", "img")
LABEL_COLUMNS = ("label", "class", "class_name", "category", "target")
PART_COLUMNS = ("split", "subset", "set")
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_ROWS_AT_ONCE = 64  # encoded photographs of a few megabytes each


def find_metadata(folder: Path) -> Path | None:
    """The table with labels that describes the pictures beside it, or None. One without labels is no such table."""
    for name in _METADATA:
        path = folder / name
        if path.is_file() and _column(_columns(path), LABEL_COLUMNS) and _column(_columns(path), PATH_COLUMNS):
            return path
    return None


def find_shards(folders: Sequence[Path]) -> list[Path]:
    """Parquet files in these folders, sorted by path."""
    found = {path for folder in folders for path in folder.glob("*.parquet")}
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def list_table(path: Path, *, part: Part | None = None, root: Path | None = None, whole: bool = True) -> Listing:
    """The pictures of one table.

    Args:
        path: the table.
        part: where all of its pictures belong, where it has no column that says so.
        root: the folder that paths may not leave; the table's own by default.
        whole: False for a table that describes one part of several, which may lack classes.

    Raises:
        DataError: it cannot be read, or has no columns for pictures and labels; the names tried are listed.
    """
    inside = (root or path.parent).resolve()
    if path.suffix.lower() == ".parquet" and _holds_pictures(path):
        return list_rows(inside, [path], part=part)
    left_out: Counter[str] = Counter()
    found = list(_named_pictures(path, part, inside, left_out))
    layout = f"table {shown(path.name)}"
    if not whole:
        return Listing(inside, layout, (), tuple(found), (), left_out)
    return make_listing(inside, layout, found, left_out)


def list_rows(root: Path, shards: Sequence[Path], *, part: Part | None = None) -> Listing:
    """The pictures inside Parquet shards; a part is told by a column, or by the name of the file or its folder."""
    left_out: Counter[str] = Counter()
    found: list[Found] = []
    declared: Sequence[str] = ()
    for shard in shards:
        if not _holds_pictures(shard):
            found += _named_pictures(shard, part or part_of_shard(shard, root), root, left_out)
            continue
        declared = declared or _declared_classes(shard)
        found += _held_pictures(shard, part or part_of_shard(shard, root), declared, root, left_out)
    layout = f"{len(shards)} Parquet file{'' if len(shards) == 1 else 's'}"
    return make_listing(root, layout, found, left_out, class_order=declared)


def read_cells(shard: Path, rows: Sequence[int]) -> Iterator[bytes]:
    """The encoded pictures at `rows` (ascending) of one shard, a few at a time; an empty cell gives b"".

    Raises:
        DataError: the shard cannot be read.
    """
    wanted, first = set(rows), 0
    name = _image_column(shard)
    with _said(shard):
        for batch in _parquet(shard).iter_batches(batch_size=_ROWS_AT_ONCE, columns=[name]):
            here = [row for row in range(first, first + batch.num_rows) if row in wanted]
            for row in here:
                cell = batch.column(0)[row - first].as_py()
                yield (cell.get("bytes") if isinstance(cell, Mapping) else cell) or b""
            first += batch.num_rows


def part_of_shard(shard: Path, root: Path) -> Part | None:
    """`train-00000-of-00002.parquet`, `validation.parquet`, `test/0000.tar`, `birds-val-000.tar`: where it belongs.

    The name's first word decides, then its folder, then any other word that stands alone as a part.
    """
    words = re.split(r"[^a-z]+", shard.name.lower())
    parent = shard.parent.name.lower() if shard.parent != root else ""
    others = {PARTS[word] for word in words if word in PARTS}
    return PARTS.get(words[0]) or PARTS.get(parent) or (others.pop() if len(others) == 1 else None)


def _named_pictures(path: Path, part: Part | None, root: Path, left_out: Counter[str]) -> Iterator[Found]:
    columns = _columns(path)
    paths, labels = _required(path, columns, PATH_COLUMNS), _required(path, columns, LABEL_COLUMNS)
    parts = _column(columns, PART_COLUMNS)
    for number, row in enumerate(_rows(path), start=1):
        label, named = _text(row.get(labels)), _text(row.get(paths))
        if not label or not named:
            left_out["rows without a label or a path"] += 1
            continue
        picture = _inside(path.parent, named, root)
        if picture is None:
            left_out["paths that lead out of the folder"] += 1
            continue
        told = _told_part(path, number, row.get(parts)) if parts else None
        yield Found(shown(named), picture, None, class_name(label), told or part)


def _held_pictures(
    shard: Path, part: Part | None, declared: Sequence[str], root: Path, left_out: Counter[str]
) -> Iterator[Found]:
    columns = _columns(shard)
    labels, parts = _required(shard, columns, LABEL_COLUMNS), _column(columns, PART_COLUMNS)
    with _said(shard):
        table = _parquet(shard).read(columns=[name for name in (labels, parts) if name])
    told = table.column(parts).to_pylist() if parts else [None] * table.num_rows
    inside = shown(shard.relative_to(root) if shard.is_relative_to(root) else shard.name)
    for row, (value, given) in enumerate(zip(table.column(labels).to_pylist(), told, strict=True)):
        numbered = isinstance(value, int) and 0 <= value < len(declared)
        label = declared[value] if numbered else _text(value)
        if not label or value == -1:  # -1 is how Hugging Face data say "unknown"
            left_out["rows without a label or a path"] += 1
            continue
        yield Found(f"{inside} row {row}", shard, row, class_name(label), _told_part(shard, row, given) or part)


def _told_part(path: Path, row: int, value: Any) -> Part | None:
    text = _text(value).lower()
    if text and text not in PARTS:
        raise DataError(f"{shown(path)} row {row}: {text!r} is no part. Known: {', '.join(PARTS)}, or nothing.")
    return PARTS[text] if text else None


def _inside(folder: Path, named: str, root: Path) -> Path | None:
    try:
        path = (folder / named).resolve()
    except (OSError, ValueError, RuntimeError):  # a NUL, or a link in a circle
        return None
    return path if path.is_relative_to(root) else None


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Rows of a table of names, as mappings."""
    ending = path.suffix.lower()
    if ending == ".parquet":
        with _said(path):
            yield from _parquet(path).read().to_pylist()
        return
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            if ending == ".jsonl":
                yield from (_json_row(path, line) for line in file if line.strip())
            else:
                yield from csv.DictReader(file, delimiter=_delimiter(path))
    except (OSError, csv.Error) as error:
        raise DataError(f"{shown(path)} cannot be read ({error}).") from error


def _json_row(path: Path, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{shown(path)} is not one JSON object a line ({error}).") from error
    if not isinstance(row, dict):
        raise DataError(f"{shown(path)} is not one JSON object a line: {line[:40]!r}.")
    return row


def _delimiter(path: Path) -> str:
    """The one of tab, semicolon and comma that the first line has most of."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as file:
        header = file.readline(100_000)
    return max(",;\t", key=header.count)


def _columns(path: Path) -> Sequence[str]:
    if path.suffix.lower() == ".parquet":
        with _said(path):
            return list(_parquet(path).schema_arrow.names)
    row = next(iter(_rows(path)), {})
    return [name for name in row if isinstance(name, str)]


def _column(columns: Sequence[str], known: Sequence[str]) -> str | None:
    """The column whose name is known, the best known first, in any case."""
    by_name = {name.strip().lower(): name for name in reversed(columns)}
    return next((by_name[name] for name in known if name in by_name), None)


def _required(path: Path, columns: Sequence[str], known: Sequence[str]) -> str:
    found = _column(columns, known)
    if found is None:
        raise DataError(
            f"{shown(path)} has the columns {', '.join(map(shown, columns)) or '(none)'}; one of "
            f"{', '.join(known)} is needed. Rename a column."
        )
    return found


# Parquet


def _holds_pictures(path: Path) -> bool:
    name = _column(_columns(path), PATH_COLUMNS)
    with _said(path):
        kind = str(_parquet(path).schema_arrow.field(name).type) if name else ""
    return kind.startswith(("binary", "large_binary", "struct<bytes"))


def _image_column(path: Path) -> str:
    return _required(path, _columns(path), PATH_COLUMNS)


def _declared_classes(path: Path) -> Sequence[str]:
    """The class names that Hugging Face's datasets writes into a shard's schema, in label order, or nothing."""
    with _said(path):
        metadata = _parquet(path).schema_arrow.metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        labels = _column(list(features), LABEL_COLUMNS)
        names = features[labels].get("names") if labels else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ()
    return [class_name(name) for name in names] if isinstance(names, list) and all(map(_is_text, names)) else ()


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _parquet(path: Path) -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            f"Reading {shown(path)} needs pyarrow, which is not installed: pip install 'snellen[tables]'"
        ) from None
    # pre_buffer reads a whole shard into memory before its first row.
    return parquet.ParquetFile(os.fspath(path), pre_buffer=False)


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """pyarrow's many errors as one sentence that names the file."""
    try:
        yield
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise DataError(f"{shown(path)} cannot be read as Parquet ({str(error).splitlines()[0]}).") from error
