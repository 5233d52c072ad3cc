"""Many picture files decoded in parallel, each read once: its hash, and its pixels or the reason why there are none.

Worker processes, not threads: a file that breaks a decoder takes a worker along, not the training. The pixels come
back in the order of the files.
"""

from __future__ import annotations

import hashlib
import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snellen.data.listing import Found, shown
from snellen.data.pictures import PictureForm, read_bytes
from snellen.data.shards import TAR, read_members
from snellen.data.tables import read_cells
from snellen.errors import DataError

Progress = Callable[[int, int], None]
"""Called with the pictures read so far and the pictures in all."""

_AT_ONCE = 32  # pictures a worker is handed: enough that handing over costs nothing
_FEWEST_FOR_WORKERS = 200  # below it, starting them takes longer than decoding
_HASH_BYTES = 16


@dataclass(frozen=True)
class Decoded:
    """One file after decoding.

    Attributes:
        hash: BLAKE2b of the file's bytes, in hex; empty where they could not be read.
        pixels: (side, side, C) uint8; None where they are known already, or cannot be had.
        problem: why they cannot be had, in one sentence without the file's name.
    """

    hash: str
    pixels: NDArray[np.uint8] | None = None
    problem: str = ""


def decode(
    found: Iterable[Found], count: int, form: PictureForm, *, known: frozenset[str] = frozenset(), progress: Progress
) -> Iterator[Decoded]:
    """Decode `count` pictures, in their order.

    Args:
        found: the pictures.
        count: how many there are.
        form: what they become.
        known: hashes of files whose pixels are at hand: they are hashed and not decoded.
        progress: told how far it has come.
    """
    batches = _batches(_sources(found))
    workers = min(_processors(), -(-count // _AT_ONCE)) if count >= _FEWEST_FOR_WORKERS else 1
    done = 0
    here = (_decode_batch(batch, form, known) for batch in batches)
    for batch in _parallel(batches, form, known, workers) if workers > 1 else here:
        yield from batch
        done += len(batch)
        progress(done, count)


def _sources(found: Iterable[Found]) -> Iterator[Path | bytes]:
    """Where each picture's bytes are; rows of one shard are read together, a few at a time."""
    for (path, held), group in itertools.groupby(found, key=lambda one: (one.path, one.row is not None)):
        if held:
            read = read_members if path.suffix.lower() == TAR else read_cells
            yield from read(path, [one.row for one in group if one.row is not None])
        else:
            yield from (one.path for one in group)


def _batches(sources: Iterator[Path | bytes]) -> Iterator[list[Path | bytes]]:
    while batch := list(itertools.islice(sources, _AT_ONCE)):
        yield batch


def _parallel(
    batches: Iterator[list[Path | bytes]], form: PictureForm, known: frozenset[str], workers: int
) -> Iterator[list[Decoded]]:
    """Batches through a pool, a few ahead of what is taken, so that memory stays small."""
    pool = _pool(workers, form, known)
    waiting: deque[list[Path | bytes]] = deque()
    results: deque[Future[list[Decoded]]] = deque()
    try:
        if not _starts(pool):  # a script without `if __name__ == "__main__"` cannot have any
            yield from (_decode_batch(batch, form, known) for batch in batches)
            return
        for batch in batches:
            waiting.append(batch)
            results.append(pool.submit(_decode_in_worker, batch))
            if len(waiting) > 3 * workers:
                yield results[0].result()
                waiting.popleft(), results.popleft()
        while waiting:
            yield results[0].result()
            waiting.popleft(), results.popleft()
        return
    except BrokenProcessPool:
        pass  # which of those on the way it was, is found out below
    finally:
        pool.shutdown(cancel_futures=True)
    for batch in waiting:
        yield _in_isolation(batch, form, known)
    yield from _parallel(batches, form, known, workers)


def _in_isolation(batch: list[Path | bytes], form: PictureForm, known: frozenset[str]) -> list[Decoded]:
    """The batch in a worker of its own; where that breaks, its halves, until the one file is found that breaks it."""
    try:
        with _pool(1, form, known) as pool:
            return pool.submit(_decode_in_worker, batch).result()
    except BrokenProcessPool:
        if len(batch) == 1:
            return [Decoded("", problem="breaks the decoder; the process that read it had to end.")]
    half = len(batch) // 2
    return _in_isolation(batch[:half], form, known) + _in_isolation(batch[half:], form, known)


def _pool(workers: int, form: PictureForm, known: frozenset[str]) -> ProcessPoolExecutor:
    # Not fork: the copy of a process whose threads hold locks may hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(form, known))


def _starts(pool: ProcessPoolExecutor) -> bool:
    try:
        return pool.submit(bool, 1).result()
    except BrokenProcessPool:
        return False


_worker: list[tuple[PictureForm, frozenset[str]]] = []


def _begin_worker(form: PictureForm, known: frozenset[str]) -> None:
    _worker[:] = [(form, known)]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent says nothing; a worker that waits for its next batch would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _decode_in_worker(batch: list[Path | bytes]) -> list[Decoded]:
    return _decode_batch(batch, *_worker[0])


def _decode_batch(batch: list[Path | bytes], form: PictureForm, known: frozenset[str]) -> list[Decoded]:
    return [_decode_one(source, form, known) for source in batch]


def _decode_one(source: Path | bytes, form: PictureForm, known: frozenset[str]) -> Decoded:
    digest = ""
    try:
        content = read_bytes(source) if isinstance(source, Path) else source
        digest = hashlib.blake2b(content, digest_size=_HASH_BYTES).hexdigest()
        return Decoded(digest) if digest in known else Decoded(digest, form.pixels(content))
    except DataError as error:
        name = str(source) if isinstance(source, Path) else ""
        return Decoded(digest, problem=shown(str(error).removeprefix(name).removeprefix("The picture").strip()))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
