"""The ledger: the line comes before the look, and nothing that was written can quietly go away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger_looks import LETTERS, edit, letters, look
from snellen.data import ledger as ledger_file
from snellen.data.ledger import Candidate, Ledger, Line, TestSet
from snellen.data.sealed_images import SealedImages
from snellen.errors import SealError


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "runs" / "ledger.jsonl")


def drop(ledger: Ledger, number: int) -> None:
    lines = ledger.path.read_text().splitlines(keepends=True)
    ledger.path.write_text("".join(lines[:number] + lines[number + 1 :]))


# What is written, and when


def test_a_ledger_that_does_not_exist_has_no_lines_and_no_problems(ledger: Ledger) -> None:
    assert (ledger.lines(), ledger.problems()) == ([], [])
    assert not ledger.path.exists()


def test_a_look_is_an_intent_and_a_result_and_both_say_what_they_are_about(ledger: Ledger) -> None:
    intent = look(ledger, "aa", reason="final number")
    first, second = ledger.lines()
    assert (first.kind, first.hash, first.intact) == ("intent", intent, True)
    assert first.content["test_set"]["fingerprint"] == LETTERS.fingerprint
    assert first.content["candidates"] == [
        {"run": "run-aa", "weights": "aa", "recipe": "tiny", "seed": 0, "recipe_sha256": "beef"}
    ]
    assert (first.content["reason"], first.content["tta"], first.content["version"]) == ("final number", "none", "0")
    assert (second.kind, second.content["intent"], second.intact) == ("result", intent, True)
    assert second.content["previous"] == intent
    assert ledger.problems() == []


def test_a_result_is_that_of_these_weights_with_these_views_and_a_line_counts_its_own_candidates(
    ledger: Ledger,
) -> None:
    first, second = look(ledger, "aa"), look(ledger, ["bb", "cc", "dd"])
    candidate = Candidate("r", "cc", "tiny", 0, "beef")
    some = ledger.intend(LETTERS, [candidate], tta="flip", tta_fraction=0.25, reason="", version="0", note="mended")
    ledger.record(some, [{"weights": "cc", "n": 200, "hits": 9, "hits_tta": 10}])
    assert [ledger.candidate_count(intent) for intent in (first, second, some, "unknown")] == [1, 3, 1, 1]
    found = ledger.result_for("cc", tta="none", data="letters")
    assert found == {"weights": "cc", "n": 200, "hits": 190, "hits_tta": 191, "intent": second}
    assert (ledger.result_for("cc", tta="flip", tta_fraction=0.25, data="letters") or {})["hits"] == 9
    assert ledger.result_for("cc", tta="flip", data="letters") is None
    content = ledger.lines()[-2].content
    assert (content["tta_fraction"], content["note"], content["previous"]) == (0.25, "mended", ledger.lines()[-3].hash)


def test_the_intent_is_on_disk_when_the_images_are_handed_out(ledger: Ledger) -> None:
    seen: list[list[str]] = []

    def write_intent(test_set: TestSet) -> None:
        ledger.intend(test_set, [Candidate("r", "aa", "tiny", 0, "beef")], tta="none", reason="why", version="0")
        seen.append([line.kind for line in Ledger(ledger.path).lines()])

    opened = SealedImages(lambda: letters(200), name="letters", count=200, identity="made").open(write_intent)
    assert seen == [["intent"]]
    assert len(opened) == 200


def test_a_crash_after_the_intent_counts_as_a_look(ledger: Ledger) -> None:
    ledger.intend(LETTERS, [Candidate("r", "aa", "tiny", 0, "beef")], tta="none", reason="crash", version="0")
    assert ledger.result_for("aa", tta="none", data="letters") is None
    assert ledger.look_number(look(ledger, "bb")) == 2


def test_a_ledger_that_cannot_be_written_keeps_the_test_set_closed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    opened = []
    sealed = SealedImages(lambda: letters(200), name="letters", count=200, identity="made")
    closed = Ledger(tmp_path / "file" / "ledger.jsonl")
    with pytest.raises(SealError, match="The test set stays closed: its ledger .* cannot be written"):
        opened.append(
            sealed.open(
                lambda test_set: closed.intend(test_set, [], tta="none", reason="", version="") and None  # type: ignore[func-returns-value]
            )
        )
    assert opened == []


def test_a_full_disk_keeps_the_test_set_closed(full_disk: Path) -> None:
    ledger = Ledger(full_disk / "ledger.jsonl")
    first = look(ledger, "aa")
    with pytest.raises(SealError, match="stays closed: .*the disk is full"):
        for number in range(100):
            look(ledger, f"w{number}")
    assert ledger.look_number(first) == 1
    assert all(line.kind != "unreadable" for line in ledger.lines()[:-1])


def test_a_line_that_could_not_be_forced_to_disk_keeps_the_test_set_closed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SealError, match="stays closed"):
        look(ledger, "aa")


@pytest.mark.parametrize(
    "reason", ["two\nlines", "a\u2028b\u2029c\x85d\x0be", 'quotes "\\', "Ω 文", "\x00", "caf\udce9", ""]
)
def test_a_reason_of_any_letters_is_one_line_and_comes_back(ledger: Ledger, reason: str) -> None:
    intent = look(ledger, "aa", reason=reason)
    assert [line.content["reason"] for line in ledger.lines() if line.kind == "intent"] == [reason]
    assert ledger.problems() == []
    assert ledger.look_number(intent) == 1


def test_a_reason_that_cannot_be_written_keeps_the_test_set_closed(ledger: Ledger) -> None:
    with pytest.raises(SealError, match="stays closed"):
        look(ledger, "aa", reason="\ud800")
    assert ledger.lines() == []


# Edits, removals, torn and foreign lines


def test_an_edited_line_is_seen(ledger: Ledger) -> None:
    look(ledger, "aa")
    edit(ledger, 1, '"hits":190', '"hits":199')
    assert ledger.problems() == ["line 2 does not match its own hash: it was edited or torn"]


def test_a_result_that_was_edited_is_not_shown_as_the_stored_answer(ledger: Ledger) -> None:
    look(ledger, "aa")
    edit(ledger, 1, '"hits":190', '"hits":199')
    assert ledger.result_for("aa", tta="none", data="letters") is None


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_removed_line_is_seen_by_the_one_that_followed_it(ledger: Ledger, number: int) -> None:
    look(ledger, "aa")
    look(ledger, "bb")
    drop(ledger, number)
    assert ledger.problems() == [f"line {number + 1} follows a line that is no longer here"]


def test_a_torn_line_is_kept_reported_and_does_not_swallow_the_next_one(ledger: Ledger) -> None:
    first = look(ledger, "aa")
    with ledger.path.open("a") as file:
        file.write('{"kind":"intent","time":"2026')
    second = look(ledger, "bb")
    assert [line.kind for line in ledger.lines()] == ["intent", "result", "unreadable", "intent", "result"]
    assert ledger.problems() == ["line 3 does not match its own hash: it was edited or torn"]
    assert (ledger.look_number(first), ledger.look_number(second)) == (1, 2)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "null",
        "{}",
        '{"kind": "intent"}',
        '{"kind": "result"}',
        '{"kind": "result", "hash": "a", "previous": [], "time": "", "intent": "x", "results": []}',
        '{"kind": "result", "hash": "a", "previous": null, "time": "", "intent": [], "results": []}',
        '{"kind": "result", "hash": "a", "previous": null, "time": "", "intent": "", "results": [{"weights": "aa"}]}',
        '{"kind": "intent", "hash": "a", "previous": null, "time": 3, "candidates": NaN}',
        '{"kind": "intent", "hash": "a", "previous": null, "time": "", "test_set": {}, "candidates": []}',
        "[" * 100_000,
        "9" * 5_000,
        '{"kind": "\\ud800"}',
    ],
)
def test_a_foreign_line_is_reported_and_disturbs_nothing_else(ledger: Ledger, text: str) -> None:
    first = look(ledger, "aa")
    with ledger.path.open("a") as file:
        file.write(text + "\n")
    second = look(ledger, "bb")
    assert ledger.problems() == ["line 3 does not match its own hash: it was edited or torn"]
    assert (ledger.look_number(first), ledger.look_number(second)) == (1, 2)
    assert ledger.result_for("bb", tta="none", data="letters") is not None


_RESULT = {"kind": "result", "intent": "x", "results": []}
_COUNTS = {"weights": "aa", "hits": 1, "hits_tta": 1, "n": 2}


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "intent", "candidates": [{}]},
        _RESULT | {"kind": "other"},
        *(
            _RESULT | {"results": [_COUNTS, _COUNTS | wrong]}
            for wrong in ({"hits": 3}, {"hits": -1}, {"hits_tta": 3}, {"hits": 0.5}, {"n": 0, "hits": 0, "hits_tta": 0})
        ),
    ],
    ids=str,
)
def test_a_foreign_line_with_a_right_hash_is_still_foreign(ledger: Ledger, said: dict[str, Any]) -> None:
    content: dict[str, Any] = {"previous": None, "time": ""} | said
    content["hash"] = ledger_file._digest(content)
    ledger.path.parent.mkdir()
    ledger.path.write_text(json.dumps(content) + "\n")
    assert ledger.problems() == ["line 1 does not match its own hash: it was edited or torn"]
    assert ledger.look_number(look(ledger, "aa")) == 1


def test_bytes_that_are_no_text_are_one_foreign_line(ledger: Ledger) -> None:
    look(ledger, "aa")
    with ledger.path.open("ab") as file:
        file.write(b"\xff\xfe\x00\n")
    assert [line.intact for line in ledger.lines()] == [True, True, False]


@pytest.mark.parametrize("path", ["/", "/dev/zero"])
def test_a_ledger_that_is_no_file_is_a_sentence(path: str) -> None:
    with pytest.raises(SealError, match="cannot be read: it is not a file"):
        Ledger(Path(path)).lines()


def test_an_intent_that_is_not_here_cannot_be_counted(ledger: Ledger) -> None:
    with pytest.raises(SealError, match="cannot be counted"):
        ledger.look_number("0123")


# Several processes

_WRITE = """
import sys
from pathlib import Path
from snellen.data.ledger import Candidate, Ledger, TestSet
ledger = Ledger(Path(sys.argv[1]))
for number in range(25):
    weights = f"{sys.argv[2]}{number}"
    test_set = TestSet("letters", 1, "f", ("0",))
    ledger.intend(test_set, [Candidate("r", weights, "tiny", 0, "beef")], tta="none", reason="", version="0")
"""


@pytest.mark.processes
def test_four_processes_write_a_hundred_lines_and_the_chain_is_whole(ledger: Ledger) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", _WRITE, str(ledger.path), letter]) for letter in "abcd"]
    assert [writer.wait(120) for writer in writers] == [0] * 4
    lines = ledger.lines()
    written = {line.content["candidates"][0]["weights"] for line in lines}
    assert written == {f"{letter}{number}" for letter in "abcd" for number in range(25)}
    assert len(lines) == 100
    assert ledger.problems() == []
    assert [line.content["previous"] for line in lines] == [None, *(line.hash for line in lines[:-1])]


class Slow(Ledger):
    """A ledger that rests between reading its file and writing to it, where another writer could come between."""

    def __init__(self, path: Path, milliseconds: Sequence[int]) -> None:
        super().__init__(path)
        self._rests = iter(milliseconds)

    def lines(self) -> list[Line]:
        found = super().lines()
        time.sleep(next(self._rests, 0) / 1000)
        return found


_WRITER = st.lists(st.tuples(st.sampled_from(["look", "merge"]), st.integers(0, 4)), min_size=1, max_size=2)


@settings(max_examples=15, deadline=None)
@given(st.lists(_WRITER, min_size=2, max_size=3))
def test_however_writers_come_between_each_other_every_line_is_kept_once(
    tmp_path_factory: pytest.TempPathFactory, writers: list[list[tuple[str, int]]]
) -> None:
    folder = tmp_path_factory.mktemp("writers")
    ledger, elsewhere, written = Ledger(folder / "ledger.jsonl"), Ledger(folder / "elsewhere.jsonl"), set()
    look(ledger, "first")
    look(elsewhere, "other")

    def write(name: int, tasks: list[tuple[str, int]]) -> None:
        slow = Slow(ledger.path, [rest for _, rest in tasks for _ in range(2)])
        for number, (task, _) in enumerate(tasks):
            if task == "merge":
                slow.merge(elsewhere)
            else:
                written.add(look(slow, f"{name}-{number}"))

    threads = [threading.Thread(target=write, args=each) for each in enumerate(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tasks = [task for each in writers for task, _ in each]
    hashes = [line.hash for line in ledger.lines()]
    assert len(hashes) == len(set(hashes)) == 2 * (1 + tasks.count("look") + ("merge" in tasks))
    assert written < set(hashes)
    assert ledger.problems() == []
    if "merge" not in tasks:
        assert [line.content["previous"] for line in ledger.lines()] == [None, *hashes[:-1]]
