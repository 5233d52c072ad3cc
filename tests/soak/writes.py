"""The writes that a user would miss: how each begins, what makes it, and what may be there afterwards."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.soak.training import PLAIN, RUN, attempt, content, differences, go_on, unreadable

from snellen.data import catalog
from snellen.data.ledger import Candidate, Ledger, TestSet
from snellen.evaluate.test_set import evaluate_on_test, ledger_of
from snellen.runs.run import Journal, Run, create_run, open_run
from snellen.serialize import to_json
from snellen.train import fit as fit_file
from snellen.train.checkpoint import save_checkpoint
from snellen.train.fit import resume
from snellen.train.setup import prepare
from snellen.train.training import Training

State = dict[str, bytes]
"""Every file of a place but locks, by its path."""


@dataclass(frozen=True)
class Write:
    """One write.

    Attributes:
        name: for people.
        beginning: folder that is copied to where the write is made.
        prepare: in that folder, what need not be disturbed; returns what makes the write.
        check: sentences on what is amiss afterwards; given the place, what was there before, and whether the write
            failed with an error, after which no temporary file may be left.
    """

    name: str
    beginning: Path
    prepare: Callable[[], Callable[[], object]]
    check: Callable[[Path, State, bool], list[str]]

    @staticmethod
    def state(place: Path) -> State:
        """What is there."""
        return {
            str(path.relative_to(place)): path.read_bytes()
            for path in sorted(place.rglob("*"))
            if path.is_file() and not path.name.endswith(".lock")
        }


def writes(scratch: Path) -> Iterator[Write]:
    """All of them; what they begin with is made in `scratch`."""
    empty = scratch / "empty"
    empty.mkdir()
    yield Write("making a run folder", empty, lambda: _make_run, _check_made)

    whole, trained = scratch / "whole", scratch / "trained"
    assert attempt(lambda: go_on(whole, PLAIN), scratch / "log").code == 0
    assert attempt(lambda: _train_only(trained), scratch / "log").code == _TRAINED
    judged = scratch / "judged"
    shutil.copytree(whole, judged)
    for path in [*(judged / RUN).glob("*_test*"), judged / "runs" / "ledger.jsonl"]:
        path.unlink()

    yield _old_or_new("saving a checkpoint", trained, _prepare_save, scratch)
    yield _old_or_new("writing a row of the journal", trained, lambda: _append_row, scratch)
    yield _old_or_new("first line of a ledger", empty, lambda: _write_ledger, scratch)
    yield _old_or_new("further line of a ledger", whole, lambda: _write_ledger, scratch)
    expected = content(whole)
    yield Write("curves, grades and guards", trained, _prepare_resume, _check_going_on(expected, scratch / "log"))
    yield Write("the look at test", judged, lambda: _look, _check_going_on(expected, scratch / "log"))


# What makes them


def _make_run() -> None:
    dataset = catalog.load("eyechart")
    setup = prepare(PLAIN, dataset, seed=0, device="cpu", precision="fp32")
    create_run(RUN.parent, RUN.name, PLAIN, {**setup.describe(), "status": "created"}, {"python": "3"})


_TRAINED = 9


def _train_only(place: Path) -> int:
    fit_file._grade = lambda *_: os._exit(_TRAINED)
    return go_on(place, PLAIN)


def _prepare_save() -> Callable[[], object]:
    training = Training(prepare(PLAIN, catalog.load("eyechart"), seed=1, device="cpu", precision="fp32"), steps=40)
    return lambda: save_checkpoint(training, RUN / "resume" / "state.safetensors")


def _append_row() -> None:
    Journal(RUN).append({"epoch": 6, "step": 48, "train/loss": 0.25})


def _write_ledger() -> None:
    candidate = Candidate("run", "beef", "plain", 0, "beef")
    ledger = Ledger(RUN.parent / "ledger.jsonl")
    ledger.intend(TestSet("letters", 1, "f", ("0",)), [candidate], tta="none", reason="why", version="0")


def _prepare_resume() -> Callable[[], object]:
    run, dataset = open_run(RUN), catalog.load("eyechart")
    return lambda: resume(run, dataset)


def _look() -> None:
    run = open_run(RUN)
    evaluate_on_test([run], ledger_of(run), reason="soak")


# What may be there afterwards


def _old_or_new(name: str, beginning: Path, prepare: Callable[[], Callable[[], object]], scratch: Path) -> Write:
    """A write of which every file is as it was before, or as it is after an undisturbed one."""
    place = scratch / "undisturbed"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(beginning, place)

    def act() -> int:
        os.chdir(place)
        prepare()()
        return 0

    assert attempt(act, scratch / "log").code == 0, (scratch / "log").read_text()
    after = {path: _timeless(path, there) for path, there in Write.state(place).items()}

    def check(place: Path, before: State, failed: bool) -> list[str]:
        found = [] if failed else _clear(place)
        for path, there in Write.state(place).items():
            if _timeless(path, there) not in (_timeless(path, before.get(path)), after.get(path)):
                found.append(f"{path} is neither the old one nor the new one")
        lost = before.keys() - Write.state(place).keys()
        return [*found, *(f"{path} is gone" for path in lost), *unreadable(place)]

    return Write(name, beginning, prepare, check)


def _clear(place: Path) -> list[str]:
    """Open the run folder for writing, as a resume does; what a kill left half-written must be gone."""
    if (place / RUN).exists():
        with Run(place / RUN).locked():
            pass
    return []


def _timeless(path: str, there: bytes | None) -> Any:
    """A ledger's lines, of which an empty file has none, without times, and hashes, which follow from them."""
    if not path.endswith("ledger.jsonl"):
        return there
    lines = [json.loads(line) for line in (there or b"").decode().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("time", "hash", "previous")} for line in lines]


def _check_made(place: Path, before: State, failed: bool) -> list[str]:
    there = (place / RUN).exists()
    found = unreadable(place)
    if failed:
        found += [f"{path} is left" for path in Write.state(place)] if not there else []
    second = create_run(place / RUN.parent, RUN.name, PLAIN, {}, {})
    if second.name != (f"{RUN.name}-2" if there else RUN.name):
        found.append(f"the name is taken by nothing: {second.name}")
    if there and Run(place / RUN).read("recipe.json") != to_json(PLAIN):
        found.append("the recipe is another one")
    return [*found, *(f"{path} is left" for path in place.rglob("*.new"))]


def _check_going_on(expected: dict[str, str], log: Path) -> Callable[[Path, State, bool], list[str]]:
    """Readable at once, and after the same commands equal to the undisturbed run in every file."""

    def check(place: Path, before: State, failed: bool) -> list[str]:
        found = unreadable(place)
        if failed:
            found += [f"{path} is left" for path in Write.state(place) if path.endswith(".tmp")]
        ended = attempt(lambda: go_on(place, PLAIN), log)
        if ended.code != 0:
            return [*found, f"it does not go on: {log.read_text()[-1000:]}"]
        return [*found, *(f"{name} differs" for name in differences(expected, content(place)))]

    return check
