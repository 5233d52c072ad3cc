"""Grading a finished run: val as often as wanted, test through the ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import snellen
from snellen.data.catalog import load
from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Candidate, Ledger, TestSet
from snellen.data.splits import split
from snellen.errors import RunError, UsageError
from snellen.evaluate.grade import write_grades
from snellen.evaluate.intervals import Rate, SeedSummary, level_among, mean_over_seeds
from snellen.evaluate.metrics import accuracy
from snellen.evaluate.predict import predict
from snellen.evaluate.predictions import Predictions
from snellen.evaluate.scorecard import scorecard
from snellen.models.device import choose_device
from snellen.models.restore import restore, weights_hash
from snellen.recipes.json_form import recipe_hash
from snellen.recipes.recipe import TTA
from snellen.runs.run import Run


@dataclass(frozen=True)
class Look:
    """One look at a test set: what was graded, what it showed, and which look it was.

    Attributes:
        runs: the graded runs' names.
        predictions: one per run.
        number: 1 for the first look at this test set, more when other weights were looked at before.
        together: models that were graded in this look, those shown here included.
        problems: what is not whole about the ledger.
        repeated: the same weights had been graded before; the stored answer was shown, nothing was opened.
        ledger: the ledger's file.
    """

    runs: tuple[str, ...]
    predictions: tuple[Predictions, ...]
    number: int
    repeated: bool
    ledger: Path
    together: int = 1
    problems: tuple[str, ...] = ()

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
        cards = [scorecard(one).to_json() for one in self.predictions]
        for run, card in enumerate(cards):
            for view, rate in zip(("plain", "with_tta"), self._rates(run), strict=True):
                if card[view] is not None:
                    card[view]["accuracy"] = rate.to_json(self.level)
        return {
            "split": "test",
            "look": self.number,
            "interval_level": self.level,
            "repeated": self.repeated,
            "graded_together": self.together,
            "ledger_problems": list(self.problems),
            "ledger": str(self.ledger),
            "runs": [{"run": run, **card} for run, card in zip(self.runs, cards, strict=True)],
            "mean": self.summary(tta=False).to_json(),
            "mean_tta": self.summary(tta=True).to_json(),
        }


def ledger_of(run: Run, path: Path | None = None) -> Ledger:
    """The ledger to use: the one named, else $SNELLEN_LEDGER, else `ledger.jsonl` beside the run folders.

    The runs of a ladder lie one folder deeper; they share the ledger of all the others.
    """
    named = path or (Path(os.environ["SNELLEN_LEDGER"]) if os.environ.get("SNELLEN_LEDGER") else None)
    beside = run.folder.resolve().parent
    return Ledger(named or (beside.parent if (beside / "ladder.json").exists() else beside) / "ledger.jsonl")


def judge_on_val(run: Run, *, data: Path | None = None, device: str = "auto", tta: TTA | None = None) -> Predictions:
    """The run's answers on its val images: the stored ones, or new ones where other views are asked for.

    Raises:
        RunError: the run kept no val split, or has no weights.
    """
    if run.info["final"]:
        raise RunError(f"{run.folder} was trained with --final on train + val; no val images are left to judge it by.")
    stored = run.folder / "predictions_val.npz"
    if stored.exists() and tta in (None, run.recipe.tta):
        return Predictions.load(stored)
    val = split(load(run.info["data"]["name"], data=data_folder(run, data))).val
    assert val is not None
    return _answers(run, val, device=device, tta=tta or run.recipe.tta)


def judge_on_test(
    runs: Sequence[Run],
    ledger: Ledger,
    *,
    reason: str,
    data: Path | None = None,
    device: str = "auto",
    comparison: bool = False,
) -> Look:
    """Open the test set for these runs, on the record, and grade them. Several runs are one look.

    Runs of several recipes are one look only as a declared comparison: the intent names every one of them before
    anything is seen, and all of them are reported, so that none can be the best of a hidden many.

    The intent is in the ledger before a picture is handed out. Weights that were graded before are answered from
    their run folder, without opening anything.

    Raises:
        UsageError: the runs are not seeds of one recipe on one data set, or, in a comparison, not graded alike.
        RunError: a run is not finished; its weights are not yet those that were chosen.
        SealError: the ledger cannot be written; nothing was opened.
    """
    _require_finished(runs)
    _require_one_family(runs, comparison=comparison)
    candidates = [_candidate(run) for run in runs]
    name, tta = runs[0].info["data"]["name"], runs[0].recipe.tta
    stored = [_stored(run, ledger, candidate, name) for run, candidate in zip(runs, candidates, strict=True)]
    known = [entry for entry in stored if entry is not None]
    if len(known) == len(runs):
        answers = [predictions for _, predictions in known]
        return _look(runs, answers, ledger, [intent for intent, _ in known], repeated=True)

    sealed = load(name, data=data_folder(runs[0], data)).test
    if sealed is None:
        raise UsageError(f"{name} has no test set of its own.")
    intents: list[str] = []

    def write_intent(test_set: TestSet) -> None:
        version = snellen.__version__
        intents.append(
            ledger.intend(
                test_set,
                candidates,
                tta=tta,
                tta_unsure=runs[0].recipe.tta_unsure,
                reason=reason,
                version=version,
            )
        )

    images = sealed.open(write_intent)
    answers = [_answers(run, images, device=device, tta=tta) for run in runs]
    ledger.record(intents[0], [_result(c, a) for c, a in zip(candidates, answers, strict=True)])
    for run, predictions in zip(runs, answers, strict=True):
        # After the result line: a predictions_test.npz never exists without one.
        write_grades(predictions, run.folder)
    return _look(runs, answers, ledger, intents, repeated=False)


def _look(
    runs: Sequence[Run], answers: Sequence[Predictions], ledger: Ledger, intents: Sequence[str], *, repeated: bool
) -> Look:
    return Look(
        runs=tuple(run.name for run in runs),
        predictions=tuple(answers),
        number=max(ledger.look_number(intent) for intent in intents),
        repeated=repeated,
        ledger=ledger.path,
        together=max(ledger.candidate_count(intent) for intent in intents),
        problems=tuple(ledger.problems()),
    )


def _require_finished(runs: Sequence[Run]) -> None:
    for run in runs:
        if run.info["status"] != "finished":
            raise RunError(f"{run.folder} is not finished: snellen train --resume {run.folder}. Then it is graded.")


def _require_one_family(runs: Sequence[Run], *, comparison: bool) -> None:
    recipes = {run.recipe.replace(expect=None, note="") for run in runs}
    one_data_set = len({run.info["data"]["name"] for run in runs}) == 1
    trained_alike = {(run.info["final"], run.info["precision"], _trained_on(run)) for run in runs}
    if not comparison and one_data_set and len(trained_alike) > 1:
        raise UsageError(
            "These runs were not trained alike: --final, the precision or the training images differ. Their mean would "
            "be that of no recipe; grade them one by one."
        )
    if comparison and one_data_set and len({recipe.tta for recipe in recipes}) == 1:
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


def _trained_on(run: Run) -> str:
    return str(run.info["data"]["train"]["fingerprint"])


def data_folder(run: Run, given: Path | None) -> Path | None:
    """Where a run's data are: the folder given, else the one it was trained from, else None for the usual places."""
    source = Path(run.info["data"]["source"])
    return given or (source if source.is_dir() else None)


def _candidate(run: Run) -> Candidate:
    return Candidate(run.name, weights_hash(run), run.recipe.name, run.info["seed"], recipe_hash(run.recipe))


def _stored(run: Run, ledger: Ledger, candidate: Candidate, data: str) -> tuple[str, Predictions] | None:
    """The intent of an earlier look at these weights and the answers it left in the run folder."""
    line = ledger.result_for(candidate.weights, tta=run.recipe.tta, tta_unsure=run.recipe.tta_unsure, data=data)
    path = run.folder / "predictions_test.npz"
    if line is None or not path.exists():
        return None
    answers = Predictions.load(path)
    found = _result(candidate, answers)
    if any(found[key] != line.get(key, found[key]) for key in ("n", "hits", "hits_tta")):
        raise RunError(
            f"{path} has {found['hits']} of {found['n']} right, where the ledger recorded {line.get('hits')} of "
            f"{line['n']} for these weights: the file was changed. Move it away and ask again; that is no new look."
        )
    return line["intent"], answers


def _answers(run: Run, images: LabeledImages, *, device: str, tta: TTA) -> Predictions:
    return predict(
        restore(run, choose_device(device)),
        images,
        tta=tta,
        tta_unsure=run.recipe.tta_unsure if tta == run.recipe.tta else 1.0,
        bf16=run.info["precision"] == "bf16",
    )


def _result(candidate: Candidate, predictions: Predictions) -> dict[str, Any]:
    averaged = predictions.with_tta()
    return {
        "run": candidate.run,
        "weights": candidate.weights,
        "n": len(predictions),
        "hits": int(predictions.correct.sum()),
        "hits_tta": int(averaged.correct.sum()),
    }
