"""The ledger: when the test set was opened, for which weights and why.

A test score is evidence only while the test set has not steered a choice. This file holds the one key to
`SealedImages`. An *intent* line is written and flushed before the pictures are handed out, so that a crash
counts as a look; a *result* line follows. Lines are JSON, one each, and every line carries the hash of the one
before it, so that an edit or a removal inside shows. Nothing here stops an owner who deletes the file: the
ledger stops accidents and makes the rest visible.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from snellen.data.labeled_images import LabeledImages
from snellen.errors import SealError
from snellen.runs.atomic import append_line, make_folder, write_text

_SKETCH = 64
"""Smallest content hashes kept per test set: enough to see a 5 % overlap with a renamed, cut or extended copy."""


@dataclass(frozen=True)
class TestSet:
    """A test set known by its content, not by its path.

    Attributes:
        name: the data set's name, for people.
        count: number of images.
        fingerprint: SHA-256 over pixels and labels, independent of order.
        sketch: the smallest content hashes (hex), by which subsets and supersets are recognised.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    name: str
    count: int
    fingerprint: str
    sketch: tuple[str, ...]

    @staticmethod
    def of(images: LabeledImages) -> TestSet:
        """The identity of these images."""
        # By file where there are files: the same test set at another size is still the same test set.
        smallest = sorted({f"{int(value):016x}" for value in images.identities})[:_SKETCH]
        return TestSet(images.name, len(images), images.fingerprint, tuple(smallest))

    def overlaps(self, other: TestSet) -> bool:
        """Whether the two share images, judged by their sketches."""
        return self.fingerprint == other.fingerprint or not set(self.sketch).isdisjoint(other.sketch)


@dataclass(frozen=True)
class Candidate:
    """One model to be graded.

    Attributes:
        run: its folder's name.
        weights: SHA-256 of the weights file.
        recipe: name of its recipe, which a recipe changed by `--set` keeps.
        seed: it was trained with.
        recipe_sha256: `recipes.json_form.recipe_hash`, by which changed recipes are told apart.
    """

    run: str
    weights: str
    recipe: str
    seed: int
    recipe_sha256: str


@dataclass(frozen=True)
class Line:
    """One line of the ledger: its fields, and whether they still match their hash."""

    content: dict[str, Any]
    intact: bool

    @property
    def hash(self) -> str:
        """The line's own hash, as written."""
        return str(self.content.get("hash", ""))

    @property
    def kind(self) -> str:
        """ "intent" or "result"."""
        return str(self.content.get("kind", "unreadable"))


class Ledger:
    """An append-only file of looks at test sets.

    Args:
        path: the .jsonl file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def intend(
        self,
        test_set: TestSet,
        candidates: Sequence[Candidate],
        *,
        tta: str,
        tta_fraction: float = 1.0,
        reason: str,
        version: str,
        note: str = "",
    ) -> str:
        """Write the intent to grade `candidates` on a test set; returns the line's hash.

        Args:
            test_set: what is going to be opened.
            candidates: every model that will be graded.
            tta: name of the test-time views.
            tta_fraction: fraction of the images that get the further views.
            reason: why, in the words of whoever looks.
            version: of Snellen.
            note: what is to be known of the labels: that some were corrected, and by what.

        Raises:
            SealError: the line could not be written, so the test set stays closed.
        """
        return self._append(
            {
                "kind": "intent",
                "time": _now(),
                "version": version,
                "test_set": dataclasses.asdict(test_set) | {"sketch": list(test_set.sketch)},
                "candidates": [dataclasses.asdict(candidate) for candidate in candidates],
                "tta": tta,
                "tta_fraction": tta_fraction,
                "reason": reason,
                **({"note": note} if note else {}),
            }
        )

    def record(self, intent: str, results: Sequence[dict[str, Any]]) -> str:
        """Write what the look showed, one entry per candidate; returns the line's hash."""
        return self._append({"kind": "result", "time": _now(), "intent": intent, "results": list(results)})

    def lines(self) -> list[Line]:
        """All lines, oldest first. A torn or foreign line is kept, marked as not intact.

        Raises:
            SealError: the file is there and cannot be read.
        """
        if self.path.exists() and not self.path.is_file():
            raise SealError(f"The ledger {self.path} cannot be read: it is not a file.")  # a device never ends
        try:
            content = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SealError(f"The ledger {self.path} cannot be read: {error.strerror}.") from error
        # Not `splitlines`: a reason may hold U+2028, which JSON leaves as it is and which is no end of line here.
        return [_parse(text) for text in content.split("\n") if text]

    def look_number(self, intent: str) -> int:
        """Which look at its test set an intent is: 1 for the first, more when *other* weights came before.

        Raises:
            SealError: there is no such line.
        """
        numbers = self.look_numbers()
        if intent not in numbers:
            raise SealError(f"{self.path} has no line {intent[:12]}…; the look it stands for cannot be counted.")
        return numbers[intent]

    def look_numbers(self) -> dict[str, int]:
        """The number of every look by the hash of its intent.

        The same weights looked at again are no new look, and neither is a second line about them. What counts is which
        line follows which, not where they stand in the file.
        """
        numbers: dict[str, int] = {}
        before: list[tuple[TestSet, frozenset[str]]] = []
        for line in _after_parents(self.lines()):
            if line.kind != "intent" or line.hash in numbers:
                continue
            mine = _test_set(line), frozenset(candidate["weights"] for candidate in line.content["candidates"])
            before.append(mine)
            seen: list[frozenset[str]] = []
            for test_set, weights in before:
                if test_set.overlaps(mine[0]) and not any(weights <= earlier for earlier in seen):
                    seen.append(weights)
            numbers[line.hash] = len(seen)
        return numbers

    def candidate_count(self, intent: str) -> int:
        """How many models an intent line declares."""
        return max((len(line.content["candidates"]) for line in self.lines() if line.hash == intent), default=1)

    def result_for(self, weights: str, *, tta: str, tta_fraction: float = 1.0, data: str) -> dict[str, Any] | None:
        """The stored result of these weights under this protocol, or None. Repeating it is no new look."""
        lines = self.lines()
        intents = {
            line.hash for line in lines if line.kind == "intent" and line.content["tta"] == tta
            and line.content.get("tta_fraction", tta_fraction) == tta_fraction  # lines of before 0.1 do not say
            and line.content["test_set"]["name"] == data
        }  # fmt: skip
        for line in lines:
            if line.kind == "result" and line.content["intent"] in intents and line.intact:
                for result in line.content["results"]:
                    if result["weights"] == weights:
                        return {**result, "intent": line.content["intent"]}
        return None

    def problems(self) -> list[str]:
        """What does not fit: edited or torn lines, predecessors that are missing or come later. Empty means whole.

        Two lines may follow the same one: each of two machines wrote its own, and they were merged.
        """
        lines = self.lines()
        known = {line.hash for line in lines}
        earlier: set[str | None] = {None}
        found = []
        for number, line in enumerate(lines, start=1):
            before = line.content.get("previous")
            if not line.intact:
                found.append(f"line {number} does not match its own hash: it was edited or torn")
            elif before not in earlier:
                where = "stands after it" if before in known else "is no longer here"
                found.append(f"line {number} follows a line that {where}")
            earlier.add(line.hash)
        return found

    def merge(self, other: Ledger) -> int:
        """Take over the lines of another ledger that are not here yet; returns how many. Order: time, then hash.

        Merging is the union of lines: it commutes, and repeating it changes nothing.
        """
        with self._lock():
            mine = {line.hash: line for line in self.lines()}
            both = mine | {line.hash: line for line in other.lines()}
            if len(both) > len(mine):
                ordered = sorted(both.values(), key=lambda line: (str(line.content.get("time", "")), line.hash))
                write_text(self.path, "".join(_dump(line.content) + "\n" for line in _after_parents(ordered)))
            return len(both) - len(mine)

    def _append(self, content: dict[str, Any]) -> str:
        try:
            with self._lock():
                lines = self.lines()
                content["previous"] = lines[-1].hash if lines else None
                content["hash"] = _digest(content)
                torn = self.path.exists() and not self.path.read_bytes().endswith(b"\n") and self.path.stat().st_size
                append_line(self.path, ("\n" if torn else "") + _dump(content))
        except Exception as error:
            raise SealError(f"The test set stays closed: its ledger {self.path} cannot be written. {error}") from error
        return str(content["hash"])

    def _lock(self) -> FileLock:
        make_folder(self.path.parent)  # forced to disk: a look whose folder a power cut takes is a look unseen
        return FileLock(self.path.with_name(self.path.name + ".lock"), timeout=30)


def _test_set(line: Line) -> TestSet:
    return TestSet(**(line.content["test_set"] | {"sketch": tuple(line.content["test_set"]["sketch"])}))


def _after_parents(lines: Iterable[Line]) -> list[Line]:
    """Stable order in which each line stands after the one it follows, so that clocks set back do no harm."""
    waiting = list(lines)
    missing = {line.hash for line in waiting}  # lines that are still to be placed
    placed = []
    while waiting:
        ready = (at for at, line in enumerate(waiting) if line.content.get("previous") not in missing)
        placed.append(waiting.pop(next(ready, 0)))  # one at a time: the earliest that may come
        missing.discard(placed[-1].hash)
    return placed


def _parse(text: str) -> Line:
    try:
        content = json.loads(text)
        _require_shape(content)
        return Line(content, intact=content["hash"] == _digest(content))
    except (LookupError, TypeError, ValueError, RecursionError):
        return Line({"kind": "unreadable", "text": text, "hash": hashlib.sha256(text.encode()).hexdigest()}, False)


def _require_shape(content: Any) -> None:
    """Raise unless the fields that are read here are there: a ledger may come from another machine, or an editor."""
    texts = [content["hash"], content["time"], "" if content["previous"] is None else content["previous"]]
    if content["kind"] == "intent":
        test_set = content["test_set"]
        texts += [
            content["tta"],
            content["reason"],
            content.get("note", ""),
            test_set["name"],
            test_set["fingerprint"],
            *test_set["sketch"],
        ]
        texts += [candidate[key] for candidate in content["candidates"] for key in ("weights", "recipe")]
        whole = set(test_set) == {"name", "count", "fingerprint", "sketch"} and bool(content["candidates"])
    else:
        texts += [content["intent"], *(result["weights"] for result in content["results"])]
        counts = [(result[hits], result["n"]) for result in content["results"] for hits in ("hits", "hits_tta")]
        whole = content["kind"] == "result" and all(
            type(hits) is type(n) is int and 0 <= hits <= n > 0 for hits, n in counts
        )
    if not whole or not all(isinstance(text, str) for text in texts):
        raise ValueError("not a ledger line")


def _digest(content: dict[str, Any]) -> str:
    line = _dump({key: value for key, value in content.items() if key != "hash"})
    return hashlib.sha256(line.encode(errors="surrogateescape")).hexdigest()  # a reason may be any bytes


def _dump(content: dict[str, Any]) -> str:
    if content.get("kind") == "unreadable":
        return str(content["text"])
    return json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
