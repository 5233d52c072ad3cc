"""Where the pictures of a folder are listed: one folder per class, parts above them, tables, shards; or just pictures.

Found out from names and kinds of files; of a file, no more than the first bytes are read here. Hidden files and what
other programs leave behind, run folders, notes, links that lead out of the folder, folders behind links, and everything
that is no regular file are left out and counted. Training and `predict` list by the same rule.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from snellen.data.listing import (
    PARTS,
    Found,
    ListedFile,
    Listing,
    Part,
    besides,
    class_name,
    file_below,
    files_ending,
    make_listing,
    require_learnable,
)
from snellen.data.shards import TAR, find_tars, is_pattern, list_pattern, list_tars
from snellen.data.tables import TABLE_ENDINGS, described_pictures, find_metadata, list_rows, list_table
from snellen.errors import DataError, DataNotFound
from snellen.paths import visible

_NOISE = {
    "__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "#recycle", "@eadir", "@tmp", "lost+found", "__pycache__",
}  # fmt: skip
"""Left behind by other systems and programs; ignored as hidden files are."""
_LINKS = "links to folders, not followed"
_RUN = "run.json"
"""What is in every run folder."""
_NOTES = {".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".pdf", ".log", ".py"}
_PICTURES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif",
    ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".jxl", ".svg", ".dcm",
}  # fmt: skip
"""Endings of what is meant as a picture, read or not: a class of nothing but HEIC is an error, and not no class."""
_FIRST_BYTES = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|BM|RIFF....WEBP|II\*\0|MM\0\*|P[1-6]\s|....ftyp(avif|avis|hei|mif1)", re.DOTALL
)


def list_pictures(path: Path, *, to_learn: bool = True) -> Listing:
    """The labelled pictures of a folder or table, whatever its layout.

    Args:
        path: the folder, table, shard or pattern of shards.
        to_learn: whether something must be learnable from them: at least two classes, and in val and test no others.

    Raises:
        DataNotFound: there is no such folder or table.
        DataError: the layout is not understood, or holds no picture, or nothing to learn from.
        BadSplit: fewer than two classes to learn.
    """
    listing = _list(path)
    if to_learn or not listing.found:
        require_learnable(listing)
    return listing


def _list(path: Path) -> Listing:
    ending = path.suffix.lower()  # of the name that was given: a cache may have linked it to a file without one
    if path.is_file() and ending in TABLE_ENDINGS:
        return list_table(ListedFile.by_user(path))
    if path.is_file() and ending == TAR:
        return list_tars(path.parent.resolve(), [ListedFile.by_user(path)])
    if is_pattern(path):
        return list_pattern(path)
    if not path.is_dir():
        raise DataNotFound(
            f"{visible(path)} is not there. Name a folder of class folders, a table (.csv, .parquet), shards (.tar)."
            if not path.exists() else
            f"{visible(path)} is neither a folder nor a table nor a shard ({', '.join((*TABLE_ENDINGS, TAR))})."
        )  # fmt: skip
    return _list_folder(path.resolve())


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, sorted by path, of whatever class; none of them is opened.

    Raises:
        DataError: there is none; says what is there instead.
    """
    left_out: Counter[str] = Counter()
    found = [folder / file.named.relative_to(folder.resolve()) for file in _files_below(folder.resolve(), left_out)]
    if not found:
        raise DataError(f"{visible(folder)} holds no pictures.{besides(left_out)}")
    return found


def _list_folder(root: Path) -> Listing:
    left_out: Counter[str] = Counter()
    folders = dict(_visible_folders(root, left_out))
    parts = {name: PARTS[name.lower()] for name in folders if name.lower() in PARTS}
    described = {folder: table for folder in (root, *(folders[name] for name in parts))
                 if (table := find_metadata(folder, root))}  # fmt: skip
    if described:
        chosen = {root: described[root]} if root in described else described
        rows: list[Found] = []
        for folder, table in chosen.items():
            rows += described_pictures(table, parts.get(folder.name), root, left_out)
        return make_listing(root, "pictures described by metadata", rows, left_out)
    within = [root, *(folders[name] for name in folders if name in parts or name == "data")]
    if shards := files_ending(".parquet", within, root, left_out):
        return list_rows(root, shards, left_out=left_out)
    if "train" in parts.values() and any(
        next(_visible_folders(folders[name], Counter()), None) for name in parts if parts[name] == "train"
    ):
        return _list_parts(root, folders, parts, left_out)
    # Beside class folders a tar is somebody's backup.
    if folders.keys() <= parts.keys() | {"data"} and (tars := find_tars([root, *folders.values()], root, left_out)):
        return list_tars(root, tars, left_out=left_out)
    _require_classes(root, folders, parts, left_out)
    found, empty = _classes(folders, None, root, left_out)
    left_out["files beside the class folders"] += _files_in(root)
    return make_listing(root, "one folder per class", found, left_out, empty_classes=empty)


def _list_parts(root: Path, folders: dict[str, Path], parts: dict[str, Part], left_out: Counter[str]) -> Listing:
    for name in folders.keys() - parts.keys():
        if any(map(_is_picture, _files_below(folders[name], Counter(), root))):
            train = visible(next(name for name, part in parts.items() if part == "train"))
            raise DataError(
                f"{visible(root)} has {train!r} beside '{visible(name)}': is one a part and the other a class? "
                "Move what does not belong away, or describe the pictures in a table with columns path, label and "
                "split."
            )
        left_out[_no_class(name)] += 1
    every: list[Found] = []
    empty_in_train: list[str] = []
    for name, part in parts.items():
        inside = dict(_visible_folders(folders[name], left_out))
        found, empty = _classes(inside, part, root, left_out)
        every += found
        empty_in_train += empty if part == "train" else []
        left_out[f"files in {visible(name)}/ without a class folder"] += _files_in(folders[name])
    names = ", ".join(f"{visible(name)}/" for name in parts)
    return make_listing(root, f"{names} with one folder per class", every, left_out, empty_classes=empty_in_train)


def _classes(
    folders: dict[str, Path], part: Part | None, root: Path, left_out: Counter[str]
) -> tuple[list[Found], list[str]]:
    """Pictures of each class folder, those of its subfolders included, and the names of empty ones."""
    found: list[Found] = []
    empty: list[str] = []
    for name, folder in folders.items():
        label, ignored = class_name(name), Counter[str]()
        files = list(_files_below(folder, ignored, root))
        if any(map(_is_picture, files)):
            left_out.update(ignored)
            found += [
                Found(visible(file.named.relative_to(root)), file.target, None, label, part, file.ending)
                for file in files
            ]
        elif files or ignored:
            left_out[_no_class(name)] += 1
        else:
            empty.append(label)
    return found, empty


def _no_class(name: str) -> str:
    return f"the folder {visible(name)}, which holds no picture"


def _visible_folders(folder: Path, left_out: Counter[str]) -> Iterator[tuple[str, Path]]:
    for entry in _scan(folder):
        if _hidden(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield entry.name, Path(entry.path)
        elif entry.is_symlink() and entry.is_dir():
            left_out[_LINKS] += 1


def _files_below(folder: Path, left_out: Counter[str], root: Path | None = None) -> Iterator[ListedFile]:
    """Regular files of `folder` and its subfolders, sorted by path; a link counts where it stays inside `root`."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        entries = _scan(here)
        if any(entry.name == _RUN for entry in entries):
            left_out["run folders"] += 1
            continue
        inner = []
        for entry in entries:
            path = Path(entry.path)
            if _hidden(entry.name):
                left_out["hidden files"] += 1
            elif entry.is_dir(follow_symlinks=False):
                inner.append(path)
            elif entry.is_symlink():
                file = file_below(path, root or folder)
                if file is not None and file.is_there:
                    yield file
                else:
                    left_out["links that lead out of the folder, to folders or nowhere"] += 1
            elif not entry.is_file(follow_symlinks=False):
                left_out["special files (pipes, devices, sockets)"] += 1
            elif path.suffix.lower() in _NOTES and not _begins_as_picture(path):
                left_out["notes and tables beside the pictures"] += 1
            else:
                yield ListedFile(path, path)
        waiting += reversed(inner)


def _is_picture(file: ListedFile) -> bool:
    """Whether it is meant as one, or is one."""
    return file.ending in _PICTURES or _begins_as_picture(file.target)


def _begins_as_picture(path: Path) -> bool:
    try:
        with ListedFile(path, path).open() as content:
            return _FIRST_BYTES.match(content.read(16)) is not None
    except (OSError, DataError):
        return False


def _files_in(folder: Path) -> int:
    return sum(not _hidden(entry.name) and not entry.is_dir() for entry in _scan(folder))


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{visible(folder)} cannot be read: {error.strerror}.") from error


def _hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _NOISE


def _require_classes(root: Path, folders: dict[str, Path], parts: dict[str, Part], left_out: Counter[str]) -> None:
    if parts and "train" not in parts.values() and len(parts) == len(folders):
        names = " and ".join(f"{visible(name)}/" for name in parts)
        raise DataError(f"{visible(root)} has {names} but no train/; there is nothing to learn from.")
    if folders:
        return
    if any(root.glob("*.arrow")):
        raise DataError(
            f"{visible(root)} was written by save_to_disk (Arrow files), which Snellen does not read. In datasets: "
            "ds.to_parquet('pictures.parquet'), then snellen train pictures.parquet"
        )
    tables = [path for path in sorted(root.iterdir()) if path.suffix.lower() in TABLE_ENDINGS]
    way_out = (
        f"Is {visible(tables[0].name)} the list of labels? snellen train {visible(tables[0])}" if tables else
        "Make one folder per class, or a table with columns path and label."
    )  # fmt: skip
    raise DataError(f"{visible(root)} has no class folders ({_files_in(root)} files).{besides(left_out)} {way_out}")
