"""A file system that tells what it holds from what a power cut leaves of it: only what fsync has forced.

POSIX promises nothing else. A file that was written and renamed but not synced may be empty under its new name; a name
whose folder was not synced may be the old one, or none. `Disk` is told of system calls, as strace prints them, and
yields what may be there if the power goes now.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

TREE_CALLS = (
    "open", "openat", "creat", "close", "dup", "dup2", "dup3", "write", "pwrite64", "writev", "lseek", "ftruncate",
    "fsync", "fdatasync", "rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat",
    "link", "linkat", "symlink", "symlinkat",
)  # fmt: skip
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += +(-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_MOST = 64
"""States of one moment; where there could be more, so many are drawn."""

State = dict[str, bytes | None]
"""Every file by its path with its content, and every folder with None."""


@dataclass(eq=False)
class File:
    """Content as it is, and as it was last forced to disk."""

    now: bytes = b""
    kept: bytes = b""

    def may_be(self) -> list[bytes]:
        """What a power cut can leave: the old, the new, or the new as far as it had come."""
        if self.now == self.kept:
            return [self.now]
        begun = len(self.kept) if self.now.startswith(self.kept) else 0
        added = len(self.now) - begun
        ends = [begun + min(added, max(1, added * part // 4)) for part in range(4)]  # after a byte, a quarter, …
        return list(dict.fromkeys([self.kept, *(self.now[:end] for end in [*ends, len(self.now) - 1]), self.now]))


@dataclass(eq=False)
class Folder:
    """Entries as they are, and as they were last forced to disk."""

    now: dict[str, File | Folder] = field(default_factory=dict)
    kept: dict[str, File | Folder] = field(default_factory=dict)

    def may_be(self) -> list[dict[str, File | Folder]]:
        """The old entries or the new ones. Locks are left out: whether one is there means nothing."""
        old, new = _without_locks(self.kept), _without_locks(self.now)
        return [new] if old == new else [old, new]


@dataclass
class _Open:
    node: File | Folder
    path: PurePosixPath
    at: int = 0
    appends: bool = False


class Disk:
    """What lies under one folder.

    Args:
        place: the folder, as it is when the first call is made; all of it counts as forced to disk.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._root = _read(place)
        self._open: dict[int, _Open] = {}

    def apply(self, line: str) -> bool:
        """Let a call happen, as strace -xx prints it; returns whether what may be left has changed.

        Raises:
            ValueError: a call that this file system does not know how to follow.
        """
        found = _CALL.match(line)
        if not found or int(found[3]) < 0:
            return False
        name, arguments, result = found[1], found[2], int(found[3])
        texts = [bytes.fromhex(text.replace(r"\x", "")) for text in _TEXT.findall(arguments)]
        words = [word.strip() for word in _TEXT.sub("''", arguments).split(",")]
        return bool(getattr(self, f"_{_KNOWN.get(name, name)}")(words, texts, result))

    def left_over(self) -> list[str]:
        """Paths of which a power cut could still leave something else."""
        return [str(path) for path, node in self._all(self._root, PurePosixPath(".")) if len(node.may_be()) > 1]

    def states(self, seed: int) -> Iterator[State]:
        """What may be there if the power goes now: every mixture of old and new, or some where there are many."""
        open_to_chance = [node for _, node in self._all(self._root, PurePosixPath(".")) if len(node.may_be()) > 1]
        counts = [len(node.may_be()) for node in open_to_chance]
        for mixture in _mixtures(counts, random.Random(seed)):
            chosen = dict(zip(map(id, open_to_chance), mixture, strict=True))
            yield dict(_tree(self._root, chosen, ""))

    def now(self) -> State:
        """What is there while the power stays."""
        return dict(_tree(self._root, {}, ""))

    def _all(self, node: File | Folder, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, File | Folder]]:
        """Every file and folder that is there, or may come back."""
        seen: set[int] = set()
        waiting = [(path, node)]
        while waiting:
            at, one = waiting.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            yield at, one
            if isinstance(one, Folder):
                waiting += [(at / name, child) for entries in one.may_be() for name, child in entries.items()]

    # Paths

    def _path(self, text: bytes, folder: str = "AT_FDCWD") -> PurePosixPath | None:
        """Relative to the place; None for what lies elsewhere."""
        path = PurePosixPath(text.decode(errors="surrogateescape"))
        if not path.is_absolute():
            number = int(folder) if folder.isdecimal() else None
            begin = PurePosixPath(".") if number is None else self._open[number].path if number in self._open else None
            return None if begin is None else begin / path
        return path.relative_to(self.place) if path.is_relative_to(self.place) else None

    def _find(self, path: PurePosixPath) -> File | Folder | None:
        node: File | Folder | None = self._root
        for part in path.parts:
            node = node.now.get(part) if isinstance(node, Folder) else None
        return node

    def _above(self, path: PurePosixPath) -> Folder:
        folder = self._find(path.parent)
        assert isinstance(folder, Folder), path
        return folder

    # Calls; each gets strace's words with '' for texts, the texts, and the result

    def _openat(self, words: list[str], texts: list[bytes], result: int) -> bool:
        return self._opened(self._path(texts[0], words[0]), words[2], result)

    def _open_(self, words: list[str], texts: list[bytes], result: int) -> bool:
        return self._opened(self._path(texts[0]), words[1], result)

    def _opened(self, path: PurePosixPath | None, flags: str, number: int) -> bool:
        self._open.pop(number, None)
        if path is None or "O_TMPFILE" in flags:  # elsewhere, or a file that never gets a name
            return False
        node, new = self._find(path), False
        if node is None:
            node, new = File(), True
            self._above(path).now[path.name] = node
        if "O_TRUNC" in flags and isinstance(node, File) and node.now:
            node.now, new = b"", True
        self._open[number] = _Open(node, path, appends="O_APPEND" in flags)
        return new

    def _close(self, words: list[str], texts: list[bytes], result: int) -> bool:
        self._open.pop(int(words[0]), None)
        return False

    def _dup(self, words: list[str], texts: list[bytes], result: int) -> bool:
        if int(words[0]) in self._open:
            self._open[result] = self._open[int(words[0])]
        else:
            self._open.pop(result, None)
        return False

    def _write(self, words: list[str], texts: list[bytes], result: int) -> bool:
        opened = self._open.get(int(words[0]))
        return opened is not None and self._written(opened, b"".join(texts)[:result], None)

    def _pwrite64(self, words: list[str], texts: list[bytes], result: int) -> bool:
        opened = self._open.get(int(words[0]))
        return opened is not None and self._written(opened, texts[0][:result], int(words[-1]))

    def _written(self, opened: _Open, content: bytes, offset: int | None) -> bool:
        file = opened.node
        assert isinstance(file, File)
        at = len(file.now) if opened.appends else opened.at if offset is None else offset
        file.now = file.now[:at].ljust(at, b"\0") + content + file.now[at + len(content) :]
        if offset is None:
            opened.at = at + len(content)
        return True

    def _lseek(self, words: list[str], texts: list[bytes], result: int) -> bool:
        if int(words[0]) in self._open:
            self._open[int(words[0])].at = result
        return False

    def _ftruncate(self, words: list[str], texts: list[bytes], result: int) -> bool:
        opened = self._open.get(int(words[0]))
        if opened is None or not isinstance(opened.node, File):
            return False
        opened.node.now = opened.node.now[: int(words[1])].ljust(int(words[1]), b"\0")
        return True

    def _fsync(self, words: list[str], texts: list[bytes], result: int) -> bool:
        opened = self._open.get(int(words[0]))
        if opened is None:
            return False
        if isinstance(opened.node, Folder):
            opened.node.kept = dict(opened.node.now)
        else:
            opened.node.kept = opened.node.now
        return True

    def _rename(self, words: list[str], texts: list[bytes], result: int) -> bool:
        return self._moved(self._path(texts[0]), self._path(texts[1]))

    def _renameat(self, words: list[str], texts: list[bytes], result: int) -> bool:
        return self._moved(self._path(texts[0], words[0]), self._path(texts[1], words[2]))

    def _moved(self, old: PurePosixPath | None, new: PurePosixPath | None) -> bool:
        if old is None and new is None:
            return False
        if old is None or new is None:
            raise ValueError(f"{old} was moved to {new}, into or out of the folder that is watched.")
        self._above(new).now[new.name] = self._above(old).now.pop(old.name)
        return True

    def _mkdir(self, words: list[str], texts: list[bytes], result: int) -> bool:
        return self._made(self._path(texts[0]))

    def _mkdirat(self, words: list[str], texts: list[bytes], result: int) -> bool:
        return self._made(self._path(texts[0], words[0]))

    def _made(self, path: PurePosixPath | None) -> bool:
        if path is not None:
            self._above(path).now[path.name] = Folder()
        return path is not None

    def _unlink(self, words: list[str], texts: list[bytes], result: int) -> bool:
        return self._gone(self._path(texts[0]))

    def _unlinkat(self, words: list[str], texts: list[bytes], result: int) -> bool:
        return self._gone(self._path(texts[0], words[0]))

    def _gone(self, path: PurePosixPath | None) -> bool:
        return path is not None and self._above(path).now.pop(path.name, None) is not None

    def _unknown(self, words: list[str], texts: list[bytes], result: int) -> bool:
        raise ValueError(f"A link was made, which is not followed here: {texts}")


_KNOWN = {
    "open": "open_", "creat": "unknown", "dup2": "dup", "dup3": "dup", "writev": "write", "fdatasync": "fsync",
    "renameat2": "renameat", "rmdir": "unlink", "link": "unknown", "linkat": "unknown", "symlink": "unknown",
    "symlinkat": "unknown",
}  # fmt: skip


def _mixtures(counts: list[int], generator: random.Random) -> list[tuple[int, ...]]:
    """One of each of the `counts`: all combinations, or all old, all new, and some drawn."""
    if math.prod(counts) <= _MOST:
        return list(itertools.product(*map(range, counts)))
    drawn = [tuple(generator.randrange(count) for count in counts) for _ in range(_MOST - 2)]
    return [(0,) * len(counts), *drawn, tuple(count - 1 for count in counts)]


def _without_locks(entries: dict[str, File | Folder]) -> dict[str, File | Folder]:
    return {name: node for name, node in entries.items() if not name.endswith(".lock")}


def _read(path: Path) -> Folder:
    entries: dict[str, File | Folder] = {}
    for child in path.iterdir():
        content = b"" if child.is_dir() else child.read_bytes()
        entries[child.name] = _read(child) if child.is_dir() else File(content, content)
    return Folder(entries, dict(entries))


def _tree(node: Folder, chosen: dict[int, int], path: str) -> Iterator[tuple[str, bytes | None]]:
    for name, child in sorted(node.may_be()[chosen.get(id(node), -1)].items()):
        below = f"{path}{name}"
        if isinstance(child, File):
            yield below, child.may_be()[chosen.get(id(child), -1)]
        else:
            yield below, None
            yield from _tree(child, chosen, f"{below}/")
