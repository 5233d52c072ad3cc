"""A folder of pictures, one folder per class, with or without train, val and test above them; or a folder of shards.

Found out from names and kinds of files alone; nothing is opened here but tables. Hidden files, links that lead out
of the folder, folders behind links, and everything that is no regular file are left out and counted.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from snellen.data.listing import PARTS, Found, Listing, Part, class_name, make_listing, shown
from snellen.data.shards import TAR, find_tars, is_pattern, list_pattern, list_tars
from snellen.data.tables import TABLE_ENDINGS, find_metadata, find_shards, list_rows, list_table
from snellen.errors import DataError, DataNotFound

_NOISE = {"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin"}
"""Left behind by other systems; ignored as hidden files are."""


def list_pictures(path: Path) -> Listing:
    """The pictures of a folder or table, whatever its layout.

    Raises:
        DataNotFound: there is no such folder or table.
        DataError: the layout is not understood, or holds nothing to learn from.
    """
    if path.is_file() and path.suffix.lower() in TABLE_ENDINGS:
        return list_table(path)
    if path.is_file() and path.suffix.lower() == TAR:
        return list_tars(path.resolve().parent, [path.resolve()])
    if is_pattern(path):
        return list_pattern(path)
    if not path.is_dir():
        raise DataNotFound(
            f"{shown(path)} is not there. Name a folder of class folders, a table (.csv, .parquet), shards (.tar)."
            if not path.exists() else
            f"{shown(path)} is neither a folder nor a table nor a shard ({', '.join((*TABLE_ENDINGS, TAR))})."
        )  # fmt: skip
    return _list_folder(path.resolve())


def _list_folder(root: Path) -> Listing:
    left_out: Counter[str] = Counter()
    folders = dict(_visible_folders(root, root, left_out))
    parts = {name: PARTS[name.lower()] for name in folders if name.lower() in PARTS}
    described = [root] if find_metadata(root) else [folders[name] for name in parts if find_metadata(folders[name])]
    if described:
        rows = [found for folder in described for found in _described(folder, parts.get(folder.name), root, left_out)]
        return make_listing(root, "pictures described by metadata", rows, left_out)
    if shards := find_shards([root, root / "data", *(folders[name] for name in parts)]):
        return list_rows(root, shards)
    if "train" in parts.values() and any(
        next(_visible_folders(folders[name], root, Counter()), None) for name in parts if parts[name] == "train"
    ):
        return _list_parts(root, folders, parts, left_out)
    # Beside class folders a tar is somebody's backup.
    if folders.keys() <= parts.keys() | {"data"} and (tars := find_tars([root, *folders.values()])):
        return list_tars(root, tars)
    _require_classes(root, folders, parts)
    found, empty = _classes(folders, None, root, left_out)
    left_out["files beside the class folders"] += _files_in(root)
    return make_listing(root, "one folder per class", found, left_out, empty_classes=empty)


def _list_parts(root: Path, folders: dict[str, Path], parts: dict[str, Part], left_out: Counter[str]) -> Listing:
    others = [
        name for name in folders if name not in parts and next(_files_below(folders[name], root, Counter()), None)
    ]
    if others:
        raise DataError(
            f"{shown(root)} has {_first(parts)!r} beside {shown(others[0])!r}: is one a part and the other a class? "
            "Move what does not belong away, or describe the pictures in a table with columns path, label and split."
        )
    every: list[Found] = []
    empty_in_train: list[str] = []
    for name, part in parts.items():
        inside = dict(_visible_folders(folders[name], root, left_out))
        found, empty = _classes(inside, part, root, left_out)
        every += found
        empty_in_train += empty if part == "train" else []
        left_out[f"files in {shown(name)}/ without a class folder"] += _files_in(folders[name])
    names = ", ".join(f"{shown(name)}/" for name in parts)
    return make_listing(root, f"{names} with one folder per class", every, left_out, empty_classes=empty_in_train)


def _classes(
    folders: dict[str, Path], part: Part | None, root: Path, left_out: Counter[str]
) -> tuple[list[Found], list[str]]:
    """Pictures of each class folder, those of its subfolders included, and the names of empty ones."""
    found: list[Found] = []
    empty: list[str] = []
    for name, folder in folders.items():
        label, before = class_name(name), len(found)
        for path in _files_below(folder, root, left_out):
            found.append(Found(shown(path.relative_to(root)), path, None, label, part))
        if len(found) == before:
            empty.append(label)
    return found, empty


def _described(folder: Path, part: Part | None, root: Path, left_out: Counter[str]) -> Iterator[Found]:
    table = find_metadata(folder)
    if table is not None:
        listing = list_table(table, part=part, root=root, whole=False)
        left_out.update(listing.left_out)
        yield from listing.found


def _visible_folders(folder: Path, root: Path, left_out: Counter[str]) -> Iterator[tuple[str, Path]]:
    for entry in _scan(folder):
        if _hidden(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield entry.name, Path(entry.path)
        elif entry.is_symlink() and entry.is_dir():
            left_out["links to folders, not followed"] += 1


def _files_below(folder: Path, root: Path, left_out: Counter[str]) -> Iterator[Path]:
    """Regular files of `folder` and its subfolders, sorted by path; a link counts where it stays inside `root`."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        inner = []
        for entry in _scan(here):
            path = Path(entry.path)
            if _hidden(entry.name):
                left_out["hidden files"] += 1
            elif entry.is_dir(follow_symlinks=False):
                inner.append(path)
            elif entry.is_symlink():
                target = _target(path)
                if target is not None and target.is_relative_to(root) and target.is_file():
                    yield path
                else:
                    left_out["links that lead out of the folder, to folders or nowhere"] += 1
            elif entry.is_file(follow_symlinks=False):
                yield path
            else:
                left_out["special files (pipes, devices, sockets)"] += 1
        waiting += reversed(inner)


def _target(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):  # a link in a circle
        return None


def _files_in(folder: Path) -> int:
    return sum(not _hidden(entry.name) and not entry.is_dir() for entry in _scan(folder))


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{shown(folder)} cannot be read: {error.strerror}.") from error


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _NOISE


def _first(parts: dict[str, Part]) -> str:
    return shown(next(name for name, part in parts.items() if part == "train"))


def _require_classes(root: Path, folders: dict[str, Path], parts: dict[str, Part]) -> None:
    if parts and "train" not in parts.values() and len(parts) == len(folders):
        names = " and ".join(f"{shown(name)}/" for name in parts)
        raise DataError(f"{shown(root)} has {names} but no train/; there is nothing to learn from.")
    if folders:
        return
    if any(root.glob("*.arrow")):
        raise DataError(
            f"{shown(root)} was written by save_to_disk (Arrow files), which Snellen does not read. In datasets: "
            "ds.to_parquet('pictures.parquet'), then snellen train pictures.parquet"
        )
    tables = [path for path in sorted(root.iterdir()) if path.suffix.lower() in TABLE_ENDINGS]
    way_out = (
        f"Is {shown(tables[0].name)} the list of labels? snellen train {shown(tables[0])}" if tables else
        "Make one folder per class, or a table with columns path and label."
    )  # fmt: skip
    raise DataError(f"{shown(root)} has no class folders ({_files_in(root)} files). {way_out}")
