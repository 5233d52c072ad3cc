"""Published data sets over the network: resumed where they were cut, checked as a whole, unpacked by name.

Nothing inside an archive decides where a file goes: the known names are read, anything else is refused, and this
file writes the contents itself. `tarfile.extractall` is not used, with or without a filter.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import os
import tarfile
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

from snellen.data.published import Published
from snellen.errors import ChecksumMismatch, DataError, DataNotFound, HostileFile, InvalidSetting
from snellen.runs.atomic import NO_FOLLOW, storage_error, write_bytes

Progress = Callable[[int, int | None], None]
"""Called with the bytes fetched so far and the bytes in all (None where the server does not say)."""

MAX_FETCHED_BYTES = 200 * 2**20
"""The largest published archive has 170,498,071 bytes."""
MAX_MEMBERS = 64
"""They have up to nine, the folder included."""
MAX_MEMBER_BYTES = 192 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20
CHUNK_BYTES = 2**20
TIMEOUT_SECONDS = 30.0


class _Unreachable(Exception):
    """Why one URL gave nothing; all of them together become one sentence."""


def download(published: Published, into: Path, *, progress: Progress | None = None) -> Path:
    """Fetch the files of a data set, check them, and lay them into their folder in `into`.

    What was interrupted is kept as `NAME.part` and continued by the next call. A folder out of an archive, or else a
    file, appears whole or not at all.

    Args:
        published: which; `$SNELLEN_NAME_URL` (one address or more, separated by spaces) takes the place of its mirrors.
        into: where the folder is to be; made if missing.
        progress: see `Progress`.

    Returns:
        The folder.

    Raises:
        DataNotFound: no address gave a file; says why for each.
        ChecksumMismatch: what came is not the published file; both sums are named.
        HostileFile: the archive has a member that does not belong there.
        StorageError: the disk is full or may not be written.
    """
    folder = into / published.folder
    archived = next(iter(published.fetched)).endswith(".tar.gz")
    try:
        (into if archived else folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(into, error) from error
    for name in published.fetched:
        if archived:
            part = into / f"{name}.part"
            fetch(published, name, part, progress=progress)
            unpack(published, part, folder)
            part.unlink(missing_ok=True)
        elif not (folder / name).is_file() or _md5(folder / name) != published.fetched[name]:
            part = folder / f"{name}.part"
            fetch(published, name, part, progress=progress)
            part.replace(folder / name)
    return folder


def fetch(published: Published, name: str, part: Path, *, progress: Progress | None = None) -> None:
    """Bring one file to `part`, continuing what is already there; raises as `download`."""
    failures: list[str] = []
    found, md5, variable = "", published.fetched[name], f"SNELLEN_{published.name.upper()}_URL"
    mirrors = tuple(os.environ.get(variable, "").split()) or published.mirrors
    for url in (place if place.endswith(name) else f"{place.rstrip('/')}/{name}" for place in mirrors):
        if not url.startswith(("https://", "http://")):
            raise InvalidSetting(f"{url!r} is no download address; it must start with https:// or http://.")
        # A second round from nothing where a continued file is wrong: its first half came from somewhere else.
        for _ in range(2):
            continued = part.exists()
            try:
                _fetch_from(url, part, progress)
            except _Unreachable as reason:
                failures.append(f"{url} ({reason})")
                break
            found = _md5(part)
            if found == md5:
                return
            part.unlink()
            if not continued:
                failures.append(f"{url} (MD5 {found}, expected {md5})")
                break
    if found:
        raise ChecksumMismatch(
            f"What comes is not the published {published.title}: {'; '.join(failures)}. Nothing was kept."
        )
    raise DataNotFound(
        f"{published.title} could not be downloaded: {'; '.join(failures)}. Try again later (it continues where it "
        f"stopped), name another address in ${variable}, or copy the folder {published.folder} here: --data FOLDER"
    )


def unpack(published: Published, archive: Path, folder: Path) -> None:
    """Write the known files of the archive to `folder`.

    A new folder appears in one rename, whole; in one that exists, each file is replaced by itself.

    Raises:
        HostileFile: a member is a link, a device, too large, or has an unknown name. Nothing was written.
        DataError: the archive is damaged or incomplete. Nothing was written.
        StorageError: the disk is full or may not be written.
    """
    contents = _read_members(published, archive)
    if folder.is_dir():
        _write_all(contents, folder)
        return
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            whole = Path(scratch) / folder.name
            _write_all(contents, whole)
            whole.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # else another process was faster, with the same files
            raise storage_error(folder, error) from error


def _fetch_from(url: str, part: Path, progress: Progress | None) -> None:
    """Connect again after each cut, as long as every connection brings something new."""
    while True:
        before = _size(part)
        try:
            if _continue_once(url, part, before, progress):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and before:  # nothing left to send; the checksum will tell
                return
            raise _Unreachable(f"HTTP {error.code}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        if _size(part) <= before:
            raise _Unreachable(reason)


def _continue_once(url: str, part: Path, start: int, progress: Progress | None) -> bool:
    """One connection; True once the last byte has come. Network trouble escapes as OSError or HTTPException."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            start = 0  # the server does not know how to continue and sends everything
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        done = start
        while chunk := response.read(CHUNK_BYTES):
            done += len(chunk)
            if max(done, total or 0) > MAX_FETCHED_BYTES:
                raise _Unreachable(f"it sends more than the {MAX_FETCHED_BYTES} bytes allowed")
            _write_at(part, done - len(chunk), chunk)
            if progress is not None:
                progress(done, total)
    return total is None or done >= total


def _write_at(part: Path, offset: int, chunk: bytes) -> None:
    try:
        with open(part, "r+b" if offset else "wb", opener=_not_through_a_link) as file:
            file.seek(offset)
            file.write(chunk)
    except OSError as error:
        raise storage_error(part, error) from error


def _not_through_a_link(path: str, flags: int) -> int:
    return os.open(path, flags | NO_FOLLOW, 0o666)


def _read_members(published: Published, archive: Path) -> dict[str, bytes]:
    """The content of each known member by its bare file name; all of it is judged before any is written."""
    contents: dict[str, bytes] = {}
    try:
        with gzip.open(archive) as file, tarfile.open(fileobj=_Capped(file), mode="r|") as members:
            for count, member in enumerate(members, start=1):
                if count > MAX_MEMBERS:
                    raise HostileFile(f"{archive} has more than {MAX_MEMBERS} members; nothing was written.")
                if member.isdir() and member.name == published.folder:
                    continue
                name = _known_name(published, member)
                extracted = members.extractfile(member)
                if name in contents or extracted is None:
                    raise HostileFile(f"{archive} holds {member.name!r} more than once; nothing was written.")
                contents[name] = extracted.read()
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, LookupError, RecursionError) as error:
        raise DataError(f"{archive} is no readable archive ({error}); nothing was written.") from error
    if missing := sorted(set(published.md5) - set(contents)):
        raise DataError(f"{archive} lacks {', '.join(missing)}; nothing was written.")
    return {name: content for name, content in contents.items() if name not in published.beside}


def _known_name(published: Published, member: tarfile.TarInfo) -> str:
    folder, _, name = member.name.partition("/")
    plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
    known = folder == published.folder and name in (*published.md5, *published.beside)
    if not known or not plain or member.size > MAX_MEMBER_BYTES:
        kind = "file" if plain else "link, device or folder"
        raise HostileFile(
            f"The archive holds {member.name[:80]!r} ({kind}, {member.size} bytes), which does not belong to "
            f"{published.title}. Nothing was written."
        )
    return name


class _Capped(io.RawIOBase):
    """A stream that ends with an error before it has unfolded to more than an archive can hold."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self.file, self.left = file, MAX_UNPACKED_BYTES

    def read(self, size: int = -1) -> bytes:
        chunk = self.file.read(self.left + 1 if size < 0 else min(size, self.left + 1))
        self.left -= len(chunk)
        if self.left < 0:
            raise HostileFile(f"The archive unfolds to more than {MAX_UNPACKED_BYTES} bytes. Nothing was written.")
        return chunk


def _write_all(contents: dict[str, bytes], folder: Path) -> None:
    for name, content in contents.items():
        write_bytes(folder / name, content)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
