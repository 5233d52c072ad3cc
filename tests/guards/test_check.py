from __future__ import annotations

import numpy as np
import pytest
import torch

from snellen.data.ledger import Ledger
from snellen.data.splits import Splits, split
from snellen.guards import check as check_file
from snellen.guards.check import check_data, check_run
from snellen.guards.copies import find_copies
from snellen.guards.guard import GUARDS, GuardResult, read_guards
from snellen.parts import registered

CPU = torch.device("cpu")


def by_name(results):
    assert len({result.name for result in results}) == len(results)
    return {result.name: result for result in results}


def test_together_the_two_checks_ask_every_guard(letters, finished_run):
    asked = {
        result.name
        for result in (*check_data(Splits(*letters, None), find_copies(*letters)), *read_guards(finished_run))
    }
    assert asked == set(GUARDS)


def test_a_sound_data_set_fails_nothing(letters):
    assert not [
        result for result in check_data(Splits(*letters, None), find_copies(*letters)) if result.passed is False
    ]


def test_training_leaves_its_verdicts_in_the_run_folder_and_none_accuses_the_machinery(finished_run):
    results = by_name(read_guards(finished_run))
    for name in ("pixel-statistics", "repeatable-evaluation", "initial-loss", "small-image-stem", "pixel-order"):
        assert results[name].passed, results[name]
    assert "as on file" in results["repeatable-evaluation"].evidence
    assert not any("guard itself failed" in result.evidence for result in results.values())


@pytest.fixture
def check(own_run, tiny_dataset):
    parts = split(tiny_dataset)

    def ask(*, images=True):
        ledger = Ledger(own_run.folder.parent / "ledger.jsonl")
        return by_name(check_run(own_run, parts if images else None, ledger=ledger, device=CPU))

    return ask


def test_a_diverged_run_without_weights_is_still_judged(check, own_run):
    own_run.update_info(status="diverged")
    (own_run.folder / "weights.safetensors").unlink()
    results = check()
    assert results["finite-loss"].passed is False
    assert results["repeatable-evaluation"].passed is None
    assert results["pixel-order"].passed
    assert by_name(read_guards(own_run)) == results


def test_a_guard_of_ones_own_is_given_the_images_and_the_run(check, letters, own_run, monkeypatch):
    given = []
    monkeypatch.setitem(registered("guard"), "mine", lambda *what: (given.append(what), (True, "Well.", ""))[1])
    parts = Splits(*letters, None)
    assert by_name(check_data(parts, find_copies(*letters)))["mine"].passed
    assert check()["mine"].passed
    assert check(images=False)["mine"].passed is None
    ((first, before), (second, run)) = given
    assert (first, before, type(second), run) == (parts, None, Splits, own_run)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("final", [False, True])
def test_the_network_is_asked_about_val_or_else_train_as_the_grading_ran(
    own_run, tiny_dataset, monkeypatch, precision, final
):
    asked = []
    for guard in ("repeatable_evaluation", "initial_loss"):
        monkeypatch.setattr(
            check_file, guard,
            lambda model, images, guard=guard, **how: (asked.append((guard, images.role, how.get("bf16"))), sound)[1],
        )  # fmt: skip
    sound, parts = GuardResult("asked", True, "Well."), split(tiny_dataset)
    own_run.update_info(precision=precision)
    check_run(
        own_run, Splits(parts.train, None if final else parts.val, None), device=CPU,
        ledger=Ledger(own_run.folder.parent / "ledger.jsonl"),
    )  # fmt: skip
    role = "train" if final else "val"
    assert asked == [("repeatable_evaluation", role, precision == "bf16"), ("initial_loss", role, None)]


def test_what_was_found_before_the_training_stands(own_run, tiny_dataset):
    ledger, before = Ledger(own_run.folder.parent / "ledger.jsonl"), GuardResult("exact-duplicates", True, "Then.")
    found = check_run(own_run, split(tiny_dataset), ledger=ledger, device=CPU, before=[before])
    assert by_name(found)["exact-duplicates"] == before
    assert by_name(read_guards(own_run)).keys() == by_name(found).keys()


def test_without_the_images_the_journal_is_still_judged(check):
    results = check(images=False)
    assert results["pixel-order"].passed is None
    assert results["finite-loss"].passed is not None


def test_statistics_changed_after_training_are_seen_in_the_weights_themselves(check, own_run):
    from safetensors.torch import load_file, save_file

    path = own_run.folder / "weights.safetensors"
    tensors = load_file(path)
    tensors["normalize.mean"] = torch.tensor([0.485, 0.456, 0.406])
    tensors["normalize.std"] = torch.tensor([0.229, 0.224, 0.225])
    save_file(tensors, path)
    results = check()
    assert "ImageNet" in results["pixel-statistics"].evidence
    assert results["repeatable-evaluation"].passed is False


def test_a_broken_journal_does_not_break_the_check(check, own_run):
    (own_run.folder / "metrics.jsonl").write_text('{"epoch": 1, "train/loss": "low", "val/accuracy": 1}\n')
    assert check()["finite-loss"].passed is None


def test_logits_that_are_no_numbers_are_seen(check, own_run):
    from snellen.predict.predictions import Predictions

    path = own_run.folder / "predictions_val.npz"
    stored = Predictions.load(path)
    stored.logits[:] = np.nan
    stored.save(path)
    assert check()["finite-loss"].passed is False
