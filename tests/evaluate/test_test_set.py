"""Grading: val as often as wanted, test once, through the ledger, in that order."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snellen.data import catalog
from snellen.data.arrays import from_arrays
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Ledger
from snellen.data.sealed_images import SealedImages
from snellen.errors import DataError, RunError, SealError, StorageError, UsageError
from snellen.evaluate import val
from snellen.evaluate.test_set import TestEvaluation, evaluate_on_test, ledger_of
from snellen.metrics.classification import accuracy
from snellen.models.weights import restore, save_weights, weights_hash
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.cifar10 import SPRINT
from snellen.recipes.json_form import recipe_hash
from snellen.runs.run import Run
from snellen.serialize import to_json


@pytest.fixture
def ledger(own_run: Run, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.delenv("SNELLEN_LEDGER", raising=False)
    return ledger_of(own_run)


def sibling(run: Run, seed: int) -> Run:
    """The same recipe with another seed: other weights beside the run."""
    folder = run.folder.with_name(f"seed{seed}")
    shutil.copytree(run.folder, folder)
    other = Run(folder)
    other.update_info(seed=seed)
    model = restore(other)
    with torch.no_grad():
        next(model.net.parameters()).mul_(1 + seed / 10)
    save_weights(other, model)
    return other


def look(runs: list[Run], ledger: Ledger, **options: Any) -> TestEvaluation:
    return evaluate_on_test(runs, ledger, reason="final number", device="cpu", **options)


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch, tiny_dataset: Dataset) -> list[str]:
    """One entry for each time the test images are read; the data set is the small eye chart."""
    opened: list[str] = []
    assert tiny_dataset.test is not None
    load = tiny_dataset.test._load

    def counted() -> Any:
        opened.append("opened")
        return load()

    sealed = SealedImages(counted, name="eyechart", count=60, identity=tiny_dataset.test.identity)
    dataset = Dataset("eyechart", tiny_dataset.train, sealed, tiny_dataset.source)
    monkeypatch.setitem(catalog._LOADERS, "eyechart", lambda data, download, progress: dataset)
    return opened


def test_the_first_look_is_on_record_with_its_result(own_run: Run, ledger: Ledger, openings: list[str]) -> None:
    found = look([own_run], ledger)
    assert (found.number, found.repeated, len(found.predictions[0])) == (1, False, 60)
    intent, result = ledger.lines()
    assert intent.content["candidates"] == [
        {
            "run": "tiny",
            "weights": weights_hash(own_run),
            "recipe": "tiny",
            "recipe_sha256": recipe_hash(own_run.recipe),
            "seed": 0,
        }
    ]
    assert intent.content["tta_fraction"] == own_run.recipe.tta_fraction
    assert (intent.content["reason"], intent.content["tta"]) == ("final number", "flip")
    (entry,) = result.content["results"]
    assert entry["hits"] == int(found.predictions[0].correct.sum())
    assert entry["hits_tta"] == int(found.predictions[0].with_tta().correct.sum())
    assert any("First look at this test set" in sentence for sentence in found.sentences())
    assert openings == ["opened"]


def test_test_is_answered_in_the_precision_of_the_run_and_both_kinds_of_hits_are_recorded(
    own_run: Run, ledger: Ledger, openings: list[str], tiny_dataset: Dataset
) -> None:
    test, model, chance = tiny_dataset.test, restore(own_run), torch.Generator().manual_seed(0)
    assert test is not None
    hits = hits_tta = 0
    while hits == hits_tta:  # until it matters which of the two is written down
        with torch.no_grad():
            model.net.fc.weight.normal_(generator=chance)
        expected = predict(model, test._load(), tta="flip")
        hits, hits_tta = int(expected.correct.sum()), int(expected.with_tta().correct.sum())
    save_weights(own_run, model)
    found = look([own_run], ledger).predictions[0]
    assert own_run.info["precision"] == "fp32"
    np.testing.assert_array_equal(found.logits, expected.logits)
    (entry,) = ledger.lines()[1].content["results"]
    assert (entry["hits"], entry["hits_tta"]) == (hits, hits_tta)


def test_asked_again_the_stored_answer_is_shown_and_nothing_is_opened(
    own_run: Run, ledger: Ledger, openings: list[str]
) -> None:
    first, second = look([own_run], ledger), look([own_run], ledger)
    np.testing.assert_array_equal(first.predictions[0].logits, second.predictions[0].logits)
    assert (second.number, second.repeated) == (1, True)
    assert any("not a new look" in sentence for sentence in second.sentences())
    assert len(ledger.lines()) == 2
    assert openings == ["opened"]
    (own_run.folder / "confidence_test.json").unlink()  # the last to be written: a kill came before it
    look([own_run], ledger)
    assert own_run.read("confidence_test.json")["split"] == "test"
    with ledger.path.open("a") as torn:
        torn.write("{\n")
    assert len(look([own_run], ledger).problems) == 1


def test_a_grade_with_views_of_some_images_is_found_again(own_run: Run, ledger: Ledger, openings: list[str]) -> None:
    own_run.write("recipe.json", {**own_run.read("recipe.json"), "tta_fraction": 0.2})
    assert [look([own_run], ledger).repeated for _ in range(2)] == [False, True]


def test_a_second_model_is_a_second_look_and_says_so(own_run: Run, ledger: Ledger, openings: list[str]) -> None:
    look([own_run], ledger)
    second = look([sibling(own_run, 1)], ledger)
    assert second.number == 2
    assert any("Look 2 at this test set" in sentence for sentence in second.sentences())
    rate = accuracy(second.predictions[0])
    assert rate.text(2, level=0.975) in second.grades()[0]
    written = second.to_json()["runs"][0]["plain"]["accuracy"]
    assert (written["low"], written["high"]) == rate.interval(0.975)
    assert rate.interval(0.975)[0] < rate.interval()[0]
    assert look([own_run], ledger).number == 1
    assert openings == ["opened"] * 2
    more = [Run(own_run.folder.with_name("seed1")), sibling(own_run, 2), sibling(own_run, 3)]
    look(more[1:], ledger)
    together = look([own_run, *more], ledger)
    assert (together.number, together.together, together.repeated) == (3, 2, True)


def test_stored_answers_that_are_not_those_of_the_ledgers_line_are_refused(
    own_run: Run, ledger: Ledger, openings: list[str]
) -> None:
    answers = look([own_run], ledger).predictions[0]
    path = own_run.folder / "predictions_test.npz"
    replace(answers, logits=np.roll(answers.logits, 1, axis=1)).save(path)
    with pytest.raises(RunError, match="the file was changed. Move it away and ask again; that is no new look"):
        look([own_run], ledger)
    path.unlink()
    assert look([own_run], ledger).number == 1
    assert openings == ["opened"] * 2


def test_several_seeds_are_one_look_with_a_mean(own_run: Run, ledger: Ledger, openings: list[str]) -> None:
    runs = [own_run, sibling(own_run, 1), sibling(own_run, 2)]
    found = look(runs, ledger)
    assert (found.number, len(found.predictions)) == (1, 3)
    assert openings == ["opened"]
    shares = [float(one.correct.mean()) for one in found.predictions]
    assert found.to_json()["mean"] == to_json(found.summary(tta=False))
    assert f"{100 * float(np.mean(shares)):.2f}" in found.grades()[0]
    again = look(runs[1:2], ledger)
    assert (again.number, again.together, again.runs) == (1, 3, ("seed1",))


@pytest.mark.parametrize("changes", [{"epochs": 3.0}, {"name": "other"}, {"tta": "none"}])
def test_runs_of_different_recipes_are_not_one_look(
    own_run: Run, ledger: Ledger, openings: list[str], changes: dict[str, Any]
) -> None:
    other = sibling(own_run, 1)
    other.write("recipe.json", {**other.read("recipe.json"), **changes})
    names = r"\(other, tiny\)" if "name" in changes else r"\(tiny\)"
    with pytest.raises(UsageError, match=f"One look grades one recipe, over seeds; these runs differ {names}"):
        look([own_run, other], ledger)
    other.write("recipe.json", own_run.read("recipe.json"))
    other.update_info(data=other.info["data"] | {"name": "other"})
    with pytest.raises(UsageError, match="One look grades one recipe, over seeds; these runs differ"):
        look([own_run, other], ledger)
    assert (openings, ledger.lines()) == ([], [])


@pytest.mark.parametrize("what", ["final", "precision", "data"])
def test_seeds_that_were_not_trained_alike_have_no_mean_but_may_be_compared(
    own_run: Run, ledger: Ledger, openings: list[str], what: str
) -> None:
    other, data = sibling(own_run, 1), own_run.info["data"]
    changed = {"final": True, "precision": "bf16", "data": data | {"train": data["train"] | {"fingerprint": "other"}}}
    other.update_info(**{what: changed[what]})
    with pytest.raises(UsageError, match="were not trained alike"):
        look([own_run, other], ledger)
    assert (openings, ledger.lines()) == ([], [])
    if what == "precision":
        assert look([own_run, other], ledger, comparison=True).together == 2


def test_a_note_or_a_promise_does_not_make_another_recipe(own_run: Run, ledger: Ledger, openings: list[str]) -> None:
    other = sibling(own_run, 1)
    expect = to_json(SPRINT.expect)
    other.write("recipe.json", {**other.read("recipe.json"), "note": "the same, said otherwise", "expect": expect})
    assert other.recipe.expect == SPRINT.expect != own_run.recipe.expect
    assert look([own_run, other], ledger).number == 1


def test_the_same_seed_twice_is_no_evidence(own_run: Run, ledger: Ledger, openings: list[str]) -> None:
    other = sibling(own_run, 1)
    other.update_info(seed=0)
    with pytest.raises(UsageError, match=r"repeat a seed \(\[0, 0\]\)"):
        look([own_run, other], ledger)
    assert (openings, ledger.lines()) == ([], [])


@pytest.mark.parametrize("status", ["training", "interrupted", "diverged"])
def test_a_run_that_is_not_finished_is_not_graded_on_test(
    own_run: Run, ledger: Ledger, openings: list[str], status: str
) -> None:
    own_run.update_info(status=status)
    way_out = "diverged.*again" if status == "diverged" else "is not finished.*snellen train --resume"
    with pytest.raises(RunError, match=way_out):
        look([own_run], ledger)
    assert (openings, ledger.lines()) == ([], [])


def test_without_a_ledger_nobody_sees_a_prediction(own_run: Run, openings: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(SealError, match=r"[lL]edger .*ledger\.jsonl cannot be"):
        look([own_run], Ledger(tmp_path / "file" / "ledger.jsonl"))
    assert not (own_run.folder / "predictions_test.npz").exists()


def test_a_crash_between_intent_and_result_counts_and_leaves_no_predictions(
    own_run: Run, ledger: Ledger, openings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(model: Any, images: LabeledImages, **options: Any) -> Predictions:
        if images.role == "test":
            raise RuntimeError("power cut")
        return predict(model, images, **options)

    with monkeypatch.context() as patch:
        patch.setattr(val, "predict", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            look([own_run], ledger)
    assert [line.kind for line in ledger.lines()] == ["intent"]
    assert not (own_run.folder / "predictions_test.npz").exists()
    assert look([sibling(own_run, 1)], ledger).number == 2


def test_predictions_of_the_test_set_never_exist_without_a_result_line(
    own_run: Run, ledger: Ledger, openings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record", full)
        with pytest.raises(StorageError):
            look([own_run], ledger)
    assert not list(own_run.folder.glob("*_test*"))
    look([own_run], ledger)
    assert (own_run.folder / "predictions_test.npz").exists()
    assert [line.kind for line in ledger.lines()] == ["intent", "intent", "result"]


def test_a_lost_predictions_file_is_made_again_without_a_new_look(
    own_run: Run, ledger: Ledger, openings: list[str]
) -> None:
    first = look([own_run], ledger)
    (own_run.folder / "predictions_test.npz").unlink()
    again = look([own_run], ledger)
    assert (again.number, again.repeated) == (1, False)
    np.testing.assert_array_equal(first.predictions[0].logits, again.predictions[0].logits)


def test_weights_changed_after_the_look_are_another_model(own_run: Run, ledger: Ledger, openings: list[str]) -> None:
    look([own_run], ledger)
    model = restore(own_run)
    with torch.no_grad():
        next(model.net.parameters()).mul_(1.01)
    save_weights(own_run, model)
    assert look([own_run], ledger).number == 2


def test_a_data_set_without_a_test_half_is_refused(
    own_run: Run, ledger: Ledger, tiny_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset("eyechart", tiny_dataset.train, None, "here")
    own_run.update_info(data={**own_run.info["data"], "test": None})
    monkeypatch.setitem(catalog._LOADERS, "eyechart", lambda data, download, progress: dataset)
    with pytest.raises(UsageError, match="has no test set of its own"):
        look([own_run], ledger)


def test_the_ledger_is_the_one_named_then_the_one_of_the_environment_then_the_one_beside_the_runs(
    own_run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SNELLEN_LEDGER", str(tmp_path / "env.jsonl"))
    assert ledger_of(own_run, tmp_path / "named.jsonl").path == tmp_path / "named.jsonl"
    assert ledger_of(own_run).path == tmp_path / "env.jsonl"
    monkeypatch.setenv("SNELLEN_LEDGER", "")
    assert ledger_of(own_run).path == own_run.folder.parent / "ledger.jsonl"


def test_weights_that_answer_no_numbers_cost_no_look(own_run: Run, ledger: Ledger, openings: list[str]) -> None:
    model = restore(own_run)
    with torch.no_grad():
        for weights in model.net.parameters():
            weights.mul_(1e30)
    save_weights(own_run, model)
    with pytest.raises(RunError, match="are no finite numbers"):
        look([own_run], ledger)
    assert (openings, ledger.lines()) == ([], [])


def with_copies(dataset: Dataset, count: int, size: int = 60) -> Dataset:
    """The data set with a test part of this size, of which so many are in train."""
    train = dataset.train
    images = np.concatenate([train.images[:count], 255 - train.images[: size - count]])
    names = np.array(train.class_names)
    return from_arrays(train.images, names[train.labels], test=(images, names[train.labels[:size]]), name="eyechart")


def test_few_copies_in_train_are_said_beside_the_grade(own_run: Run, ledger: Ledger, tiny_dataset: Dataset) -> None:
    dataset = with_copies(tiny_dataset, 1, 120)
    assert dataset.test is not None
    own_run.update_info(data={**own_run.info["data"], "test": dataset.test.describe()})
    found = look([own_run], ledger, data=dataset)
    assert found.copies.startswith("1 of 120 test pictures are in train or val to the pixel; for example")
    assert found.to_json()["copies"] == found.copies


@pytest.mark.parametrize("count", [0, 5])
def test_copies_of_training_pictures_are_looked_for_before_the_intent(
    own_run: Run, ledger: Ledger, tiny_dataset: Dataset, count: int
) -> None:
    dataset = with_copies(tiny_dataset, count)
    assert dataset.test is not None
    own_run.update_info(data={**own_run.info["data"], "test": dataset.test.describe()})
    if count == 0:
        assert look([own_run], ledger, data=dataset).copies == ""
        return
    with pytest.raises(DataError, match="stays closed: 5 of 60 test pictures are in train or val to the pixel"):
        look([own_run], ledger, data=dataset)
    assert ledger.lines() == []


def test_another_test_set_is_not_graded_and_a_stored_answer_is_not_shown_for_it(
    own_run: Run, ledger: Ledger, openings: list[str], tiny_dataset: Dataset
) -> None:
    other = replace(tiny_dataset, test=make_eyechart(seed=3, train=0, test=60).test)
    with pytest.raises(DataError, match="The test images of"):
        look([own_run], ledger, data=other)
    assert (openings, ledger.lines()) == ([], [])
    look([own_run], ledger)
    with pytest.raises(DataError, match="The test images of"):
        look([own_run], ledger, data=other)
    assert openings == ["opened"]
