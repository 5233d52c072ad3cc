"""Hand a run's rows to trackers: while it trains, or all at once afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from snellen.errors import SnellenError, StorageError, TrackerError
from snellen.runs.run import Row, Run
from snellen.trackers.tracker import TRACKERS, Facts, Outcome, Target, Tracker, facts_of, make, outcome_of, targets


class TrackerCallbacks:
    """Trackers that follow one training. One that fails is said once and left behind; the training goes on.

    As a context they are closed however the training ends. Which they are is written into run.json, for a resume.

    Args:
        run: the run folder.
        followers: what follows it.
        say: told one sentence per tracker, where it lies or why it was left behind.
    """

    def __init__(self, run: Run, followers: Sequence[Target], say: Callable[[str], None]) -> None:
        self._run, self._waiting, self._say = run, tuple(followers), say
        self._trackers: dict[Target, Tracker] = {}
        self._known: dict[Target, int] = {}
        self._at = 0.0

    def __enter__(self) -> TrackerCallbacks:
        if self._waiting:
            self._run.update_info(trackers=[str(target) for target in self._waiting])
        return self

    def __exit__(self, *_: object) -> None:
        """Close every tracker with the outcome that the run folder states."""
        for target, tracker in list(self._trackers.items()):
            self._guarded(target, partial(self._finish, tracker))
        self._trackers.clear()

    def begin(self) -> None:
        """Start every tracker and hand over what the journal holds already: the rows before an interruption."""
        if not self._waiting:
            return
        facts, rows = facts_of(self._run), self._run.journal.rows()
        self._at = facts.started + sum(row.get("seconds", 0.0) for row in rows)
        for target in self._waiting:
            self._guarded(target, partial(self._start, target, facts, rows))

    def row(self, row: Row) -> None:
        """Hand over a row that has just been written to the journal."""
        self._at += row.get("seconds", 0.0)
        for target, tracker in list(self._trackers.items()):
            if row["step"] > self._known[target]:  # else it was handed over before a kill, and is trained again
                self._guarded(target, partial(tracker.row, row, self._at))

    def _start(self, target: Target, facts: Facts, rows: Sequence[Row]) -> None:
        (known,) = targets([str(target)], live=True)
        tracker = make(known)
        self._known[target], _ = _hand_over(tracker, facts, rows)
        self._trackers[target] = tracker
        self._say(f"{target}: {tracker.where()}")

    def _finish(self, tracker: Tracker) -> None:
        tracker.finish(outcome_of(self._run))

    def _guarded(self, target: Target, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception as error:  # whatever another's library raises is no reason to lose a training
            self._trackers.pop(target, None)
            sentence = (
                f"{target} no longer follows {self._run.name}: {_reason(error)} The training goes on without it; its "
                f"rows are in {self._run.folder}. Hand them over later: snellen track {self._run.typed} --to {target}"
            )
            self._say(sentence)
            with suppress(StorageError):  # --json says nothing on the way; the folder remembers
                lost = self._run.info.get("trackers_lost", [])
                self._run.update_info(trackers_lost=[*lost, sentence])


def reattach(run: Run, named: Sequence[Target], say: Callable[[str], None]) -> tuple[Target, ...]:
    """Who follows a run that goes on: whom the command names, and those beside the run that followed it before.

    A run folder may come from anywhere, so a place that only the folder names is neither written to nor sent to.
    """
    remembered = run.info.get("trackers")
    before = []
    for text in remembered if isinstance(remembered, list) else []:
        name, _, place = str(text).partition(":")
        if name not in TRACKERS or any(target.name == name for target in named):
            continue
        if place:
            say(f"{name} followed this run before, at a place of its own. Name it again if it is to go on: --track")
        else:
            before.append(Target(name))
    return (*named, *before)


def send(run: Run, target: Target, tracker: Tracker, outcome: Outcome | None = None) -> int:
    """Hand over a whole run; returns how many rows the tracker did not have yet.

    Args:
        run: with at least one row.
        target: what `tracker` was made from, for messages.
        tracker: not started yet.
        outcome: instead of the one that the folder states.

    Raises:
        TrackerError: the tracker did not take it.
    """
    facts, rows = facts_of(run), run.journal.rows()
    try:
        _, count = _hand_over(tracker, facts, rows)
        tracker.finish(outcome or outcome_of(run))
    except SnellenError:
        raise
    except Exception as error:
        raise TrackerError(f"{target} did not take {run.name}: {_reason(error)}") from error
    return count


def _hand_over(tracker: Tracker, facts: Facts, rows: Iterable[Row]) -> tuple[int, int]:
    """Start a tracker and give it the rows it lacks; returns the last step it knew, and how many rows it was given."""
    known, at, count = tracker.start(facts), facts.started, 0
    for row in rows:
        at += row.get("seconds", 0.0)
        if row["step"] > known:
            tracker.row(row, at)
            count += 1
    return known, count


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
