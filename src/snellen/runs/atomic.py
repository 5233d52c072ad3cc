"""Writes that leave either the old file or the new one, never half of one.

Protocol: a temporary file in the same folder, fsync, rename over the target, fsync of the folder. A kill or a
power cut at any instant leaves the target whole. Every write of a user's results goes through here. A kill can leave
the temporary file; `clear_leftovers` takes it away, and so does the next write of the same file, an hour later.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snellen.errors import StorageError

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "this user may not write there",
    errno.EPERM: "this user may not write there",
    errno.ELOOP: "it is a link, which is not followed",
}
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""For `os.open`: a link is an error. Windows has no such thing, and makes links for few."""
_AT_WORK_SECONDS = 3_600.0
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def storage_error(path: Path, error: OSError) -> StorageError:
    """One sentence for a failed write: the path, the reason, the way out."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return StorageError(
        f"Cannot write {path}: {reason}. What was there before is untouched; "
        "free some space or choose another folder with --runs."
    )


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` in one rename; parents are made.

    Raises:
        StorageError: the disk is full or the folder cannot be written; `path` is as it was.
    """
    write_parts(path, (content,))


def write_parts(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    """`write_bytes` for a file that is made piece by piece and need not fit into memory.

    Raises:
        StorageError: as `write_bytes`. Whatever else the pieces raise goes through; `path` is then as it was.
    """
    # A name that nobody can guess, in a file that was not there: a received folder may hold links to anywhere.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _require_no_way_out(path.parent)
        make_folder(path.parent)
        with os.fdopen(os.open(temporary, _NEW | NO_FOLLOW, 0o666), "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
        _clear_old(path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # the way to it may be what is broken
            temporary.unlink(missing_ok=True)


def _clear_old(path: Path) -> None:
    """Delete what killed writers of `path` left; whoever is at work has written within the hour."""
    with contextlib.suppress(OSError):
        for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            if leftover.lstat().st_mtime < time.time() - _AT_WORK_SECONDS:
                leftover.unlink()


def _require_no_way_out(folder: Path) -> None:
    """Raise for a run's own folder, such as `export/` or `resume/`, that is a link."""
    if folder.is_symlink() and (folder.parent / "run.json").exists():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def write_text(path: Path, content: str) -> None:
    """`write_bytes` for UTF-8 text.

    A file's name may hold bytes that are no letters; Python reads them as lone surrogates, which UTF-8 cannot say.
    Their backslash form is JSON's own spelling of them, and comes back as the same name.
    """
    write_bytes(path, content.encode(errors="backslashreplace"))


def write_json(path: Path, content: Any) -> None:
    """`write_bytes` for JSON: indented, sorted by nothing (order is meaning), NaN refused."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append one line and force it to disk before returning.

    O_APPEND and a single write keep lines of several processes whole.

    Raises:
        StorageError: the line could not be written.
    """
    try:
        make_folder(path.parent)
        content = line.encode(errors="backslashreplace") + b"\n"  # as write_text
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_FOLLOW, 0o644)
        try:
            before = os.fstat(descriptor).st_size
            _write_whole(descriptor, content, before)
        finally:
            os.close(descriptor)
        if before == 0:
            sync_folder(path.parent)  # the file may be as new as its line
    except OSError as error:
        raise storage_error(path, error) from error


def _write_whole(descriptor: int, content: bytes, before: int) -> None:
    """Append and force to disk, or leave the file `before` bytes long: what is reported as failed is not there."""
    try:
        if os.write(descriptor, content) < len(content):  # a disk that fills up takes what still fits
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):  # not every device can be cut
            os.ftruncate(descriptor, before)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, each one's name forced to disk: files in it are lost without."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):  # another process was faster; a file in its place fails at the write
        folder.mkdir()
    sync_folder(folder.parent)


def clear_leftovers(folder: Path) -> None:
    """Delete the temporary files of writers that were killed; only for whoever knows that none is at work.

    Raises:
        StorageError: they cannot be deleted.
    """
    try:
        for leftover in folder.glob(".*.tmp"):
            if leftover.is_file():
                leftover.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error


def sync_folder(folder: Path) -> None:
    """Force a rename inside `folder` to disk. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
