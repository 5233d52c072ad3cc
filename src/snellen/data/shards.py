"""Pictures in tar shards as WebDataset writes them, read one shard after the other; nothing is unpacked to disk.

    train-000000.tar    0001.jpg 0001.cls 0002.jpg 0002.cls …
    classnames.txt      beside the shards, one name a line, where labels are numbers

A sample's name ends at the first dot of its file name, and what it is follows the last one: 0001.crop.jpg belongs to
sample 0001. Names with more dots than that (2024.05.01.jpg) become one sample of many pictures, and are left out.

Which members make a sample, and what a brace pattern stands for, is decided by the webdataset library, an extra. Which
members are read is decided here, and the library opens none: pictures and labels of plain files, up to a size. A
pickle, a link, a device or a sparse file is left out and counted, whatever it is called.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from snellen.data.listing import (
    MAX_BYTES,
    Found,
    ListedFile,
    Listing,
    class_name,
    file_below,
    files_ending,
    label_of,
    make_listing,
    open_regular,
)
from snellen.data.tables import LABEL_COLUMNS, list_rows, part_of_shard
from snellen.errors import DataError, DataNotFound, HostileFile, MissingExtra
from snellen.paths import user_path, visible

TAR = ".tar"
SHARD_ENDINGS = (TAR, ".parquet")
_COMPRESSED = (".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst")
_PICTURES = {"jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "ppm"}
_LABELS = ("cls", "json", "txt")  # the first one there is holds it
_MAX_LABEL_BYTES = 64 * 2**10
_CLASS_NAMES = "classnames.txt"
_SEVERAL = "samples with several pictures (a sample's name ends at the first dot of its file name)"
_MAX_NAMES_BYTES = 4 * 2**20
_BROKEN = (tarfile.TarError, OSError, ValueError, LookupError, TypeError, ArithmeticError, EOFError, struct.error,
           RecursionError)  # fmt: skip
_BLOCK = 512


def is_pattern(path: Path) -> bool:
    """Whether a path stands for many shards: `shards/{000..012}.tar`."""
    return "{" in str(path) and not path.exists()


def list_pattern(path: Path) -> Listing:
    """The pictures of the shards that a brace pattern names; they may lie in several folders, and on several disks.

    Raises:
        DataNotFound: one of them is not there.
        DataError: they are of another kind, or of two.
        MissingExtra: webdataset is not installed.
    """
    from_pattern, _ = _library()
    shards = [ListedFile.by_user(user_path(name)) for name in from_pattern(str(path))]
    endings = {shard.ending for shard in shards}
    if len(endings) != 1 or not endings <= set(SHARD_ENDINGS):
        raise DataError(f"{visible(path)} names no shards: all of them end in .tar, or all in .parquet.")
    missing = [shard.named for shard in shards if not shard.is_there]
    if missing:
        raise DataNotFound(
            f"{visible(path)} names {len(shards):,} shards, of which {len(missing):,} are not there, such as "
            f"{visible(missing[0])}. Shells expand braces themselves: write the pattern in quotes."
        )
    root = Path(os.path.commonpath([shard.named.parent for shard in shards]))
    return list_tars(root, shards) if endings == {TAR} else list_rows(root, shards)


def find_tars(folders: Sequence[Path], root: Path, left_out: Counter[str]) -> list[ListedFile]:
    """Tar shards in these folders, sorted by path; links that lead out of `root` are counted in `left_out`.

    Raises:
        DataError: they are compressed.
    """
    tars = files_ending(TAR, folders, root, left_out)
    inside = (path for folder in folders for path in folder.glob("[!.]*"))
    packed = min((path for path in inside if path.name.lower().endswith(_COMPRESSED)), default=None)
    if packed and not tars:
        raise DataError(
            f"{visible(packed)} is compressed, and pictures already are. Unpack the outer layer once, such as with "
            "gunzip: plain .tar shards are read without unpacking them to disk."
        )
    return tars


def list_tars(root: Path, shards: Sequence[ListedFile], *, left_out: Counter[str] | None = None) -> Listing:
    """The pictures inside tar shards; a part is told by the name of the file or its folder.

    Args:
        root: the folder that names are meant from.
        shards: tar files.
        left_out: what was left out so far.

    Raises:
        DataError: a shard is damaged, or there is nothing to learn from.
        HostileFile: a shard says of itself what cannot be.
        MissingExtra: webdataset is not installed.
    """
    left_out = Counter() if left_out is None else left_out
    declared = _declared_names(root)
    found: list[Found] = []
    for shard in shards:
        part, inside = part_of_shard(shard.named, root), visible(shard.named.relative_to(root))
        with _samples(shard.target, left_out) as (file, samples):
            for row, sample in enumerate(samples):
                label = _label_of(file, sample, declared, left_out)
                if label:
                    (suffix,) = _pictures_of(sample)
                    name = f"{inside} {visible(sample['__key__'])}.{suffix}"
                    label = sys.intern(label)  # one string per class, not one per picture
                    found.append(Found(name, shard.target, row, label, part, TAR))
    first, last = visible(shards[0].named.name), visible(shards[-1].named.name)
    several = f"{first} … {last}" if len(shards) > 1 else first
    layout = f"{len(shards)} tar shard{'' if len(shards) == 1 else 's'} ({several})"
    return make_listing(root, layout, found, left_out, class_order=declared)


def read_members(shard: Path, rows: Sequence[int]) -> Iterator[bytes]:
    """The encoded pictures of the samples at `rows` (ascending) of one shard, one at a time.

    Raises:
        DataError: the shard cannot be read, or is not what it was when it was listed.
    """
    wanted, given = set(rows), 0
    with _samples(shard, Counter()) as (file, samples):
        for row, sample in enumerate(samples):
            if row in wanted:
                (suffix,) = _pictures_of(sample) or ("",)
                yield _content(file, sample[suffix]) if suffix else b""
                given += 1
    if given != len(wanted):
        raise DataError(f"{visible(shard)} has changed while it was read. Run the command again.")


def _pictures_of(sample: dict[str, Any]) -> list[str]:
    return [suffix for suffix in sample if suffix.rpartition(".")[2] in _PICTURES]


def _label_of(file: BinaryIO, sample: dict[str, Any], declared: Sequence[str], left_out: Counter[str]) -> str:
    """The class of a sample by name, or "" where it is left out."""
    pictures = _pictures_of(sample)
    named = {suffix.rpartition(".")[2]: suffix for suffix in reversed(sample)}
    kind = next((kind for kind in _LABELS if kind in named), None)
    if len(pictures) != 1:
        left_out["samples without a picture" if not pictures else _SEVERAL] += 1
        return ""
    label = label_of(_label_cell(kind, _content(file, sample[named[kind]])), declared) if kind else ""
    if not label:
        left_out["samples without a label"] += 1
    return label


def _label_cell(kind: str, content: bytes) -> Any:
    try:
        text = content.decode("utf-8")
        if kind != "json":
            return text
        entries = json.loads(text)
    except (ValueError, RecursionError):
        return None
    named = next((key for key in LABEL_COLUMNS if key in entries), None) if isinstance(entries, dict) else None
    return entries[named] if named else None


def _declared_names(root: Path) -> Sequence[str]:
    file = file_below(root / _CLASS_NAMES, root)
    if file is None or not file.is_there or file.target.stat().st_size > _MAX_NAMES_BYTES:
        return ()
    with file.open() as content:
        lines = content.read(_MAX_NAMES_BYTES).decode("utf-8", "surrogateescape").splitlines()
    return [class_name(line) for line in lines if line.strip()]


# The tar itself


class _Bounded:
    """A file of which no more is read at once than a picture may hold: a header may ask for any number of bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_BYTES:
            raise HostileFile(f"A header asks for {size:,} bytes at once.")
        return self._file.read(size)


@contextmanager
def _samples(shard: Path, left_out: Counter[str]) -> Iterator[tuple[BinaryIO, Iterator[dict[str, Any]]]]:
    """The shard, opened, and its samples: "__key__", and by suffix where a picture or label begins, and its bytes."""
    _, group = _library()
    try:
        with open_regular(shard, follow=False) as file, tarfile.open(fileobj=_Bounded(file), mode="r:") as tar:  # type: ignore[call-overload]
            yield file, group(_members(shard, file, tar, left_out))
    except HostileFile as error:
        raise HostileFile(f"{visible(shard)} is not read: {error}") from error
    except _BROKEN as error:
        said = str(error.args[0]) if error.args else type(error).__name__
        raise DataError(f"{visible(shard)} cannot be read as a tar shard ({visible(said)}).") from error


def _members(shard: Path, file: BinaryIO, tar: tarfile.TarFile, left_out: Counter[str]) -> Iterator[dict[str, Any]]:
    last = -1
    while (member := tar.next()) is not None:
        tar.members = []  # type: ignore[attr-defined]  # else one is kept for every member ever read
        if member.offset <= last or member.size < 0:
            raise HostileFile(f"a member says that it begins at byte {member.offset} and has {member.size} bytes.")
        last = member.offset
        if member.isdir():
            continue
        if reason := _reason_against(member):
            left_out[reason] += 1
        else:
            yield {"fname": member.name, "data": (member.offset_data, member.size), "__url__": ""}
    file.seek(tar.offset)
    if file.read(_BLOCK).strip(b"\0"):  # tarfile takes a broken header for the end
        raise DataError(
            f"{visible(shard)} is damaged from byte {tar.offset:,} on; what comes after cannot be read. Copy it again, "
            "or take it away."
        )


def _reason_against(member: tarfile.TarInfo) -> str:
    """Why a member is not read, or ""."""
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        return "members that are no plain files (links, devices, sparse files)"
    ending = member.name.rpartition("/")[2].lower().rpartition(".")[2]
    if ending not in _PICTURES and ending not in _LABELS:
        return "members that are neither picture nor label"
    if member.size > (MAX_BYTES if ending in _PICTURES else _MAX_LABEL_BYTES):
        return "members that are too large"
    return ""


def _content(file: BinaryIO, span: tuple[int, int]) -> bytes:
    file.seek(span[0])
    content = file.read(span[1])
    if len(content) < span[1]:
        raise tarfile.ReadError("it ends in the middle of a member")
    return content


def _library() -> tuple[Any, Any]:
    """How WebDataset expands a pattern, and how it puts members together to samples."""
    try:
        from braceexpand import braceexpand
        from webdataset.tariterators import group_by_keys
    except ImportError:
        raise MissingExtra(
            "Tar shards need webdataset, which is not installed: pip install 'snellen[streams]'"
        ) from None
    return braceexpand, group_by_keys
