"""A guard's result: what was found, how that is known, and what to do about it.

A guard looks for one known mistake and says yes, no, or "could not be judged" with the reason; it never stops a
training. The names here are the headings of docs/gotchas.md; your own come by `snellen.register("guard", NAME)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

from snellen import parts
from snellen.errors import SHORT, InvalidSetting, RunError, SnellenError
from snellen.runs.run import Run
from snellen.serialize import to_json

Severity = Literal["error", "warning", "note"]
"""`error`: numbers of this run cannot be believed. `warning`: they may mislead. `note`: know it when you quote them."""

GUARDS: dict[str, str] = {
    "pixel-order": "rows, columns and channels are where they should be",
    "class-balance": "no class is much rarer than another",
    "labels-match-images": "pictures that look alike tend to have the same label",
    "exact-duplicates": "no picture is in train twice under two labels, or in train and val",
    "near-duplicates": "few val pictures have a near-duplicate in train",
    "test-duplicates": "the test pictures have no near-duplicates in train",
    "pixel-statistics": "the images are normalised by the training images' own mean and deviation, or their weights'",
    "small-image-stem": "the network does not shrink small images away",
    "initial-loss": "the untrained network's loss is that of a blind guess",
    "finite-loss": "the loss stayed finite and fell",
    "stuck-at-chance": "val accuracy is above chance",
    "overfit-gap": "train accuracy is at most 5 points above val",
    "class-answers": "every class is answered, and rare classes count too",
    "repeatable-evaluation": "the same image gets the same answer, alone or in a batch",
    "test-once": "the test set was not used for choosing",
}
"""Every guard's name, and what is true where it passes."""


@dataclass(frozen=True)
class GuardResult:
    """What one guard found.

    Attributes:
        name: a key of `GUARDS`, or of somebody's own.
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
        assert re.fullmatch(r"\w[\w-]*", self.name), f"{self.name} is no guard's name"
        assert self.passed is not False or self.remedy, "a failure without a way out helps nobody"


def judged(name: str, passed: bool, evidence: str, remedy: str, severity: Severity = "warning") -> GuardResult:
    """The result of a guard that looked; remedy and severity count where it failed."""
    return GuardResult(name, False, evidence, remedy, severity) if not passed else GuardResult(name, True, evidence)


def unjudged(name: str, reason: str) -> GuardResult:
    """The result of a guard that could not look."""
    return GuardResult(name, None, reason)


def ask_guards(guards: Mapping[str, Callable[[], GuardResult]]) -> tuple[GuardResult, ...]:
    """Ask each guard by name. One that breaks is a result of its own, and does not break the training it watches."""
    results = []
    for name, guard in guards.items():
        try:
            results.append(guard())
        except SnellenError as error:
            results.append(unjudged(name, str(error)))
        except Exception as error:  # hours of training must not end in a guard's own fault; it is shown, not swallowed
            results.append(unjudged(name, f"The guard itself failed: {type(error).__name__}: {error}"))
    return tuple(results)


def own_guards(images: Any, run: Run | None) -> dict[str, Callable[[], GuardResult]]:
    """Somebody's own, for `ask_guards`; called with the parts of the data and the run, None before there is one."""
    return {name: partial(_own, name, images, run) for name in parts.known("guard")}


def _own(name: str, images: Any, run: Run | None) -> GuardResult:
    with parts.one_sentence(f"The guard {name} fails"):
        said = parts.find("guard", name)(images, run)
    found = (*said, "warning")[:4] if isinstance(said, tuple) and len(said) in (3, 4) else (None, None, None, None)
    passed, evidence, remedy, severity = found
    sound = isinstance(evidence, str) and isinstance(remedy, str) and severity in get_args(Severity)
    if not sound or name in GUARDS or (passed is not None and not passed and not remedy):
        got = "nothing (is a return missing?)" if said is None else SHORT.repr(said)
        raise InvalidSetting(
            "A guard has a name of its own and returns (passed, evidence, remedy), or a severity behind these "
            f"({', '.join(get_args(Severity))}); {name} returns {got}."
        )
    return unjudged(name, evidence) if passed is None else judged(name, bool(passed), evidence, remedy, severity)


def summary(results: Sequence[GuardResult]) -> str:
    """One line: "11 guards passed, 1 failed (overfit-gap), 2 could not be judged"."""
    failed = [result.name for result in results if result.passed is False]
    passed = sum(result.passed is True for result in results)
    unknown = sum(result.passed is None for result in results)
    parts = [f"{passed} guards passed" if passed != 1 else "1 guard passed"]
    if failed:
        parts.append(f"{len(failed)} failed ({', '.join(failed)})")
    if unknown:
        parts.append(f"{unknown} could not be judged")
    return ", ".join(parts)


def write_guards(run: Run, results: Sequence[GuardResult], *, processor_seconds: float) -> None:
    """Write `guards.json` into the run folder; `processor_seconds` is what asking took, over all threads."""
    seconds = round(processor_seconds, 4)
    run.write_found(
        "guards.json", {"summary": summary(results), "processor_seconds": seconds, "results": to_json(results)}
    )


def read_guards(run: Run) -> tuple[GuardResult, ...]:
    """What `write_guards` wrote.

    Raises:
        RunError: there is no guards.json, or it holds something else.
    """
    try:
        return tuple(_from_json(entry) for entry in run.read("guards.json")["results"])
    except (KeyError, TypeError, AssertionError) as error:
        raise RunError(
            f"{run.folder / 'guards.json'} holds no results. Make it again: snellen doctor {run.typed}"
        ) from error


def _from_json(entry: dict[str, Any]) -> GuardResult:
    result = GuardResult(**entry)
    texts = (result.name, result.evidence, result.remedy, result.severity)
    known = result.severity in get_args(Severity) and any(result.passed is each for each in (True, False, None))
    if not all(isinstance(text, str) for text in texts) or not known:
        raise TypeError("not a result")
    return result
