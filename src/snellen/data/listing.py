"""Which pictures there are, under which label, in which part: what every layout comes down to before a pixel is read.

One class map by name holds for all parts. A test folder that lacks a class, or lists its classes in another order,
moves no index: labels are looked up by name, never counted. A cell becomes a label by `label_of` alone, and a file
below a folder is one of its pictures only where `file_below` says so.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from numbers import Number
from pathlib import Path
from typing import Any, BinaryIO, Literal

from snellen.errors import BadSplit, DataError, TooLarge
from snellen.paths import visible

Part = Literal["train", "val", "test"]
PARTS: dict[str, Part] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What the parts are called, in any case."""
MAX_BYTES = 256 * 2**20
"""Of one encoded picture; more are not read."""
_MISSING = {"", "-1", "nan", "NaN", "NAN", "NaT", "null", "NULL", "None", "N/A", "n/a", "#N/A", "<NA>"}
"""How tables write that nobody knows; -1 is how Hugging Face data do."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file by two paths: the name says what it is, the target is opened. Links are followed once, when it is listed.

    Attributes:
        named: as it is called, in a folder that is no link.
        target: the regular file; no link.
    """

    named: Path
    target: Path

    @staticmethod
    def by_user(path: Path) -> ListedFile:
        """A file that a user names; where its links lead is the user's to say."""
        return ListedFile(path.parent.resolve() / path.name, path.resolve())

    @property
    def ending(self) -> str:
        """ ".csv", in small letters."""
        return self.named.suffix.lower()

    @property
    def is_there(self) -> bool:
        """Whether the target is a regular file."""
        try:
            return self.target.is_file()
        except (OSError, ValueError):  # a name too long for the file system
            return False

    def open(self) -> BinaryIO:
        """For reading; raises as `open_regular`."""
        return open_regular(self.target, follow=False)


@dataclass(frozen=True, slots=True)
class Found:
    """One picture as a layout names it.

    Attributes:
        name: for people: the path below the root, or shard and row.
        path: the file that holds it; no link.
        row: its row (Parquet) or sample (tar) in that file, or None where the file is the picture.
        label: its class, by name.
        part: where it was put by whoever made the data, or None where nobody did.
        ending: of the name of the file that holds it.
    """

    name: str
    path: Path
    row: int | None
    label: str
    part: Part | None
    ending: str = ""


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
        empty_classes: class folders to learn from without a single file.
    """

    root: Path
    layout: str
    class_names: tuple[str, ...]
    found: tuple[Found, ...]
    labels: tuple[int, ...]
    left_out: Mapping[str, int]
    empty_classes: tuple[str, ...] = ()

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
        root: as in `Listing`, and so `layout`, `left_out` and `empty_classes`.
        found: in the order of their names.
        class_order: the names in the order the data declare; the others follow, sorted.
    """
    entries = tuple(found)
    names = _ordered({entry.label for entry in entries}, class_order)
    number = {name: place for place, name in enumerate(names)}
    labels = tuple(number[entry.label] for entry in entries)
    counts = {why: count for why, count in left_out.items() if count}
    return Listing(root, layout, names, entries, labels, counts, tuple(empty_classes))


def require_learnable(listing: Listing) -> None:
    """Refuse what nothing can be learned from.

    Raises:
        DataError: nothing is there, a training class is empty, or val or test hold a class that train has not.
        BadSplit: fewer than two classes.
    """
    root, layout = visible(listing.root), listing.layout
    if listing.empty_classes:
        raise DataError(
            f"The class folder {_listed(listing.empty_classes)} in {root} is empty. Put pictures there or remove it."
        )
    learned = {entry.label for entry in listing.found if entry.part in (None, "train")}
    if not learned:
        raise DataError(f"{root} holds no pictures to learn from ({layout}).{besides(listing.left_out)}")
    for part in ("val", "test"):
        strange = sorted({entry.label for entry in listing.found if entry.part == part} - learned)
        if strange:
            raise DataError(
                f"{root}: {part} has the class {_listed(strange)}, which train has not. Rename it, move pictures of it "
                "into train, or take it out."
            )
    if len(learned) < 2:
        raise BadSplit(
            f"{root} has one class only, '{min(learned)}' ({layout}); a classifier needs pictures of at least two."
        )


def read_bytes(path: Path, *, follow: bool = True) -> bytes:
    """The content of a regular file of at most 256 MiB; nothing else is opened.

    Args:
        path: the file.
        follow: whether it may be a link. What a folder lists is not followed: its links were resolved when it was
            listed, and one that is there now was put there since.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    try:
        with open_regular(path, follow=follow) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise TooLarge(f"{path} has {size:,} bytes; at most {MAX_BYTES:,} are read.")
            return file.read(MAX_BYTES)
    except FileNotFoundError:
        raise DataError(f"There is no picture at {path}.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def open_regular(path: Path, *, follow: bool) -> BinaryIO:
    """A regular file, opened for reading; a pipe or device, which would block, is not waited for.

    Raises:
        DataError: it is no regular file, or a link that is not to be followed.
        OSError: it is not there, or may not be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    except OSError as error:
        if error.errno == errno.ELOOP or path.is_dir():  # Windows cannot open a folder
            raise DataError(f"{path} is not a file.") from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise DataError(f"{path} is not a file.")
    return os.fdopen(descriptor, "rb")


def file_below(path: Path, root: Path) -> ListedFile | None:
    """The file at a path below `root`, or None where its links lead out of it or in a circle.

    Every file that a folder's own contents name comes through here. In a snapshot of a Hugging Face cache the files are
    links into the `blobs` beside the snapshots, which are as much of it as the snapshot itself.

    Args:
        path: below `root`; there need be no such file.
        root: a folder, resolved.
    """
    try:
        target = path.resolve()
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
            target.stat()  # Python 3.13 resolves a circle to itself
    except (OSError, ValueError, RuntimeError):  # a NUL, or a link in a circle
        return None
    snapshot = next((each for each in (root, *root.parents) if each.parent.name == "snapshots"), None)
    places = (root,) if snapshot is None else (root, snapshot.parent.parent / "blobs")
    return ListedFile(path, target) if any(target.is_relative_to(place) for place in places) else None


def files_ending(ending: str, folders: Sequence[Path], root: Path, left_out: Counter[str]) -> list[ListedFile]:
    """Files of that ending right in these folders, sorted by path; links out of `root` are counted in `left_out`."""
    inside = sorted(path for folder in folders for path in folder.glob("[!.]*") if path.suffix.lower() == ending)
    named = [path for path in inside if path.is_file()]
    files = [file for path in named if (file := file_below(path, root))]
    left_out["links that lead out of the folder"] += len(named) - len(files)
    return files


def label_of(value: Any, declared: Sequence[str] = ()) -> str:
    """The class that a cell names, or "" where it says that nobody knows: empty, -1, NaN, null, N/A.

    Args:
        value: a name or a number, as a table, JSON or an array holds it.
        declared: names by number, where the data declare them.

    Raises:
        DataError: it holds several values, or something that is neither a name nor a number.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    several = isinstance(value, list | tuple | set | dict) or getattr(value, "ndim", None)
    if several or not (value is None or isinstance(value, str | Number | date) or hasattr(value, "dtype")):
        what = "holds several values" if several else f"is of type {type(value).__name__}"
        raise DataError(
            f"The label {visible(repr(value)[:60])} {what}; Snellen takes one label per picture, a name or a number."
        )
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with gaps is read as 1.0, 2.0, NaN
    text = class_name(str(value))
    if text in _MISSING:
        return ""
    numbered = text.isascii() and text.isdecimal() and len(text) < 10 and int(text) < len(declared)
    return declared[int(text)] if numbered else text


def class_name(text: str) -> str:
    """A class's name as it is compared: one spelling of ä, whichever way the file system composes it."""
    return unicodedata.normalize("NFC", visible(text.strip()))


def counted(left_out: Mapping[str, int]) -> str:
    """ "hidden files (2), special files (1)"."""
    return ", ".join(f"{reason} ({count:,})" for reason, count in sorted(left_out.items()) if count)


def first_few(texts: Sequence[str], most: int) -> str:
    """ "a; b; and 3 more"."""
    more = f"; and {len(texts) - most:,} more" if len(texts) > most else ""
    return "; ".join(texts[:most]) + more


def besides(left_out: Mapping[str, int]) -> str:
    """ " Left out: hidden files (2).", to be put behind a sentence; "" where nothing was."""
    return f" Left out: {counted(left_out)}." if counted(left_out) else ""


def _ordered(names: set[str], declared: Sequence[str]) -> tuple[str, ...]:
    first = [name for name in dict.fromkeys(declared) if name in names]
    rest = names - set(first)
    # Numbers by value: 2 before 10, as whoever numbered the classes means it.
    by_value = all(name.isascii() and name.isdigit() for name in rest)
    return (*first, *sorted(rest, key=lambda name: (int(name), name) if by_value else (0, name)))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(f"'{name}'" for name in names[:3]) + more


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
