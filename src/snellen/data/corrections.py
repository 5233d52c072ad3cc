"""Corrections: a file beside the data that says which labels are wrong; the data themselves are never changed.

    file,hash,old,new,why
    roses/12.jpg,00c2f3a91b7de645,roses,tulips,looked at it
    daisy/7.jpg,9be1f3a91b7de600,daisy,-,two flowers in it

`new` is the class it should be, `-` to leave the picture out, the old class where that is right after all, or empty,
which changes nothing. A picture is known by `hash` (its identity as 16 hexadecimal digits) where one is given, else by
`file`; one of the two has to be there. `old` is held against the data where it is given; `why` and further columns are
for people.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.listing import class_name, first_few
from snellen.data.sealed_images import SealedImages
from snellen.data.splits import in_val
from snellen.errors import DataError, DataNotFound, RunError, nearest
from snellen.paths import visible

LEAVE_OUT = "-"
COLUMNS = ("file", "hash", "old", "new", "why")
_LARGEST = 50_000_000  # bytes
_NAMED = 3
_HASH = r"([0-9a-f]{16})?"
_OUT, _SILENT = -1, -2  # in place of a label: left out, and nothing said


@dataclass(frozen=True)
class Correction:
    """One row that says something; texts as in the file, `line` its number there."""

    file: str
    hash: str
    old: str
    new: str
    why: str = ""
    line: int = 0

    @property
    def called(self) -> str:
        """The picture, in words."""
        return self.file or self.hash


@dataclass(frozen=True)
class Corrections:
    """The rows of a file that say something.

    Attributes:
        name: of the file.
        rows: those with a `new`.
        open_rows: how many are without one.
    """

    name: str
    rows: tuple[Correction, ...]
    open_rows: int = 0

    @property
    def sha256(self) -> str:
        """Of what the rows say, whatever the file is called and however it is written."""
        said = sorted([row.file, row.hash, row.old, row.new] for row in self.rows)
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """What `run.json` keeps, enough to apply them again."""
        rows = [[row.file, row.hash, row.old, row.new, row.why] for row in self.rows]
        return {"name": self.name, "sha256": self.sha256, "rows": rows}

    @staticmethod
    def from_json(content: Any) -> Corrections:
        """What `to_json` wrote.

        Raises:
            RunError: it is something else; a run folder may come from anywhere.
        """
        try:
            found = Corrections(content["name"], tuple(Correction(*row) for row in content["rows"]))
            texts = [found.name, *(text for row in content["rows"] for text in row)]
            whole = all(isinstance(text, str) for text in texts) and found.sha256 == content["sha256"]
            if whole and all(row.called and re.fullmatch(_HASH, row.hash) for row in found.rows):
                return found
        except (KeyError, TypeError):
            pass
        raise RunError("The run does not say how its labels were corrected. Train again.")


def read_corrections(path: Path) -> Corrections:
    """The corrections of a CSV file, separated by commas, semicolons or tabs, in UTF-8.

    Raises:
        DataNotFound: there is no such file.
        DataError: it has no column `new`, names no picture in a row, or has a hash that is none.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise DataError(f"{path} is larger than {_LARGEST // 10**6} MB, which no file of corrections is.")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataNotFound(f"There is no file {path}. snellen doctor DATA --labels --csv FILE writes one.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as text in UTF-8 ({error}).") from error
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=header.count), restval="")
    columns = set(reader.fieldnames or ())
    if "new" not in columns or not {"file", "hash"} & columns:
        raise DataError(
            f"{path} has the columns {visible(', '.join(reader.fieldnames or ('none',)))}; corrections take new and "
            f"file or hash, and may have the others of {','.join(COLUMNS)}."
        )
    try:
        said = [_correction(path, reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise DataError(f"{path} is no table ({error}).") from error
    rows = tuple(row for row in said if row.new)
    return Corrections(visible(path.name), rows, len(said) - len(rows))


def _correction(path: Path, line: int, row: Mapping[str, Any]) -> Correction:
    file, digest, old, new, why = (str(row.get(name) or "").strip() for name in COLUMNS)
    if not file and not digest:
        raise DataError(f"{path}, line {line}, names no picture: it takes a file or a hash.")
    if not re.fullmatch(_HASH, digest.lower()):
        raise DataError(
            f"{path}, line {line}: {visible(digest[:40])} is no hash of 16 hexadecimal digits; a spreadsheet may have "
            "made a number of it. Empty the cell, and the file's name decides."
        )
    return Correction(visible(file), digest.lower(), class_name(old), class_name(new), visible(why), line)


def identity_text(identity: int | np.uint64) -> str:
    """A picture's identity as a file of corrections has it."""
    return f"{int(identity):016x}"


# Applying them


def corrected(dataset: Dataset, corrections: Corrections) -> Dataset:
    """The data set with these labels in place of its own, and without what is to be left out; `about` says what fitted.

    No picture changes its part: what is val by its content is val under another label too. Rows for pictures of a
    sealed test set are kept for when it is opened, and the ledger is told.

    Raises:
        DataError: a class that there is not, two different corrections of one picture, a class without a picture left
            to learn from, or no row that fits.
    """
    images, sealed = dataset.train, dataset.test
    targets = _targets(corrections, images.class_names)
    for_test = np.zeros(len(targets), dtype=bool) if sealed is None else _in_test(corrections, images, sealed)
    wanted, lost = _wanted(images, corrections, targets, np.flatnonzero(~for_test))
    refused = np.flatnonzero(for_test & (targets == _OUT)).tolist()
    lost += [f"{corrections.rows[at].called} is a test picture, and none of those is left out" for at in refused]
    for_test[refused] = False
    changed, out = (wanted >= 0) & (wanted != images.labels), wanted == _OUT
    if len(lost) == len(targets) > 0:
        raise DataError(
            f"None of the {len(targets):,} corrections of {corrections.name} fits {dataset.name} ({lost[0]}): they are "
            "of other data, or of pictures that are no longer there."
        )
    kept = np.flatnonzero(~out)
    labels = np.where(wanted >= 0, wanted, images.labels)[kept]
    was_val = in_val(dataset)[kept]
    _require_each(images, labels[~was_val], corrections.name)
    return replace(
        dataset,
        train=_labelled(images.take(kept, "all"), labels),
        test=sealed if sealed is None or not for_test.any() else _sealed(sealed, corrections, targets, for_test),
        in_val=was_val,
        corrections=corrections.to_json() if len(targets) else {},
        about=(*dataset.about, *_about(corrections, changed, out, lost, for_test)),
    )


def settled(dataset: Dataset) -> NDArray[np.bool_]:
    """(N,) bool: the pictures of `dataset.train` that its corrections speak of: somebody has looked at them."""
    found = np.zeros(len(dataset.train), dtype=bool)
    if dataset.corrections:
        for places in _places(dataset.train, Corrections.from_json(dataset.corrections)).values():
            found[places] = True
    return found


def _targets(corrections: Corrections, class_names: Sequence[str]) -> NDArray[np.int64]:
    """(R,) int64: the label that each row wants, or `_OUT`."""
    number = {name: label for label, name in enumerate(class_names)}
    for row in corrections.rows:
        if row.new != LEAVE_OUT and row.new not in number:
            near = nearest(row.new, number)
            hint = f"did you mean '{near}'?" if near else f"there are {', '.join(class_names[:12])}."
            raise DataError(f"{_where(corrections, row)}: there is no class '{row.new[:80]}'; {hint}")
    return np.array([number.get(row.new, _OUT) for row in corrections.rows], dtype=np.int64)


def _where(corrections: Corrections, row: Correction) -> str:
    return corrections.name + (f", line {row.line}" if row.line else "")


def _wanted(
    images: LabeledImages, corrections: Corrections, targets: NDArray[np.int64], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[str]]:
    """(N,) int64: the label that some of the rows want for each picture, `_OUT`, or -2 where none says anything of it;
    and why rows do not fit.
    """
    wanted, lost = np.full(len(images), _SILENT, dtype=np.int64), list[str]()
    by: dict[int, Correction] = {}
    places, names = _places(images, corrections), images.class_names
    for number in rows.tolist():
        row, target = corrections.rows[number], int(targets[number])
        at = places.get(row.hash or row.file, [])
        at = [place for place in at if images.names[place] == row.file] or at  # of copies the one of that name, or all
        fitting = [
            place for place in at if row.old in ("", names[images.labels[place]]) or images.labels[place] == target
        ]
        if not fitting:
            now = f"is labelled '{names[images.labels[at[0]]]}', not '{row.old}'" if at else "is not there"
            lost.append(f"{row.called} {now}")
        for place in fitting:
            if wanted[place] not in (_SILENT, target):
                raise DataError(
                    f"{corrections.name} corrects {images.names[place]} twice and differently: to '{by[place].new}' "
                    f"and to '{row.new}'. Keep one of the rows."
                )
            wanted[place], by[place] = target, row
    return wanted, lost


def _places(images: LabeledImages, corrections: Corrections) -> dict[str, list[int]]:
    """Where the pictures are that the rows speak of, by hash, and those without one by name."""
    found: dict[str, list[int]] = {}
    codes = [int(row.hash, 16) for row in corrections.rows if row.hash]
    for place in np.flatnonzero(np.isin(images.identities, np.array(codes, dtype=np.uint64))).tolist():
        found.setdefault(identity_text(images.identities[place]), []).append(place)
    files = {row.file for row in corrections.rows if not row.hash}
    for place, name in enumerate(images.names):
        if name in files:
            found.setdefault(name, []).append(place)
    return found


def _require_each(images: LabeledImages, labels: NDArray[np.int64], name: str) -> None:
    for label in np.unique(images.labels).tolist():
        if not (labels == label).any():
            raise DataError(
                f"After the corrections of {name} class '{images.class_names[label]}' has no picture left to learn "
                "from. Leave some, or take the class out of the data."
            )


def _labelled(images: LabeledImages, labels: NDArray[np.int64]) -> LabeledImages:
    given = replace(images, labels=labels)
    if "content_hashes" in images.__dict__:  # already paid for: the pixels are the same ones
        given.__dict__["content_hashes"] = images.content_hashes
    return given


def _about(
    corrections: Corrections,
    changed: NDArray[np.bool_],
    out: NDArray[np.bool_],
    lost: Sequence[str],
    for_test: NDArray[np.bool_],
) -> list[str]:
    count, test = len(corrections.rows), int(for_test.sum())
    what = f"{int(changed.sum()):,} labels changed, {int(out.sum()):,} pictures left out"
    lines = [f"corrected {what}, by {count - len(lost):,} of {count:,} rows of {corrections.name}"]
    if test:
        lines.append(f"          {test:,} rows are of the sealed test set; once it is opened, the ledger says so")
    if corrections.open_rows:
        lines.append(f"          {corrections.open_rows:,} rows say nothing: their column new is empty")
    if lost:
        lines.append(f"          {len(lost):,} rows no longer fit: {first_few(lost, _NAMED)}")
    return lines


# The test set


def _in_test(corrections: Corrections, images: LabeledImages, sealed: SealedImages) -> NDArray[np.bool_]:
    """(R,) bool: rows of pictures that are in test and not among those to learn from."""
    here, there = images.identities, sealed.identities
    own, files = set(images.names), set(sealed.names) if images.files else set()

    def in_test(row: Correction) -> bool:
        if not row.hash:
            return row.file in files and row.file not in own
        digest = np.uint64(int(row.hash, 16))
        return bool((there == digest).any() and not (here == digest).any())

    return np.array([in_test(row) for row in corrections.rows], dtype=bool)


def _sealed(
    sealed: SealedImages, corrections: Corrections, targets: NDArray[np.int64], for_test: NDArray[np.bool_]
) -> SealedImages:
    """The test set with some rows applied when it is opened, and a sentence for the ledger."""
    rows = np.flatnonzero(for_test)

    def correct(images: LabeledImages) -> LabeledImages:
        wanted, _ = _wanted(images, corrections, targets, rows)
        return _labelled(images, np.where(wanted >= 0, wanted, images.labels))

    return sealed.corrected(
        correct, f"{len(rows)} test labels corrected by {corrections.name} ({corrections.sha256[:12]})"
    )
