"""A guard's verdict: what was found, how that is known, and what to do about it.

A guard looks for one known mistake and says yes, no, or "could not be judged" with the reason; it never stops a
training. The names here are the headings of docs/gotchas.md and what `snellen doctor --show NAME` takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from snellen.errors import RunError, SnellenError
from snellen.runs.run import Run

Severity = Literal["error", "warning", "note"]
"""`error`: numbers of this run cannot be believed. `warning`: they may mislead. `note`: know it when you quote them."""

GUARDS: dict[str, str] = {
    "pixel-order": "rows, columns and channels are where they should be",
    "class-balance": "no class is much rarer than another",
    "labels-match-images": "pictures that look alike tend to have the same label",
    "exact-duplicates": "no picture is in train twice under two labels, or in train and val",
    "near-duplicates": "few val pictures have a near-copy in train",
    "test-twins": "the test pictures have no near-copies in train",
    "pixel-statistics": "the images are normalised by the training images' own mean and deviation",
    "small-image-stem": "the network does not shrink small images away",
    "blind-start": "the untrained network's loss is that of a blind guess",
    "finite-loss": "the loss stayed finite and fell",
    "stuck-at-chance": "val accuracy is above chance",
    "overfit-gap": "train accuracy is at most 5 points above val",
    "class-answers": "every class is answered, and rare classes count too",
    "repeatable-evaluation": "the same image gets the same answer, alone or in a batch",
    "test-once": "the test set was not used for choosing",
}
"""Every guard's name, and what is true where it passes."""


@dataclass(frozen=True)
class Verdict:
    """What one guard found.

    Attributes:
        name: a key of `GUARDS`.
        passed: True or False; None where it could not be judged, and `evidence` says why.
        evidence: the figures it rests on.
        remedy: what to do, with the exact flag; empty where there is nothing to do.
        severity: what a failure means; of no meaning where it passed.
    """

    name: str
    passed: bool | None
    evidence: str
    remedy: str = ""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        assert self.name in GUARDS, f"{self.name} is not in GUARDS"
        assert self.passed is not False or self.remedy, "a failure without a way out helps nobody"

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return dataclasses.asdict(self)


def unjudged(name: str, reason: str) -> Verdict:
    """The verdict of a guard that could not look."""
    return Verdict(name, None, reason)


def judge(guards: dict[str, Callable[[], Verdict]]) -> tuple[Verdict, ...]:
    """Ask each guard by name. One that breaks is a verdict of its own, and does not break the training it watches."""
    return tuple(_ask(name, guard) for name, guard in guards.items())


def _ask(name: str, guard: Callable[[], Verdict]) -> Verdict:
    try:
        return guard()
    except SnellenError as error:
        return unjudged(name, str(error))
    except Exception as error:  # hours of training must not end in a guard's own fault; it is shown, not swallowed
        return unjudged(name, f"The guard itself failed: {type(error).__name__}: {error}")


def summary(verdicts: Sequence[Verdict]) -> str:
    """One line: "11 guards passed, 1 failed (overfit-gap), 2 could not be judged"."""
    failed = [verdict.name for verdict in verdicts if verdict.passed is False]
    passed = sum(verdict.passed is True for verdict in verdicts)
    unknown = sum(verdict.passed is None for verdict in verdicts)
    parts = [f"{passed} guards passed" if passed != 1 else "1 guard passed"]
    if failed:
        parts.append(f"{len(failed)} failed ({', '.join(failed)})")
    if unknown:
        parts.append(f"{unknown} could not be judged")
    return ", ".join(parts)


def write_verdicts(run: Run, verdicts: Sequence[Verdict], *, processor_seconds: float) -> None:
    """Write `guards.json` into the run folder, in one rename.

    Args:
        run: that was judged.
        verdicts: on it.
        processor_seconds: what asking them took, over all threads.
    """
    run.write(
        "guards.json",
        {
            "summary": summary(verdicts),
            "processor_seconds": round(processor_seconds, 4),
            "verdicts": [verdict.to_json() for verdict in verdicts],
        },
    )


def read_verdicts(run: Run) -> tuple[Verdict, ...]:
    """What `write_verdicts` wrote.

    Raises:
        RunError: there is no guards.json, or it holds something else.
    """
    try:
        return tuple(_from_json(entry) for entry in run.read("guards.json")["verdicts"])
    except (KeyError, TypeError, AssertionError) as error:
        raise RunError(
            f"{run.folder / 'guards.json'} holds no verdicts. Make it again: snellen doctor {run.typed}"
        ) from error


def _from_json(entry: dict[str, Any]) -> Verdict:
    verdict = Verdict(**entry)
    texts = (verdict.name, verdict.evidence, verdict.remedy, verdict.severity)
    known = verdict.severity in get_args(Severity) and any(verdict.passed is each for each in (True, False, None))
    if not all(isinstance(text, str) for text in texts) or not known:
        raise TypeError("not a verdict")
    return verdict
