"""A user's own pictures as a `Dataset`: listed, decoded through the cache, split by content, and explained.

What comes out does not depend on how the folder lies on disk: labels are names looked up in one map, and which side of
a split a picture is on follows from its file's content.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.image_folder import list_pictures
from snellen.data.labeled_images import LabeledImages
from snellen.data.listing import Listing, counted, first_few
from snellen.data.picture_cache import Progress, Stored, file_hashes, stored_pictures
from snellen.data.pictures import WHITE, Fit, PictureForm
from snellen.data.sealed_images import SealedImages
from snellen.data.shards import is_pattern
from snellen.data.splits import VAL_FRACTION, parts_by_hash
from snellen.data.subset import shares
from snellen.errors import BadSplit, DataError, InvalidSetting, RunError
from snellen.serialize import to_json

_NAMED_PROBLEMS = 5
_NAMED_CLASSES = 12
_NAMED_REASONS = 3
SMALLEST_SIDE, LARGEST_SIDE = 16, 512
_WHITES = (1, 255, 4_095, WHITE)
"""Ranges of grey that come in files of more than 8 bits: fractions, 8 bits, 12 bits and 16 bits."""


@dataclass(frozen=True)
class ImageOptions:
    """How a folder of pictures is read; part of what a run was trained on.

    Attributes:
        side: pixels of the square that every picture becomes; None leaves it to whoever loads them.
        fit: how it becomes square.
        test_fraction: share set apart as a sealed test set, by content, where the folder has no test part.
        strict: whether an unreadable file is an error; otherwise it is left out and said.
        white: the grey of more than 8 bits that is white; None finds out, from all pictures together.
        subset: decode and take only so many pictures, as `subset.trial` does; a matter of the data set.
    """

    json_only: ClassVar[tuple[str, ...]] = (
        "side",
        "fit",
        "test_fraction",
        "white",
    )  # strict and subset change no picture

    side: int | None = None
    fit: Fit = PictureForm.fit
    test_fraction: float = 0.0
    strict: bool = False
    white: int | None = None
    subset: int | None = None

    def __post_init__(self) -> None:
        if not SMALLEST_SIDE <= (self.side or PictureForm.side) <= LARGEST_SIDE:
            raise InvalidSetting(f"--size {self.side} is not possible: {SMALLEST_SIDE} to {LARGEST_SIDE} pixels.")
        assert self.form
        if not 0 <= self.test_fraction <= 0.5:
            raise InvalidSetting(f"--test-fraction {self.test_fraction} is not possible: a fraction from 0 to 0.5.")

    @property
    def form(self) -> PictureForm:
        """What every picture becomes."""
        return PictureForm(self.side or PictureForm.side, self.fit, white=self.white or WHITE)

    @staticmethod
    def from_json(content: Any) -> ImageOptions:
        """What `to_json` wrote.

        Raises:
            RunError: it is something else; a run folder may come from anywhere.
        """
        try:
            side, fit, fraction = content["side"], content["fit"], content["test_fraction"]
            known = type(side) is int and isinstance(fit, str) and type(fraction) in (int, float)
            if known and (white := content.get("white")) in (None, *_WHITES):
                return ImageOptions(side, fit, fraction, white=white)  # the fit is checked there
        except (KeyError, TypeError, AttributeError, InvalidSetting):
            pass
        raise RunError(f"The run does not say how its pictures were read: {content!r}. Train again.")


def load_folder(
    path: Path, options: ImageOptions | None = None, progress: Progress | None = None, *, side: int = PictureForm.side
) -> Dataset:
    """The pictures of a folder or table.

    Args:
        path: a folder of class folders, with or without parts; a table; tar or Parquet shards, as folder or pattern.
        options: size, fit, test part; the defaults if None.
        progress: told how far decoding has come; nothing is decoded a second time.
        side: pixels, where the options leave them open.

    Raises:
        DataError: the layout is not understood, or a file cannot be read and `options.strict`.
        BadSplit: a class has too few pictures.
        StorageError: there is no room for the decoded pictures.
    """
    options = options or ImageOptions()
    options = options if options.side else replace(options, side=side)
    listing = list_pictures(path)
    has_test = any(one.part == "test" for one in listing.found)
    if has_test and options.test_fraction:
        raise InvalidSetting(
            f"--test-fraction {options.test_fraction:g} has no effect: {path} has a test part of its own. Leave it out."
        )
    if options.subset is not None:
        listing = _some_of(listing, options, options.subset, progress or (lambda done, total: None))
    stored = _stored(listing, options, progress)
    if stored.peaks and options.white is None:
        white = next(white for white in _WHITES if max(stored.peaks.values()) <= white)
        options = replace(options, white=white)
        stored = stored if white == WHITE else _stored(listing, options, progress)
    _require_readable(listing, stored, options)
    parts = _parts(listing, stored.readable_hashes, options)[stored.order]
    _require_enough(listing, stored, parts)
    return _dataset(path, listing, stored, parts, options)


def _some_of(listing: Listing, options: ImageOptions, count: int, progress: Progress) -> Listing:
    """The listing of a subset, whose layout says so; that tells its cache from the whole folder's."""
    hashes = file_hashes(listing, progress)
    parts = _parts(listing, hashes, options)
    learn = np.flatnonzero((parts == 0) | (parts == 1))
    groups = 2 * np.array(listing.labels, dtype=np.int64)[learn] + parts[learn]
    kept = learn[shares(groups, _numbers(hashes)[learn], count)].tolist()
    return replace(
        listing,
        layout=f"{listing.layout}; {count:,} of {len(learn):,} pictures, for a trial",
        found=tuple(listing.found[at] for at in kept),
        labels=tuple(listing.labels[at] for at in kept),
    )


def _stored(listing: Listing, options: ImageOptions, progress: Progress | None) -> Stored:
    def by_part(hashes: Sequence[str]) -> NDArray[np.int64]:
        parts = _parts(listing, hashes, options)
        return np.argsort(parts, kind="stable")[np.count_nonzero(parts < 0) :]

    return stored_pictures(listing, options.form, by_part, progress or (lambda done, total: None))


def _parts(listing: Listing, hashes: Sequence[str], options: ImageOptions) -> NDArray[np.int64]:
    """(N,) int64: -1 unreadable, 0 train, 1 val, 2 test."""
    given = [one.part for one in listing.found]
    numbers = _numbers(hashes)
    readable = np.array([bool(digest) for digest in hashes], dtype=bool)
    parts = np.array([{"val": 1, "test": 2}.get(part or "", 0) for part in given], dtype=np.int64)
    free = np.flatnonzero(readable & (parts == 0))
    if "val" not in given:
        labels = np.array(listing.labels, dtype=np.int64)[free]
        parts[free] = parts_by_hash(
            labels, numbers[free], val_fraction=VAL_FRACTION, test_fraction=options.test_fraction
        )
    else:
        labels = np.zeros(len(hashes), dtype=np.int64)
        in_test = parts_by_hash(labels, numbers, val_fraction=0, test_fraction=options.test_fraction) == 2
        parts[in_test] = 2
    parts[~readable] = -1
    return parts


def _numbers(hashes: Sequence[str]) -> NDArray[np.uint64]:
    """(N,) uint64: the first half of each hash, by which pictures are split; 0 where there is none."""
    return np.array([int(digest[:16] or "0", 16) for digest in hashes], dtype=np.uint64)


def _require_readable(listing: Listing, stored: Stored, options: ImageOptions) -> None:
    broken = _broken(listing, stored)
    if broken and options.strict:
        raise DataError(
            f"{len(broken):,} of {len(listing.found):,} files cannot be read: {first_few(broken, _NAMED_PROBLEMS)}. "
            "Mend or remove them, or leave out --strict to go on without them."
        )


def _broken(listing: Listing, stored: Stored, label: int | None = None) -> list[str]:
    """Names and reasons of unreadable files, of all classes or of one."""
    return [
        f"{listing.found[place].name} {why.rstrip('.')}"
        for place, why in sorted(stored.problems.items())
        if label is None or listing.labels[place] == label
    ]


def _require_enough(listing: Listing, stored: Stored, parts: NDArray[np.int64]) -> None:
    labels = np.array(listing.labels, dtype=np.int64)[stored.order]
    given = any(one.part == "val" for one in listing.found)
    for label, name in enumerate(listing.class_names):
        train, val = (int(((labels == label) & (parts == part)).sum()) for part in (0, 1))
        if train == 0 or (val == 0 and not given):
            broken = _broken(listing, stored, label)
            reasons = f" Not readable: {'; '.join(broken[:_NAMED_REASONS])}." if broken else ""
            takes = "; it takes at least 1" if given else " and to choose by; it takes at least 2 different ones"
            raise BadSplit(
                f"Class '{name}' has {train} readable picture{'' if train == 1 else 's'} to learn from{takes}. Add "
                f"pictures, or take the class out.{reasons}"
            )
    if given and not (parts == 1).any():
        raise BadSplit(
            "The val part has no readable picture. Add some, or remove it: a tenth of train then becomes val."
        )


def _dataset(path: Path, listing: Listing, stored: Stored, parts: NDArray[np.int64], options: ImageOptions) -> Dataset:
    name = _name(path) + (f"-{options.subset}" if options.subset else "")
    learn = int((parts < 2).sum())  # rows are in the order train, val, test
    hashes = stored.source_hashes
    labels = np.array(listing.labels, dtype=np.int64)[stored.order]
    files = tuple(one.name for one in listing.found)

    def images(rows: slice) -> LabeledImages:
        given = LabeledImages(
            stored.pixels[rows], labels[rows], listing.class_names, stored.order[rows], "all", name, hashes[rows], files
        )
        given.__dict__["content_hashes"] = stored.content_hashes[rows]  # paid for when the pixels were opened
        return given

    test = None
    if learn < len(parts):
        rest = slice(learn, len(parts))
        contents = sorted(f"{stored.hashes[at]} {listing.class_names[listing.labels[at]]}" for at in stored.order[rest])
        test = SealedImages(
            lambda: images(rest),
            name=name,
            count=len(contents),
            identity=hashlib.sha256("\n".join(contents).encode()).hexdigest(),
            pixels=lambda: stored.pixels[rest],
            files=tuple(files[at] for at in stored.order[rest]),
            identities=hashes[rest],
        )
    return Dataset(
        name,
        images(slice(0, learn)),
        test,
        source=str(path.resolve()),
        in_val=parts[:learn] == 1,
        loading=to_json(options),
        subset=options.subset,
        about=tuple(_about(listing, stored, parts, labels, options)),
    )


def _name(path: Path) -> str:
    """The folder's name as far as it can be part of a run's name."""
    named = path.stem if path.is_file() else (path.parent if is_pattern(path) else path).resolve().name
    words = re.sub(r"[^\w.+-]+", "-", named).strip("-.+")
    return words[:60] or "pictures"


def _about(
    listing: Listing, stored: Stored, parts: NDArray[np.int64], labels: NDArray[np.int64], options: ImageOptions
) -> list[str]:
    """What was understood, a line each."""
    names = listing.class_names
    more = f", … ({len(names) - _NAMED_CLASSES} more)" if len(names) > _NAMED_CLASSES else ""
    given = {one.part for one in listing.found}
    train, val, test = (int((parts == part).sum()) for part in (0, 1, 2))
    lines = [
        f"layout    {listing.layout}",
        f"classes   {len(names)}: {', '.join(names[:_NAMED_CLASSES])}{more}",
        f"pictures  {options.side}x{options.side} px, fit {options.fit}; decoded once into {stored.folder}",
        f"train     {train:,}",
        f"val       {val:,}, " + ("as given" if "val" in given else "about a tenth of each class, by content"),
    ]
    if test:
        lines.append(f"test      {test:,}, sealed, " + ("as given" if "test" in given else "set apart by content"))
    elif options.subset:
        lines.append("test      none: it stays out of trials")
    else:
        lines.append("test      none: no test part in the folder; --test-fraction 0.1 seals a tenth of the pictures")
    absent = [name for label, name in enumerate(names) if not ((labels == label) & (parts == 1)).any()]
    if absent:
        lines.append(f"          val has none of {', '.join(absent[:_NAMED_CLASSES])}")
    broken = _broken(listing, stored)
    skipped = counted(listing.left_out)
    if options.white not in (None, WHITE):
        lines.append(
            f"grey      values of more than 8 bits end at {max(stored.peaks.values()):g}: {options.white} is white"
        )
    if broken:
        lines.append(f"skipped   {len(broken):,} unreadable: {first_few(broken, _NAMED_PROBLEMS)}")
    if skipped:
        lines.append(f"left out  {skipped}")
    return lines
