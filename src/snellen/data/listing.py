"""Which pictures there are, under which label, in which part: what every layout comes down to before a pixel is read.

One class map by name holds for all parts. A test folder that lacks a class, or lists its classes in another order,
moves no index: labels are looked up by name, never counted.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snellen.errors import BadSplit, DataError

Part = Literal["train", "val", "test"]
PARTS: dict[str, Part] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What the parts are called, in any case."""


@dataclass(frozen=True, slots=True)
class Found:
    """One picture as a layout names it.

    Attributes:
        name: for people: the path below the root, or shard and row.
        path: the file that holds it.
        row: its row (Parquet) or sample (tar) in that file, or None where the file is the picture.
        label: its class, by name.
        part: where it was put by whoever made the data, or None where nobody did.
    """

    name: str
    path: Path
    row: int | None
    label: str
    part: Part | None


@dataclass(frozen=True)
class Listing:
    """All pictures of a layout, in an order that the names alone decide.

    Attributes:
        root: the folder nothing outside of which is read.
        layout: in words, for people.
        class_names: the K names; a label is a position in it.
        found: the pictures.
        labels: their labels in [0, K), one each.
        left_out: why something was not read, and how often.
    """

    root: Path
    layout: str
    class_names: tuple[str, ...]
    found: tuple[Found, ...]
    labels: tuple[int, ...]
    left_out: Mapping[str, int]

    def digest(self) -> str:
        """Changes when a file is added, removed, renamed, or has another size or time: the quick check of the cache."""
        stamps: dict[Path, str] = {}
        hashed = hashlib.sha256()
        for one in self.found:
            if one.path not in stamps:
                stamps[one.path] = _stamp(one.path)
            hashed.update(f"{one.row}\0{stamps[one.path]}\0".encode() + os.fsencode(one.path) + b"\n")
        return hashed.hexdigest()


def make_listing(
    root: Path,
    layout: str,
    found: Iterable[Found],
    left_out: Mapping[str, int],
    *,
    class_order: Sequence[str] = (),
    empty_classes: Sequence[str] = (),
) -> Listing:
    """The listing of what a layout holds, with its class map.

    Args:
        root: as in `Listing`.
        layout: likewise.
        found: in the order of their names.
        left_out: likewise.
        class_order: the names in the order the data declare; the others follow, sorted.
        empty_classes: class folders to learn from without a single file.

    Raises:
        DataError: nothing is there, a training class is empty, or val or test hold a class that train has not.
        BadSplit: fewer than two classes.
    """
    entries = tuple(found)
    if empty_classes:
        raise DataError(
            f"The class folder {_listed(empty_classes)} in {shown(root)} is empty. Put pictures there or remove it."
        )
    learned = {entry.label for entry in entries if entry.part in (None, "train")}
    if not learned:
        raise DataError(f"{shown(root)} holds no pictures to learn from ({layout}).{_besides(left_out)}")
    for part in ("val", "test"):
        strange = sorted({entry.label for entry in entries if entry.part == part} - learned)
        if strange:
            raise DataError(
                f"{shown(root)}: {part} has the class {_listed(strange)}, which train has not. Rename it, move "
                "pictures of it into train, or take it out."
            )
    names = _ordered(learned, class_order)
    if len(names) < 2:
        raise BadSplit(
            f"{shown(root)} has one class only, {names[0]!r} ({layout}); a classifier needs pictures of at least two."
        )
    number = {name: place for place, name in enumerate(names)}
    labels = tuple(number[entry.label] for entry in entries)
    return Listing(root, layout, names, entries, labels, dict(left_out))


def shown(path: Path | str) -> str:
    """A path or name that can be printed and stored: bytes that are no UTF-8 and control characters are escaped."""
    text = os.fspath(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def class_name(text: str) -> str:
    """A class's name as it is compared: one spelling of ä, whichever way the file system composes it."""
    return unicodedata.normalize("NFC", shown(text.strip()))


def counted(left_out: Mapping[str, int]) -> str:
    """ "hidden files (2), special files (1)"."""
    return ", ".join(f"{reason} ({count:,})" for reason, count in sorted(left_out.items()) if count)


def _besides(left_out: Mapping[str, int]) -> str:
    return f" Left out: {counted(left_out)}." if counted(left_out) else ""


def _ordered(names: set[str], declared: Sequence[str]) -> tuple[str, ...]:
    first = [name for name in declared if name in names]
    rest = names - set(first)
    # Numbers by value: 2 before 10, as whoever numbered the classes means it.
    by_value = all(name.isascii() and name.isdigit() for name in rest)
    return (*first, *sorted(rest, key=lambda name: (int(name), name) if by_value else (0, name)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(repr(name) for name in names[:3]) + more


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
