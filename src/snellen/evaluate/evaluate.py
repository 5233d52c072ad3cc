"""Grading a finished run: val as often as wanted, test through the ledger."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from snellen.data.catalog import load_again
from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Candidate, Ledger, TestSet
from snellen.data.splits import split
from snellen.errors import DataError, RunError, SnellenError, UsageError
from snellen.evaluate.grade import write_grades
from snellen.evaluate.test_evaluation import TestEvaluation
from snellen.models.device import choose_device
from snellen.models.restore import restore, weights_hash
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.json_form import recipe_hash
from snellen.recipes.recipe import TTA
from snellen.runs.run import Run
from snellen.version import VERSION


def ledger_of(run: Run, path: Path | None = None) -> Ledger:
    """The ledger to use: the one named, else $SNELLEN_LEDGER, else `ledger.jsonl` beside the run folders.

    The runs of a ladder lie one folder deeper; they share the ledger of all the others.
    """
    named = path or (Path(os.environ["SNELLEN_LEDGER"]) if os.environ.get("SNELLEN_LEDGER") else None)
    beside = run.folder.resolve().parent
    return Ledger(named or (beside.parent if (beside / "ladder.json").exists() else beside) / "ledger.jsonl")


def evaluate_on_val(run: Run, *, data: Path | None = None, device: str = "auto", tta: TTA | None = None) -> Predictions:
    """The run's answers on its val images: the stored ones, or new ones where other views are asked for.

    Raises:
        RunError: the run kept no val split, or has no weights.
    """
    if run.info["final"]:
        raise RunError(f"{run.folder} was trained with --final on train + val; no val images are left to judge it by.")
    stored = run.folder / "predictions_val.npz"
    if stored.exists() and tta in (None, run.recipe.tta):
        return Predictions.load(stored)
    val = split(load_again(run.info["data"], data=data)).val
    assert val is not None
    _require_same(run, val)
    return _answers(run, val, device=device, tta=tta or run.recipe.tta)


def evaluate_on_test(
    runs: Sequence[Run],
    ledger: Ledger,
    *,
    reason: str,
    data: Path | None = None,
    device: str = "auto",
    comparison: bool = False,
) -> TestEvaluation:
    """Open the test set for these runs, on the record, and grade them. Several runs are one look.

    Runs of several recipes are one look only as a declared comparison: the intent names every one of them before
    anything is seen, and all of them are reported, so that none can be the best of a hidden many.

    The intent is in the ledger before a picture is handed out. Weights that were graded before are answered from
    their run folder, without opening anything.

    Raises:
        UsageError: the runs are not seeds of one recipe on one data set, or, in a comparison, not graded alike.
        RunError: a run is not finished; its weights are not yet those that were chosen. Or its folder is in use.
        StorageError: a run folder cannot be written; nothing was opened.
        SealError: the ledger cannot be written; nothing was opened.
    """
    _require_finished(runs)
    _require_one_family(runs, comparison=comparison)
    candidates = [_candidate(run) for run in runs]
    name = runs[0].info["data"]["name"]
    stored = [_stored(run, ledger, candidate, name) for run, candidate in zip(runs, candidates, strict=True)]
    known = [entry for entry in stored if entry is not None]
    if len(known) == len(runs):
        answers = [predictions for _, predictions in known]
        for run, predictions in zip(runs, answers, strict=True):
            _complete(run, predictions)
        return _look(runs, answers, ledger, [intent for intent, _ in known], repeated=True)

    with ExitStack() as held:  # where the answers have no place, the test set is not opened
        for folder in dict.fromkeys(run.folder.resolve() for run in runs):
            held.enter_context(Run(folder).locked())
        intent, answers = _open_and_answer(runs, candidates, ledger, reason=reason, data=data, device=device)
    return _look(runs, answers, ledger, [intent], repeated=False)


def _complete(run: Run, predictions: Predictions) -> None:
    """Write what a kill kept from being written beside the answers; they are shown also where that is impossible."""
    if not (run.folder / "reliability_test.png").exists():  # the last that `write_grades` writes
        with suppress(SnellenError), run.locked():
            write_grades(predictions, run.folder)


def _open_and_answer(
    runs: Sequence[Run], candidates: Sequence[Candidate], ledger: Ledger, *, reason: str, data: Path | None, device: str
) -> tuple[str, list[Predictions]]:
    """Write the intent, open the test set, answer, record; returns the intent's hash and the answers."""
    name, recipe = runs[0].info["data"]["name"], runs[0].recipe
    dataset = load_again(runs[0].info["data"], data=data)
    if dataset.test is None:
        way_out = " Train again with --test-fraction 0.1, or add a test folder." if dataset.loading else ""
        raise UsageError(f"{name} has no test set of its own.{way_out}")
    _require_same_classes(runs, dataset.train.class_names)
    intents: list[str] = []

    def write_intent(test_set: TestSet) -> None:
        protocol: dict[str, Any] = {"tta": recipe.tta, "tta_fraction": recipe.tta_fraction}
        intents.append(ledger.intend(test_set, candidates, **protocol, reason=reason, version=VERSION))

    images = dataset.test.open(write_intent)
    answers = [_answers(run, images, device=device, tta=recipe.tta) for run in runs]
    ledger.record(intents[0], [_result(c, a) for c, a in zip(candidates, answers, strict=True)])
    for run, predictions in zip(runs, answers, strict=True):
        # After the result line: a predictions_test.npz never exists without one.
        write_grades(predictions, run.folder)
    return intents[0], answers


def _look(
    runs: Sequence[Run], answers: Sequence[Predictions], ledger: Ledger, intents: Sequence[str], *, repeated: bool
) -> TestEvaluation:
    return TestEvaluation(
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
            raise RunError(f"{run.folder} is not finished: snellen train --resume {run.typed}. Then it is graded.")


def _require_one_family(runs: Sequence[Run], *, comparison: bool) -> None:
    recipes = {run.recipe.replace(expect=None, note="") for run in runs}
    one_data_set = len({run.info["data"]["name"] for run in runs}) == 1
    trained_alike = {(run.info["final"], run.info["precision"], _trained_on(run)) for run in runs}
    if not comparison and one_data_set and len(trained_alike) > 1:
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


def _trained_on(run: Run) -> str:
    return str(run.info["data"]["train"]["fingerprint"])


def _require_same_classes(runs: Sequence[Run], class_names: tuple[str, ...]) -> None:
    for run in runs:
        if tuple(run.info["data"]["class_names"]) != class_names:
            raise DataError(
                f"{run.folder} knows the classes {', '.join(run.info['data']['class_names'])}; the data now have "
                f"{', '.join(class_names)}. Its answers cannot be graded on them; train again."
            )


def _require_same(run: Run, val: LabeledImages) -> None:
    """A folder of one's own changes; answers to other pictures are not this run's grade."""
    chosen_by = run.info["data"]["val"]["fingerprint"]
    if val.fingerprint != chosen_by:
        raise DataError(
            f"{run.folder} was chosen on val images with fingerprint {chosen_by[:12]}…, but these have "
            f"{val.fingerprint[:12]}…: files were added, removed or changed since. Train again on them, or name the "
            "old folder with --data."
        )


def _candidate(run: Run) -> Candidate:
    return Candidate(run.name, weights_hash(run), run.recipe.name, run.info["seed"], recipe_hash(run.recipe))


def _stored(run: Run, ledger: Ledger, candidate: Candidate, data: str) -> tuple[str, Predictions] | None:
    """The intent of an earlier look at these weights and the answers it left in the run folder."""
    line = ledger.result_for(candidate.weights, tta=run.recipe.tta, tta_fraction=run.recipe.tta_fraction, data=data)
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
        tta_fraction=run.recipe.tta_fraction if tta == run.recipe.tta else 1.0,
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
