"""Decoded pictures on disk, mapped into memory: decoded once, whatever their number, and never held as a whole.

    $XDG_CACHE_HOME/snellen/pictures/KEY/index.json    hash or problem of each file, in the order of the listing
                                         pixels-….u8   (M, side, side, 3) uint8, nothing else

KEY stands for the folder, the form and the decoder. The quick check compares names, sizes and times of all files; where
one differs, every file is read and hashed, and only those with new content are decoded. Pixels are in place before the
index that names them, each written in one rename, so that a kill at any instant leaves the old state or the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
from filelock import FileLock
from numpy.typing import NDArray

from snellen.data.decode import Progress, decode
from snellen.data.listing import Listing
from snellen.data.pictures import DECODER, PictureForm
from snellen.data.search import cache_folder
from snellen.errors import StorageError
from snellen.runs.atomic import storage_error, write_parts, write_text

Arrange = Callable[[Sequence[str]], NDArray[np.int64]]
"""Hashes of all N files, empty where unreadable, to the (M,) int64 places of the readable ones in the order wanted."""

_FORMAT = 1
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Stored:
    """What is in the cache about one listing.

    Attributes:
        hashes: BLAKE2b in hex of each of the N files; empty where it could not be read at all.
        problems: place in the listing -> why it has no pixels.
        order: (M,) int64, the place in the listing of each row of pixels.
        pixels: (M, side, side, 3) uint8, mapped from the file; writing to it changes no file.
        folder: where it lies.
    """

    hashes: tuple[str, ...]
    problems: dict[int, str]
    order: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    folder: Path


def pictures_folder() -> Path:
    """The folder of all decoded pictures; it may be deleted whenever nothing is running."""
    return cache_folder() / "pictures"


def stored_pictures(listing: Listing, form: PictureForm, arrange: Arrange, progress: Progress) -> Stored:
    """The decoded pictures of a listing, from the cache, or decoded now.

    Args:
        listing: the files.
        form: what they become.
        arrange: the order of the rows; a row's neighbours should be those it is used together with.
        progress: told how far decoding has come; not called where nothing is read.

    Raises:
        StorageError: the cache cannot be written.
    """
    folder = pictures_folder() / _key(listing, form)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # a second process waits, and then finds everything done
            return _stored_pictures(folder, listing, form, arrange, progress)
    except OSError as error:
        raise _no_room(folder, listing, form, storage_error(folder, error)) from error
    except StorageError as error:
        raise _no_room(folder, listing, form, error) from error


def _stored_pictures(folder: Path, listing: Listing, form: PictureForm, arrange: Arrange, progress: Progress) -> Stored:
    for leftover in folder.glob(".*.tmp"):  # of a process that was killed: the lock says that none is at work
        leftover.unlink(missing_ok=True)
    digest, before = listing.digest(), _read(folder, form)
    if before is None or before[0] != digest:
        before = digest, _decode_all(folder, listing, digest, form, before and before[1], progress)
    stored = before[1]
    order = arrange([stored.hashes[n] if n not in stored.problems else "" for n in range(len(stored.hashes))])
    if np.array_equal(order, stored.order):
        return stored
    row_of = np.zeros(len(stored.hashes), dtype=np.int64)
    row_of[stored.order] = np.arange(len(stored.order))
    rows = row_of[order]
    name = f"pixels-{digest[:16]}-{hashlib.sha256(order.tobytes()).hexdigest()[:16]}.u8"
    parts = (stored.pixels[rows[at : at + _ROWS_AT_ONCE]].data for at in range(0, len(rows), _ROWS_AT_ONCE))
    write_parts(folder / name, parts)
    return _finish(folder, digest, form, stored.hashes, stored.problems, order, name)


def _decode_all(
    folder: Path, listing: Listing, digest: str, form: PictureForm, before: Stored | None, progress: Progress
) -> Stored:
    """Read every file; decode those whose content is not in the cache already."""
    row_of = {before.hashes[place]: row for row, place in enumerate(before.order)} if before else {}
    count = len(listing.found)
    hashes: list[str] = []
    problems: dict[int, str] = {}

    def parts() -> Iterator[memoryview]:
        for one in decode(listing.found, count, form, known=frozenset(row_of), progress=progress):
            if one.problem:
                problems[len(hashes)] = one.problem
            elif one.pixels is not None:
                yield one.pixels.data
            else:
                assert before is not None, "only what is in the cache counts as known"
                yield before.pixels[row_of[one.hash]].data
            hashes.append(one.hash)

    name = f"pixels-{digest[:16]}-listed.u8"
    write_parts(folder / name, parts())
    order = np.array([place for place in range(count) if place not in problems], dtype=np.int64)
    return _finish(folder, digest, form, tuple(hashes), problems, order, name)


def _finish(
    folder: Path,
    digest: str,
    form: PictureForm,
    hashes: tuple[str, ...],
    problems: dict[int, str],
    order: NDArray[np.int64],
    name: str,
) -> Stored:
    """Write the index, which makes the pixels of that name the valid ones, and remove the others."""
    index = {"format": _FORMAT, "listing": digest, "pixels": name, "hashes": hashes, "order": order.tolist()}
    write_text(folder / "index.json", json.dumps({**index, "problems": {str(k): v for k, v in problems.items()}}))
    for old in folder.glob("pixels-*.u8"):
        if old.name != name:
            with contextlib.suppress(OSError):  # Windows keeps a file that another process has mapped
                old.unlink()
    return Stored(hashes, problems, order, _mapped(folder / name, len(order), form), folder)


def _read(folder: Path, form: PictureForm) -> tuple[str, Stored] | None:
    """Listing digest and content of the cache, or None where there is none or it does not fit together."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        order = np.array(index["order"], dtype=np.int64)
        problems = {int(place): str(why) for place, why in index["problems"].items()}
        path = folder / Path(index["pixels"]).name
        whole = index["format"] == _FORMAT and path.stat().st_size == len(order) * form.side**2 * form.channels
        hashes = tuple(map(str, index["hashes"]))
        places = np.sort(np.concatenate([order, np.array(list(problems), dtype=np.int64)]))
        fits = np.array_equal(places, np.arange(len(hashes)))  # each file once: as pixels, or with its problem
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None
    if not (fits and whole):
        return None
    return str(index["listing"]), Stored(hashes, problems, order, _mapped(path, len(order), form), folder)


def _mapped(path: Path, rows: int, form: PictureForm) -> NDArray[np.uint8]:
    shape = (rows, form.side, form.side, form.channels)
    if rows == 0:
        return np.empty(shape, dtype=np.uint8)
    # "c": torch wants memory it may write to; what is written stays in this process.
    return np.asarray(np.memmap(path, dtype=np.uint8, mode="c", shape=shape))


def _key(listing: Listing, form: PictureForm) -> str:
    """Folder or table, form, decoder and Pillow: another version of it may decode a JPEG to other last bits."""
    what = f"{form.side} {form.fit} {form.channels} {DECODER} {PIL.__version__} {listing.layout}"
    return hashlib.sha256(os.fsencode(listing.root) + b"\0" + what.encode()).hexdigest()[:24]


def _no_room(folder: Path, listing: Listing, form: PictureForm, error: StorageError) -> StorageError:
    megabytes = len(listing.found) * form.side**2 * form.channels / 1e6
    reason = str(error).partition(". What was there before")[0]
    return StorageError(
        f"The decoded pictures cannot be kept ({reason}). They take {megabytes:,.1f} MB; make room in {folder.parent}, "
        "or set XDG_CACHE_HOME to a folder with more."
    )
