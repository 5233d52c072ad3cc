"""`snellen evaluate` and `snellen ledger`: val freely, test on the record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mixed_pictures import write_folder
from snellen.data.eyechart import make_eyechart
from snellen.data.ledger import Ledger
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run

Snellen = Callable[..., Any]


def test_val_shows_accuracy_with_n_and_interval_plain_beside_averaged(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("evaluate", own_run.folder, "--per-class")
    assert (answer.code, answer.err) == (0, "")
    assert "plain, one view per image" in answer.out
    assert "with test-time augmentation: flip" in answer.out
    assert answer.out.count("n=30") >= 2
    assert "recall" in answer.out.lower()
    assert not (own_run.folder.parent / "ledger.jsonl").exists()


def test_other_views_may_be_tried_on_val(snellen: Snellen, own_run: Run) -> None:
    assert snellen("evaluate", own_run.folder, "--tta", "shift", "--device", "cpu", "--json").json["tta"] == "shift"


def test_val_says_how_sure_the_model_is_and_keeps_it_in_the_run_folder(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("evaluate", own_run.folder)
    assert "perfect calibration would show" in answer.out
    assert "confidently wrong" in answer.out
    assert "fitted on 30 val images" in answer.out
    found = snellen("evaluate", own_run.folder, "--json").json["confidence"]
    assert own_run.read("confidence_val.json") == found
    assert (own_run.folder / "reliability.png").stat().st_size > 1_000


def test_doubted_labels_are_listed_on_request(snellen: Snellen, own_run: Run) -> None:
    doubts = snellen("evaluate", own_run.folder, "--json").json["confidence"]["label_issues"]["first_issues"]
    answer = snellen("evaluate", own_run.folder, "--label-issues", 3)
    assert "looks like" in answer.out
    for row in doubts[:3]:
        assert f"{row['name']} " in answer.out
    assert snellen("evaluate", own_run.folder, "--label-issues", -1).code == 2


def test_the_robustness_card_is_shown_and_written(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("evaluate", own_run.folder, "--robustness", "--device", "cpu")
    assert (answer.code, answer.err) == (0, "")
    card = own_run.read("robustness.json")
    assert (card["split"], card["view"], card["clean"]["n"]) == ("val", "plain", 30)
    assert card["clean"]["hits"] == snellen("evaluate", own_run.folder, "--json").json["plain"]["accuracy"]["hits"]
    for row in card["rows"]:
        assert row["severity"] in answer.out
    assert answer.out.count(f"{100 * card['clean']['value']:.1f} %") >= 2


def test_any_labelled_folder_is_graded_as_a_new_set(snellen: Snellen, own_run: Run, tmp_path: Path) -> None:
    write_folder(make_eyechart(7, train=40, test=0).train, tmp_path / "others")
    answer = snellen("evaluate", own_run.folder, "--on", "others", "--per-class", "--label-issues", 2)
    assert (answer.code, "n=40" in answer.out) == (0, True)
    assert "others is graded as a new set: neither val nor the sealed test set of this run." in answer.out
    found = snellen("evaluate", own_run.folder, "--on", "others", "--json").json
    assert (found["split"], found["n"], found["best_of"], found["new_set"]["seen"]) == ("new", 40, 1, {})
    assert not (own_run.folder / "predictions_new.npz").exists()
    assert "--split test" in snellen("evaluate", own_run.folder, "--on", "others", "--split", "test").sentence
    assert "nowhere is not there" in snellen("evaluate", own_run.folder, "--on", "nowhere").sentence


def test_several_runs_are_compared_by_a_verb_of_their_own(snellen: Snellen, own_run: Run) -> None:
    answer = snellen("evaluate", own_run.folder, own_run.folder)
    assert (answer.code, f"snellen compare {own_run.folder} {own_run.folder}" in answer.sentence) == (2, True)


def test_test_is_opened_once_and_then_answered_from_the_store(snellen: Snellen, own_run: Run) -> None:
    first = snellen("evaluate", own_run.folder, "--split", "test", "--reason", "the last number")
    assert (first.code, first.err) == (0, "")
    assert "First look at this test set" in first.out
    assert "n=60" in first.out
    again = snellen("evaluate", own_run.folder, "--split", "test")
    assert "not a new look" in again.out
    ledger = Ledger(own_run.folder.parent / "ledger.jsonl")
    assert [line.kind for line in ledger.lines()] == ["intent", "result"]
    assert ledger.lines()[0].content["reason"] == "the last number"


def test_the_ledger_lists_the_look_and_its_result(snellen: Snellen, own_run: Run) -> None:
    graded = snellen("evaluate", own_run.folder, "--split", "test", "--json").json
    listed = snellen("ledger")
    assert (listed.code, listed.err) == (0, "")
    for words in ("eyechart", "tiny", "final number", f"{100 * graded['mean_tta']['mean']:.1f} %"):
        assert words in listed.out
    assert snellen("ledger", "--json").json["problems"] == []


def test_an_edited_ledger_is_shown_and_is_exit_code_1(snellen: Snellen, own_run: Run) -> None:
    snellen("evaluate", own_run.folder, "--split", "test")
    path = own_run.folder.parent / "ledger.jsonl"
    path.write_text(path.read_text().replace('"hits":', '"hits": 1'))
    answer = snellen("ledger")
    assert answer.code == 1
    assert "not whole: line 2 does not match its own hash" in answer.out
    assert snellen("ledger", "--json").code == 1


def test_an_unreadable_ledger_keeps_the_test_set_closed(snellen: Snellen, own_run: Run, tmp_path: Path) -> None:
    answer = snellen("evaluate", own_run.folder, "--split", "test", "--ledger", tmp_path)
    assert answer.code == 1
    assert "cannot be read: it is not a file" in answer.sentence
    assert not (own_run.folder / "predictions_test.npz").exists()


def test_a_ledger_that_does_not_exist_says_so(snellen: Snellen) -> None:
    answer = snellen("ledger")
    assert answer.code == 0
    assert "Nobody has looked at a test set, as far as runs/ledger.jsonl knows" in answer.out


def test_another_ledger_is_merged_by_name(snellen: Snellen, own_run: Run, tmp_path: Path) -> None:
    snellen("evaluate", own_run.folder, "--split", "test", "--ledger", "there.jsonl")
    answer = snellen("ledger", "--merge", "there.jsonl")
    assert "2 new lines from there.jsonl" in answer.out
    assert snellen("ledger", "--merge", "gone.jsonl").sentence == "snellen: There is no ledger at gone.jsonl."


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--split", "test", "--tta", "flip"), 2, "--tta cannot be chosen on test: the recipe declares the views"),
        (("--split", "test", "--robustness"), 2, "--robustness and --label-issues are for val"),
        (("--split", "test", "--label-issues", "5"), 2, "--robustness and --label-issues are for val"),
        (("--ledger", "x.jsonl"), 2, "have no effect on val"),
        (("--reason", "because"), 2, "have no effect on val"),
        (("--tta", "shift", "--device", "tpu"), 2, "--device tpu is not available here"),
    ],
)
def test_an_option_without_effect_is_refused(
    snellen: Snellen, own_run: Run, options: tuple[str, ...], code: int, words: str
) -> None:
    answer = snellen("evaluate", own_run.folder, *options)
    assert (answer.code, words in answer.sentence) == (code, True)


def test_without_a_run_the_way_to_name_one_is_shown(snellen: Snellen) -> None:
    assert snellen("evaluate").sentence == "snellen: Which run? snellen evaluate runs/NAME"


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_broken_predictions_are_one_sentence(snellen: Snellen, own_run: Run, damage: bytes) -> None:
    (own_run.folder / "predictions_val.npz").write_bytes(damage)
    answer = snellen("evaluate", own_run.folder)
    assert answer.code == 1
    assert "is not a readable predictions file" in answer.sentence


def test_what_a_kill_kept_from_being_written_beside_the_answers_is_completed_without_a_look(
    snellen: Snellen, own_run: Run
) -> None:
    assert snellen("evaluate", own_run.folder, "--split", "test").code == 0
    written = {path.name: path.read_bytes() for path in own_run.folder.glob("*_test*")}
    lost = ("scorecard_test.json", "confusion_test.json", "confidence_test.json", "reliability_test.png")
    for name in lost:
        (own_run.folder / name).unlink()
    (own_run.folder / ".scorecard_test.json.17.tmp").write_bytes(b"half")
    answer = snellen("evaluate", own_run.folder, "--split", "test")
    assert "not a new look" in answer.out
    assert {path.name: path.read_bytes() for path in own_run.folder.glob("*_test*")} == written
    assert not list(own_run.folder.glob(".*.tmp"))
    assert len(Ledger(own_run.folder.parent / "ledger.jsonl").lines()) == 2


def test_the_test_set_stays_closed_where_its_answers_have_no_place(snellen: Snellen, own_run: Run) -> None:
    with own_run.locked():
        answer = snellen("evaluate", own_run.folder, "--split", "test")
    assert answer.code == 1
    assert "is in use by another process" in answer.sentence
    assert not (own_run.folder.parent / "ledger.jsonl").exists()


def test_each_run_of_a_look_has_the_temperature_of_its_own_val_answers(snellen: Snellen, own_run: Run) -> None:
    shutil.copytree(own_run.folder, own_run.folder.with_name("other"))
    other = Run(own_run.folder.with_name("other"))
    other.update_info(seed=1)
    path = other.folder / "predictions_val.npz"
    val = Predictions.load(path)
    replace(val, logits=val.logits / 1_000, tta_logits=None, tta="none").save(path)
    found = snellen("evaluate", own_run.folder, other.folder, "--split", "test", "--json").json["runs"]
    first, second = (each["confidence"]["temperature"]["temperature"] for each in found)
    assert second < first / 10
