"""The test set, through the ledger: what an evaluation on it showed, and how far that may be believed."""

from __future__ import annotations

import os
from collections.abc import Sequence, Set
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snellen.data.dataset import Dataset
from snellen.data.ledger import Candidate, Ledger, TestSet
from snellen.data.run_images import RunImages, images_of_each
from snellen.errors import DataError, RunError, SnellenError, UsageError
from snellen.evaluate.val import predict_run, write_grades
from snellen.guards.copies import find_copies
from snellen.guards.duplicates import duplicates_in_test
from snellen.metrics.classification import accuracy
from snellen.metrics.intervals import Rate, SeedSummary, level_among, mean_over_seeds
from snellen.metrics.scorecard import scorecard
from snellen.models.device import choose_device
from snellen.models.weights import weights_hash
from snellen.paths import user_path
from snellen.predict.predictions import Predictions, stored_predictions
from snellen.recipes.json_form import recipe_hash
from snellen.runs.run import Run
from snellen.serialize import to_json
from snellen.version import VERSION

_TRIED = 50
"""Pictures of val that each model has to answer before the test set is opened."""


@dataclass(frozen=True)
class TestEvaluation:
    """One look at a test set: what was graded, what it showed, and which look it was.

    Attributes:
        runs: the graded runs' names.
        predictions: one per run.
        number: 1 for the first look at this test set, more when other weights were looked at before.
        together: models that were graded in this look, those shown here included.
        problems: what is not whole about the ledger.
        repeated: the same weights had been graded before; the stored answer was shown, nothing was opened.
        ledger: the ledger's file.
        copies: what is to be said of test pictures that are also in train or val.
    """

    __test__ = False  # not a test case, whatever pytest thinks of the name

    runs: tuple[str, ...]
    predictions: tuple[Predictions, ...]
    number: int
    repeated: bool
    ledger: Path
    together: int = 1
    problems: tuple[str, ...] = ()
    copies: str = ""

    @property
    def level(self) -> float:
        """Confidence level of the intervals: 95 % at the first look, more where this number is one of several."""
        return level_among(self.number)

    def summary(self, *, tta: bool) -> SeedSummary:
        """Mean over the runs, plain or with test-time augmentation, with its interval at `level`."""
        judged = [one.with_tta() if tta else one for one in self.predictions]
        return mean_over_seeds([float(one.correct.mean()) for one in judged], level=self.level)

    def sentences(self) -> list[str]:
        """What a reader must know about these numbers."""
        lines = []
        if self.repeated:
            lines.append("These weights were graded before: this is the stored answer, not a new look.")
        if self.copies:
            lines.append(f"Copies: {self.copies}")
        if self.together > len(self.runs):
            lines.append(
                f"One of {self.together} models graded together in this look: quote all of them, not the best."
            )
        if self.problems:
            lines.append(f"The ledger {self.ledger} is not whole ({self.problems[0]}): looks may be missing from it.")
        elif self.number == 1:
            lines.append(f"First look at this test set, as far as {self.ledger} knows.")
        else:
            lines.append(
                f"Look {self.number} at this test set: the number is chosen among {self.number} looks and may be "
                f"optimistic by a few tenths of a point; its interval is widened to {100 * self.level:.4g} %, so that "
                f"the best of {self.number} keeps 95 %. snellen ledger lists the looks."
            )
        return lines

    def grades(self) -> list[str]:
        """One line for the plain accuracy and one with test-time augmentation, each with its widened interval."""
        if len(self.runs) == 1:
            plain, averaged = (one.text(2, self.level) for one in self._rates(0))
            images = ""
        else:
            plain, averaged = (str(self.summary(tta=tta)) for tta in (False, True))
            images = f", {len(self.predictions[0])} images each"
        lines = [f"test     {plain}{images}, plain, one view per image"]
        if self.predictions[0].tta_logits is not None:
            lines.append(f"         {averaged} with test-time augmentation: {self.predictions[0].tta}")
        return lines

    def _rates(self, run: int) -> tuple[Rate, Rate]:
        answers = self.predictions[run]
        return accuracy(answers), accuracy(answers.with_tta())

    def to_json(self) -> dict[str, Any]:
        """Grades per run and over runs, with the look's number."""
        cards = [to_json(scorecard(one)) for one in self.predictions]
        for run, card in enumerate(cards):
            for view, rate in zip(("plain", "with_tta"), self._rates(run), strict=True):
                if card[view] is not None:
                    card[view]["accuracy"] |= dict(zip(("low", "high"), rate.interval(self.level), strict=True))
        return {
            "split": "test",
            "look": self.number,
            "interval_level": self.level,
            "repeated": self.repeated,
            "graded_together": self.together,
            "ledger_problems": list(self.problems),
            "copies": self.copies,
            "ledger": str(self.ledger),
            "runs": [{"run": run, **card} for run, card in zip(self.runs, cards, strict=True)],
            "mean": to_json(self.summary(tta=False)),
            "mean_tta": to_json(self.summary(tta=True)),
        }


def ledger_of(run: Run, path: Path | None = None) -> Ledger:
    """The ledger to use: the one named, else $SNELLEN_LEDGER, else `ledger.jsonl` beside the run folders.

    The runs of a ladder lie one folder deeper; they share the ledger of all the others.
    """
    named = path or (user_path(os.environ["SNELLEN_LEDGER"]) if os.environ.get("SNELLEN_LEDGER") else None)
    beside = run.folder.resolve().parent
    return Ledger(named or (beside.parent if (beside / "ladder.json").exists() else beside) / "ledger.jsonl")


def evaluate_on_test(
    runs: Sequence[Run],
    ledger: Ledger,
    *,
    reason: str,
    data: Path | Dataset | None = None,
    device: str = "auto",
    comparison: bool = False,
) -> TestEvaluation:
    """Open the test set for these runs, on the record, and grade them. Several runs are one look.

    Runs of several recipes are one look only as a declared comparison: the intent names every one of them before
    anything is seen, and all of them are reported, so that none can be the best of a hidden many.

    The intent is in the ledger before a picture is handed out. Weights that were graded before are answered from
    their run folder, without opening anything.

    Raises:
        DataError: the data are not the runs' own, or more than 1 % of the test pictures are copies of others.
        UsageError: the runs are not seeds of one recipe on one data set, or, in a comparison, not graded alike.
        RunError: a run is not finished; its weights are not yet those that were chosen. Or its folder is in use.
        StorageError: a run folder cannot be written; nothing was opened.
        SealError: the ledger cannot be written; nothing was opened.
    """
    for run in runs:
        run.require_finished()
    choose_device(device)  # one that is not here is refused before anything is recorded, or shown as recorded
    _require_one_family(runs, comparison=comparison)
    candidates = [_candidate(run) for run in runs]
    name = runs[0].info["data"]["name"]
    stored = [_stored(run, ledger, candidate, name) for run, candidate in zip(runs, candidates, strict=True)]
    known = [entry for entry in stored if entry is not None]
    if len(known) == len(runs):
        if data is not None:
            images_of_each(runs, data)  # they are the run's own, or refused; nothing is opened
        predictions = [before for _, before in known]
        for run, before in zip(runs, predictions, strict=True):
            _complete(run, before)
        return _evaluation(runs, predictions, ledger, {intent for intent, _ in known}, repeated=True)

    with ExitStack() as held:  # where the predictions have no place, the test set is not opened
        for folder in dict.fromkeys(run.folder.resolve() for run in runs):
            held.enter_context(Run(folder).locked())
        intent, predictions, copies = _open_and_predict(
            runs, candidates, ledger, reason=reason, data=data, device=device
        )
    return _evaluation(runs, predictions, ledger, {intent}, repeated=False, copies=copies)


def _complete(run: Run, predictions: Predictions) -> None:
    """Write what a kill kept from being written beside the predictions; where that is impossible they are shown."""
    if not (run.folder / "confidence_test.json").exists():  # the last that `write_grades` writes
        with suppress(SnellenError), run.locked():
            write_grades(predictions, run.folder)


def _open_and_predict(
    runs: Sequence[Run],
    candidates: Sequence[Candidate],
    ledger: Ledger,
    *,
    reason: str,
    data: Path | Dataset | None,
    device: str,
) -> tuple[str, list[Predictions], str]:
    """Write the intent, open the test set, answer, record; returns the intent's hash, the predictions, and copies."""
    recipe = runs[0].recipe
    images = images_of_each(runs, data)
    test = images[0].test
    if test is None:
        own = images[0].dataset.loading
        way_out = " Train again with --test-fraction 0.1, or add a test folder." if "side" in own else ""
        raise UsageError(f"{images[0].dataset.name} has no test set of its own.{way_out}")
    copies = _copies_in_test(images[0])
    for run, each in zip(runs, images, strict=True):  # weights that answer nothing should cost no look
        known = each.val or each.train
        few = known.take(np.arange(min(_TRIED, len(known)), dtype=np.int64), known.role)
        predict_run(run, few, device=device, tta=recipe.tta)
    intents: list[str] = []

    def write_intent(test_set: TestSet) -> None:
        protocol: dict[str, Any] = {"tta": recipe.tta, "tta_fraction": recipe.tta_fraction}
        intents.append(ledger.intend(test_set, candidates, **protocol, reason=reason, version=VERSION, note=test.note))

    opened = test.open(write_intent)
    predictions = [predict_run(run, opened, device=device, tta=recipe.tta) for run in runs]
    ledger.record(intents[0], [_result(c, a) for c, a in zip(candidates, predictions, strict=True)])
    for run, own_predictions in zip(runs, predictions, strict=True):
        # After the result line: a predictions_test.npz never exists without one.
        write_grades(own_predictions, run.folder)
    return intents[0], predictions, copies


def _copies_in_test(images: RunImages) -> str:
    """What to say of test pictures that are also in train or val; empty where none was found.

    Raises:
        DataError: they are so many that the grade would be of what was learned by heart.
    """
    found = duplicates_in_test(find_copies(images.train, images.val, images.test, near=False))
    if found.passed is not False:
        return ""
    if found.severity == "error":
        raise DataError(f"The test set stays closed: {found.evidence} {found.remedy}")
    return found.evidence


def _evaluation(
    runs: Sequence[Run],
    predictions: Sequence[Predictions],
    ledger: Ledger,
    intents: Set[str],
    *,
    repeated: bool,
    copies: str = "",
) -> TestEvaluation:
    return TestEvaluation(
        runs=tuple(run.name for run in runs),
        predictions=tuple(predictions),
        number=max(ledger.look_number(intent) for intent in intents),
        repeated=repeated,
        ledger=ledger.path,
        together=max(ledger.candidate_count(intent) for intent in intents),
        problems=tuple(ledger.problems()),
        copies=copies,
    )


def _require_one_family(runs: Sequence[Run], *, comparison: bool) -> None:
    recipes = {run.recipe.replace(expect=None, note="") for run in runs}
    one_data_set = len({run.info["data"]["name"] for run in runs}) == 1
    training = [(run.info["final"], run.info["precision"], run.info["data"]["train"]["fingerprint"]) for run in runs]
    if not comparison and one_data_set and len(set(training)) > 1:
        raise UsageError(
            "These runs were not trained alike: --final, the precision or the training images differ. Their mean would "
            "be that of no recipe; grade them one by one."
        )
    if comparison and one_data_set and len({(recipe.tta, recipe.tta_fraction) for recipe in recipes}) == 1:
        return  # recipe and seed of every candidate stand in the intent
    if len(recipes) > 1 or not one_data_set:
        names = ", ".join(sorted({run.recipe.name for run in runs}))
        raise UsageError(
            f"One look grades one recipe, over seeds; these runs differ ({names}). "
            "Choose on val, then grade the choice."
        )
    seeds = [run.info["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"These runs repeat a seed ({seeds}): the same run counted twice is no evidence.")


def _candidate(run: Run) -> Candidate:
    return Candidate(run.name, weights_hash(run), run.recipe.name, run.info["seed"], recipe_hash(run.recipe))


def _stored(run: Run, ledger: Ledger, candidate: Candidate, data: str) -> tuple[str, Predictions] | None:
    """The intent of an earlier look at these weights and the predictions it left in the run folder."""
    line = ledger.result_for(candidate.weights, tta=run.recipe.tta, tta_fraction=run.recipe.tta_fraction, data=data)
    predictions = None if line is None else stored_predictions(run, "test")
    if line is None or predictions is None:
        return None
    found = _result(candidate, predictions)
    if any(found[key] != line.get(key, found[key]) for key in ("n", "hits", "hits_tta")):
        raise RunError(
            f"{run.folder / 'predictions_test.npz'} has {found['hits']} of {found['n']} right, where the ledger "
            f"recorded {line['hits']} of {line['n']} for these weights: the file was changed. Move it away and ask "
            "again; that is no new look."
        )
    return line["intent"], predictions


def _result(candidate: Candidate, predictions: Predictions) -> dict[str, Any]:
    averaged = predictions.with_tta()
    return {
        "run": candidate.run,
        "weights": candidate.weights,
        "n": len(predictions),
        "hits": int(predictions.correct.sum()),
        "hits_tta": int(averaged.correct.sum()),
    }
