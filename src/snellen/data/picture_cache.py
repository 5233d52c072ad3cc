"""Decoded pictures on disk, mapped into memory: decoded once, whatever their number, and never held as a whole.

    $XDG_CACHE_HOME/snellen/pictures/KEY/index.json    hash or problem of each file, in the order of the listing
                                         pixels-….u8   (M, side, side, 3) uint8, nothing else

KEY stands for the folder, the form and the decoder. The quick check compares names, sizes and times of all files; where
one differs, every file is read and hashed, and only those with new content are decoded. Pixels are in place before the
index that names them, each written in one rename, so that a kill at any instant leaves the old state or the new one.
Each picture's pixels are hashed when they are opened, as its identity is needed then anyway; where they are not those
that were written, all are decoded again.

Files are decoded by threads: Pillow lets go of Python's lock while it decodes and resizes, and no process has to be
started that would run the user's script again.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from filelock import FileLock
from numpy.typing import NDArray

from snellen.data.labeled_images import hash_pixels
from snellen.data.listing import Found, Listing, read_bytes
from snellen.data.pictures import DECODER, PictureForm
from snellen.data.shards import TAR, read_members
from snellen.data.tables import read_cells
from snellen.errors import DataError, StorageError
from snellen.paths import cache_folder, visible
from snellen.runs.atomic import clear_leftovers, storage_error, write_parts, write_text
from snellen.runs.environment import processors

Progress = Callable[[int, int], None]
"""Called with the pictures read so far and the pictures in all."""
Arrange = Callable[[Sequence[str]], NDArray[np.int64]]
"""Hashes of all N files, empty where unreadable, to the (M,) int64 places of the readable ones in the order wanted."""

_FORMAT = 2
_ROWS_AT_ONCE = 1_000
_HASH_BYTES = 16
_AHEAD = 8  # pictures read before their turn, for each thread
_TOLD_EVERY = 32  # pictures


@dataclass(frozen=True)
class Stored:
    """What is in the cache about one listing.

    Attributes:
        digest: of the listing.
        hashes: BLAKE2b in hex of each of the N files; empty where it could not be read at all.
        problems: place in the listing -> why it has no pixels.
        order: (M,) int64, the place in the listing of each row of pixels.
        pixels: (M, side, side, 3) uint8, mapped from the file; writing to it changes no file.
        content_hashes: (M,) uint64, of each row of pixels.
        folder: where it lies.
        peaks: place in the listing -> the largest value of a picture of more than 8 bits.
    """

    digest: str
    hashes: tuple[str, ...]
    problems: dict[int, str]
    order: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    content_hashes: NDArray[np.uint64]
    folder: Path
    peaks: dict[int, float]

    @property
    def source_hashes(self) -> NDArray[np.uint64]:
        """(M,) uint64: the first half of the hash of each row's file."""
        return np.array([int(self.hashes[place][:16], 16) for place in self.order], dtype=np.uint64)

    @property
    def readable_hashes(self) -> list[str]:
        """`hashes`, empty for all that have no pixels."""
        return ["" if place in self.problems else digest for place, digest in enumerate(self.hashes)]


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
    except (OSError, StorageError) as error:
        kept = _read(folder, form)  # a cache that may only be read is enough where nothing is missing
        if kept and kept.digest == listing.digest() and np.array_equal(arrange(kept.readable_hashes), kept.order):
            return kept
        reason = error if isinstance(error, StorageError) else storage_error(folder, error)
        raise _no_room(folder, listing, form, reason) from error


def file_hashes(listing: Listing, progress: Progress) -> list[str]:
    """What `Stored.hashes` would be: every file is read, and none decoded."""
    found = _decoded(listing.found, PictureForm(), lambda digest: _Decoded(digest), progress)
    return [one.hash for one in found]


def _stored_pictures(folder: Path, listing: Listing, form: PictureForm, arrange: Arrange, progress: Progress) -> Stored:
    clear_leftovers(folder)  # of a process that was killed: the lock says that none is at work
    digest, stored = listing.digest(), _read(folder, form)
    if stored is None or stored.digest != digest:
        stored = _decode_all(folder, listing, digest, form, stored, progress)
    order = arrange(stored.readable_hashes)
    if np.array_equal(order, stored.order):
        return stored
    row_of = np.zeros(len(stored.hashes), dtype=np.int64)
    row_of[stored.order] = np.arange(len(stored.order))
    rows = row_of[order]
    name = f"pixels-{digest[:16]}-{hashlib.sha256(order.tobytes()).hexdigest()[:16]}.u8"
    parts = (stored.pixels[rows[at : at + _ROWS_AT_ONCE]].data for at in range(0, len(rows), _ROWS_AT_ONCE))
    write_parts(folder / name, parts)
    moved = replace(stored, order=order, content_hashes=stored.content_hashes[rows])
    return _finish(moved, form, name)


def _decode_all(
    folder: Path, listing: Listing, digest: str, form: PictureForm, before: Stored | None, progress: Progress
) -> Stored:
    """Read every file; decode those whose content is not in the cache already."""
    row_of = {before.hashes[place]: row for row, place in enumerate(before.order)} if before else {}
    hashes: list[str] = []
    problems: dict[int, str] = {}
    peaks: dict[int, float] = {}
    content: list[NDArray[np.uint64]] = []

    def known(digest: str) -> _Decoded | None:
        if before is None or digest not in row_of:
            return None
        row = row_of[digest]
        return _Decoded(digest, before.pixels[row], before.peaks.get(int(before.order[row])))

    def parts() -> Generator[memoryview]:
        with contextlib.closing(_decoded(listing.found, form, known, progress)) as decoded:
            for place, one in enumerate(decoded):
                hashes.append(one.hash)
                if one.pixels is None:
                    problems[place] = one.problem
                    continue
                if one.peak is not None:
                    peaks[place] = one.peak
                content.append(hash_pixels(one.pixels[None]))
                yield one.pixels.data

    name = f"pixels-{digest[:16]}-listed.u8"
    # Closed here where the disk is full: left to the garbage collector, the pool might be joined by its own thread.
    with contextlib.closing(parts()) as pixels:
        write_parts(folder / name, pixels)
    order = np.array([place for place in range(len(hashes)) if place not in problems], dtype=np.int64)
    hashed = np.concatenate(content) if content else np.empty(0, dtype=np.uint64)
    nothing = np.empty((0, *form.shape), dtype=np.uint8)
    return _finish(Stored(digest, tuple(hashes), problems, order, nothing, hashed, folder, peaks), form, name)


def _finish(stored: Stored, form: PictureForm, name: str) -> Stored:
    """Write the index, which makes the pixels of that name the valid ones, and remove the others."""
    folder = stored.folder
    index = {
        "format": _FORMAT,
        "listing": stored.digest,
        "pixels": name,
        "hashes": stored.hashes,
        "order": stored.order.tolist(),
        "content": stored.content_hashes.tolist(),
        "problems": stored.problems,
        "peaks": stored.peaks,
    }
    write_text(folder / "index.json", json.dumps(index))
    for old in folder.glob("pixels-*.u8"):
        if old.name != name:
            with contextlib.suppress(OSError):  # Windows keeps a file that another process has mapped
                old.unlink()
    return replace(stored, pixels=_mapped(folder / name, len(stored.order), form))


def _read(folder: Path, form: PictureForm) -> Stored | None:
    """The content of the cache, or None where there is none or it does not fit together."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        order, content = np.array(index["order"], dtype=np.int64), np.array(index["content"], dtype=np.uint64)
        problems = {int(place): str(why) for place, why in index["problems"].items()}
        peaks = {int(place): float(peak) for place, peak in index["peaks"].items()}
        path = folder / Path(index["pixels"]).name
        whole = index["format"] == _FORMAT and path.stat().st_size == len(order) * int(np.prod(form.shape))
        hashes = tuple(map(str, index["hashes"]))
        places = np.sort(np.concatenate([order, np.array(list(problems), dtype=np.int64)]))
        if not whole or not np.array_equal(places, np.arange(len(hashes))):
            return None  # each file is there once: as pixels, or with its problem
        pixels = _mapped(path, len(order), form)
        if not np.array_equal(hash_pixels(pixels), content):
            return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return None
    return Stored(str(index["listing"]), hashes, problems, order, pixels, content, folder, peaks)


def _mapped(path: Path, rows: int, form: PictureForm) -> NDArray[np.uint8]:
    shape = (rows, *form.shape)
    if rows == 0:
        return np.empty(shape, dtype=np.uint8)
    # "c": torch wants memory it may write to; what is written stays in this process.
    return np.asarray(np.memmap(path, dtype=np.uint8, mode="c", shape=shape))


def _key(listing: Listing, form: PictureForm) -> str:
    """Folder or table, form, decoder and Pillow: another version of it may decode a JPEG to other last bits."""
    what = f"{form} {DECODER} {PIL.__version__} {listing.layout}"
    return hashlib.sha256(os.fsencode(listing.root) + b"\0" + what.encode()).hexdigest()[:24]


def _no_room(folder: Path, listing: Listing, form: PictureForm, error: StorageError) -> StorageError:
    megabytes = len(listing.found) * int(np.prod(form.shape)) / 1e6
    reason = str(error).partition(". What was there before")[0]
    return StorageError(
        f"The decoded pictures cannot be kept ({reason}). They take {megabytes:,.1f} MB; make room in {folder.parent}, "
        "or set XDG_CACHE_HOME to a folder with more."
    )


# Decoding


class _Decoded(NamedTuple):
    hash: str  # BLAKE2b of the file's bytes, in hex; empty where they could not be read
    pixels: NDArray[np.uint8] | None = None  # (side, side, C), or None where they cannot be had
    peak: float | None = None  # the largest value of a picture of more than 8 bits
    problem: str = ""  # why there are no pixels, in one sentence without the file's name


_Known = Callable[[str], _Decoded | None]
"""The picture whose file has that hash, where the cache has it."""


def _decoded(found: Sequence[Found], form: PictureForm, known: _Known, progress: Progress) -> Generator[_Decoded]:
    """Each picture, read once, in the order of the listing; those that are `known` are hashed and not decoded."""
    threads, waiting, done = processors(), deque[Future[_Decoded]](), 0
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        for source in itertools.chain(sources(found), itertools.repeat(None, _AHEAD * threads)):
            if source is not None:
                waiting.append(pool.submit(_decode_one, source, form, known))
            if waiting and (source is None or len(waiting) >= _AHEAD * threads):
                yield waiting.popleft().result()
                done += 1
                if done % _TOLD_EVERY == 0 or done == len(found):
                    progress(done, len(found))
    finally:
        pool.shutdown(cancel_futures=True)


def sources(found: Iterable[Found]) -> Iterator[Path | bytes]:
    """Where each picture's bytes are; rows of one shard are read together, a few at a time."""
    by_file = itertools.groupby(found, key=lambda one: (one.path, one.ending, one.row is not None))
    for (path, ending, held), group in by_file:
        if held:
            read = read_members if ending == TAR else read_cells
            yield from read(path, [one.row for one in group if one.row is not None])
        else:
            yield from (one.path for one in group)


def _decode_one(source: Path | bytes, form: PictureForm, known: _Known) -> _Decoded:
    digest = ""
    try:
        content = read_bytes(source, follow=False) if isinstance(source, Path) else source
        digest = hashlib.blake2b(content, digest_size=_HASH_BYTES).hexdigest()
        return known(digest) or _Decoded(digest, *form.read(content))
    except DataError as error:
        name = str(source) if isinstance(source, Path) else ""
        return _Decoded(digest, problem=visible(str(error).removeprefix(name).removeprefix("The picture").strip()))
