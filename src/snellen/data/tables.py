"""Pictures named, or held, by a table: CSV, TSV, JSON lines, or Parquet with paths or with the pictures themselves.

Hugging Face data on disk are of this kind: an image folder with metadata.csv, or Parquet shards whose image column
holds encoded files. Parquet is read by pyarrow, an extra. Paths are meant from the table's own folder; one that leads
out of it is not followed. Text is UTF-8, UTF-16 where it says so, else Latin-1.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, dropwhile
from pathlib import Path
from typing import Any, TextIO

from snellen.data.listing import (
    PARTS,
    Found,
    ListedFile,
    Listing,
    Part,
    class_name,
    file_below,
    label_of,
    make_listing,
    read_bytes,
)
from snellen.errors import DataError
from snellen.paths import visible

TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
PATH_COLUMNS = (
    "path", "file_name", "filename", "file", "filepath", "image_path", "image", "img", "image_id", "id",
)  # fmt: skip
LABEL_COLUMNS = ("class_name", "label_name", "label", "labels", "class", "category", "target")
"""Names before numbers: where both are there, a class is called by its name."""
PART_COLUMNS = ("split", "subset", "set")
_ENDINGS = (".jpg", ".png", ".jpeg")
"""Tried where a column of ids names files without their endings."""
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_ROWS_AT_ONCE = 64  # encoded photographs of a few megabytes each


def find_metadata(folder: Path, root: Path) -> ListedFile | None:
    """The table with labels that describes the pictures beside it, or None. One without labels is no such table."""
    for name in _METADATA:
        table = file_below(folder / name, root)
        if table is not None and table.is_there:
            columns = _columns(table)
            if _column(columns, LABEL_COLUMNS) and _column(columns, PATH_COLUMNS):
                return table
    return None


def list_table(table: ListedFile) -> Listing:
    """The pictures of one table, whose paths may not leave its folder.

    Raises:
        DataError: it cannot be read, or has no columns for pictures and labels; the names tried are listed.
    """
    root, left_out = table.named.parent, Counter[str]()
    if _holds_pictures(table):
        return list_rows(root, [table])
    found = described_pictures(table, None, root, left_out)
    return make_listing(root, f"table {visible(table.named.name)}", found, left_out)


def list_rows(root: Path, shards: Sequence[ListedFile], *, left_out: Counter[str] | None = None) -> Listing:
    """The pictures inside Parquet shards; a part is told by a column, or by the name of the file or its folder."""
    left_out = Counter() if left_out is None else left_out
    found: list[Found] = []
    declared: Sequence[str] = ()
    for shard in shards:
        if not declared and _holds_pictures(shard):
            declared = _declared_classes(shard)
        found += described_pictures(shard, part_of_shard(shard.named, root), root, left_out, declared)
    layout = f"{len(shards)} Parquet file{'' if len(shards) == 1 else 's'}"
    return make_listing(root, layout, found, left_out, class_order=declared)


def read_cells(shard: Path, rows: Sequence[int]) -> Iterator[bytes]:
    """The encoded pictures at `rows` (ascending) of one shard, a few at a time; an empty cell gives b"".

    Raises:
        DataError: the shard cannot be read.
    """
    wanted, first = set(rows), 0
    file = ListedFile(shard.with_suffix(".parquet"), shard)
    name = _required(file, _columns(file), PATH_COLUMNS)
    with _parquet(file) as content:
        for batch in content.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[name]):
            here = [row for row in range(first, first + batch.num_rows) if row in wanted]
            for row in here:
                yield _encoded(batch.column(0)[row - first].as_py(), shard)
            first += batch.num_rows


def _encoded(cell: Any, shard: Path) -> bytes:
    """The picture of a cell: bytes, a list of them, or a struct of bytes and a path, of which one is there."""
    if isinstance(cell, Mapping):
        if cell.get("bytes") or not cell.get("path"):
            return _encoded(cell.get("bytes"), shard)
        beside = file_below(shard.parent / str(cell["path"]), shard.parent)
        return read_bytes(beside.target, follow=False) if beside and beside.is_there else b""
    return bytes(cell) if cell else b""


def part_of_shard(shard: Path, root: Path) -> Part | None:
    """`train-00000-of-00002.parquet`, `validation.parquet`, `test/0000.tar`, `birds-val-000.tar`: where it belongs.

    The name's first word decides, then its folder, then any other word that stands alone as a part.
    """
    words = re.split(r"[^a-z]+", shard.name.lower())
    parent = shard.parent.name.lower() if shard.parent != root else ""
    others = {PARTS[word] for word in words if word in PARTS}
    return PARTS.get(words[0]) or PARTS.get(parent) or (others.pop() if len(others) == 1 else None)


def described_pictures(
    table: ListedFile, part: Part | None, root: Path, left_out: Counter[str], declared: Sequence[str] = ()
) -> Iterator[Found]:
    """The pictures that a table names or holds.

    Args:
        table: the file.
        part: where all of its pictures belong, where it has no column that says so.
        root: the folder that paths may not leave.
        left_out: what is left out is counted here.
        declared: class names by number, for tables that hold pictures and do not say so themselves.
    """
    if _holds_pictures(table):
        return _held_pictures(table, part, declared or _declared_classes(table), root, left_out)
    return _named_pictures(table, part, root, left_out)


def _named_pictures(table: ListedFile, part: Part | None, root: Path, left_out: Counter[str]) -> Iterator[Found]:
    columns = _columns(table)
    paths, labels = _required(table, columns, PATH_COLUMNS), _required(table, columns, LABEL_COLUMNS)
    parts = _column(columns, PART_COLUMNS)
    for number, row in enumerate(_rows(table), start=1):
        label, named = label_of(row.get(labels)), _text(row.get(paths))
        if not label or not named:
            left_out["rows without a label" if named else "rows without a path"] += 1
            continue
        picture = _picture(table.named.parent, named, root)
        if picture is None:
            left_out["paths that lead out of the folder"] += 1
            continue
        told = _told_part(table, number, row.get(parts)) if parts else None
        yield Found(visible(named), picture.target, None, label, told or part, picture.ending)


def _held_pictures(
    shard: ListedFile, part: Part | None, declared: Sequence[str], root: Path, left_out: Counter[str]
) -> Iterator[Found]:
    columns = _columns(shard)
    labels, parts = _required(shard, columns, LABEL_COLUMNS), _column(columns, PART_COLUMNS)
    with _parquet(shard) as content:
        table = content.read(columns=[name for name in (labels, parts) if name])
    told = table.column(parts).to_pylist() if parts else [None] * table.num_rows
    inside = visible(shard.named.relative_to(root))
    for row, (value, given) in enumerate(zip(table.column(labels).to_pylist(), told, strict=True)):
        label = label_of(value, declared)
        if not label:
            left_out["rows without a label"] += 1
            continue
        to = _told_part(shard, row, given) or part
        yield Found(f"{inside} row {row}", shard.target, row, label, to, shard.ending)


def _told_part(table: ListedFile, row: int, value: Any) -> Part | None:
    text = _text(value).lower()
    if text and text not in PARTS:
        raise DataError(f"{visible(table.named)} row {row}: {text!r} is no part; known: {', '.join(PARTS)} or nothing.")
    return PARTS[text] if text else None


def _picture(folder: Path, named: str, root: Path) -> ListedFile | None:
    """The file that a cell names, as it stands there or as other systems write it, or None outside of `root`."""
    as_written = file_below(folder / named, root)
    if as_written is None or as_written.is_there:
        return as_written
    others = [named.replace("\\", "/")]
    if named.isprintable():
        others.append(os.fsdecode(named.encode("latin-1", "replace")))  # a name in the bytes of an old code page
    if not as_written.named.suffix:
        others += [named + ending for ending in _ENDINGS]
    tried = (file_below(folder / other, root) for other in others)
    return next((file for file in tried if file is not None and file.is_there), as_written)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _rows(table: ListedFile) -> Iterator[Mapping[str, Any]]:
    """Rows of a table of names, as mappings."""
    path = table.named
    if table.ending == ".parquet":
        with _parquet(table) as content:
            yield from content.read().to_pylist()
        return
    with _text_file(table) as file:
        if table.ending == ".jsonl":
            yield from (_json_row(path, line) for line in file if line.strip())
        else:
            yield from _csv(file)


def _csv(file: TextIO) -> csv.DictReader[str]:
    lines = dropwhile(lambda line: not line.strip(" ,;\t\r\n"), file)  # a sheet may begin with empty rows
    header = next(lines, "")
    return csv.DictReader(chain((header,), lines), delimiter=max(",;\t", key=header.count))


@contextmanager
def _text_file(table: ListedFile) -> Iterator[TextIO]:
    try:
        with io.TextIOWrapper(table.open(), encoding=_encoding(table), newline="") as file:
            yield file
    except (OSError, csv.Error, UnicodeError) as error:
        raise DataError(f"{visible(table.named)} cannot be read ({error}).") from error


def _encoding(table: ListedFile) -> str:
    with table.open() as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        file.seek(0)
        try:
            for _ in codecs.iterdecode(iter(lambda: file.read(2**20), b""), "utf-8"):
                pass
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"


def _json_row(path: Path, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{visible(path)} is not one JSON object a line ({error}).") from error
    if not isinstance(row, dict):
        raise DataError(f"{visible(path)} is not one JSON object a line: {line[:40]!r}.")
    return row


def _columns(table: ListedFile) -> Sequence[str]:
    if table.ending == ".parquet":
        with _parquet(table) as content:
            return list(content.schema_arrow.names)
    if table.ending == ".jsonl":
        return list(next(iter(_rows(table)), {}))
    with _text_file(table) as file:
        return list(_csv(file).fieldnames or ())


def _column(columns: Sequence[str], known: Sequence[str]) -> str | None:
    """The column whose name is known, the best known first, in any case."""
    by_name = {name.strip().lower(): name for name in reversed(columns)}
    return next((by_name[name] for name in known if name in by_name), None)


def _required(table: ListedFile, columns: Sequence[str], known: Sequence[str]) -> str:
    found = _column(columns, known)
    if found is None:
        raise DataError(
            f"{visible(table.named)} has the columns {', '.join(map(visible, columns)) or '(none)'}; one of "
            f"{', '.join(known)} is needed. Rename a column."
        )
    return found


# Parquet


def _holds_pictures(table: ListedFile) -> bool:
    if table.ending != ".parquet":
        return False
    name = _column(_columns(table), PATH_COLUMNS)
    with _parquet(table) as content:
        kind = str(content.schema_arrow.field(name).type) if name else ""
    # bytes, a list of them, or a struct with either
    return kind.startswith(("binary", "large_binary")) or "uint8" in kind or "bytes: " in kind


def _declared_classes(table: ListedFile) -> Sequence[str]:
    """The class names that Hugging Face's datasets writes into a shard's schema, in label order, or nothing."""
    with _parquet(table) as content:
        metadata = content.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        labels = _column(list(features), LABEL_COLUMNS)
        names = features[labels].get("names") if labels else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    return [class_name(name) for name in names]


@contextmanager
def _parquet(table: ListedFile) -> Iterator[Any]:
    """The file as pyarrow reads it; its many errors as one sentence that names it."""
    try:
        from pyarrow import parquet
    except ImportError:
        raise DataError(
            f"Reading {visible(table.named)} needs pyarrow, which is not installed: pip install 'snellen[tables]'"
        ) from None
    try:
        with table.open() as file:
            # pre_buffer reads a whole shard into memory before its first row.
            yield parquet.ParquetFile(file, pre_buffer=False)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        raise DataError(f"{visible(table.named)} cannot be read as Parquet ({str(error).splitlines()[0]}).") from error
