from __future__ import annotations

import re

import numpy as np
import pytest

from snellen.guards.run_guards import class_answers, finite_loss, overfit_gap, stuck_at_chance
from snellen.predict.predictions import Predictions
from snellen.recipes.cifar10 import RESNET18, SMALL_CNN_BASELINE, SPRINT
from snellen.recipes.json_form import rates, with_settings


def row(epoch, *, loss=1.0, train=0.8, val=0.78, val_loss=0.7, steps=100):
    return {
        "epoch": epoch, "step": epoch * steps, "train/loss": loss,
        "train/accuracy": train, "val/accuracy": val, "val/loss": val_loss,
    }  # fmt: skip


def test_a_falling_loss_passes_and_a_rising_one_does_not():
    assert finite_loss([row(1, loss=2), row(2, loss=1)], status="finished", recipe=SMALL_CNN_BASELINE).passed
    assert finite_loss([row(1, loss=1), row(2, loss=1)], status="finished", recipe=SMALL_CNN_BASELINE).passed
    assert finite_loss([row(1, loss=1), row(2, loss=2)], status="finished", recipe=SMALL_CNN_BASELINE).passed is False


@pytest.mark.parametrize("recipe", [SMALL_CNN_BASELINE, SPRINT], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("rows", [[], [row(1)], [row(1, loss=float("nan"))]])
def test_a_diverged_run_fails_however_far_it_came(rows, recipe):
    result = finite_loss(rows, status="diverged", recipe=recipe)
    assert (result.passed, result.severity) == (False, "error")
    last = f"the last whole epoch had {rows[-1]['train/loss']:.3g}" if rows else "not one epoch was finished"
    assert result.evidence.endswith(f"; {last}.")
    (option,) = re.findall(r"--set (optimizer[^,]+),", result.remedy)
    slower = with_settings(recipe, option.split())  # an option that the recipe does not have would be refused
    assert list(rates(slower).values()) == pytest.approx([rate / 10 for rate in rates(recipe).values()], rel=0.05)


def test_answers_that_are_no_numbers_fail():
    assert (
        finite_loss([row(1), row(2)], status="finished", recipe=SMALL_CNN_BASELINE, logits_finite=False).passed is False
    )


@pytest.mark.parametrize("broken", [0, 1, 2])
@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_one_loss_or_one_answer_that_is_no_number_is_enough(broken, loss):
    rows = [row(epoch, loss=loss if epoch == broken else 3 - epoch) for epoch in range(3)]
    assert finite_loss(rows, status="finished", recipe=SMALL_CNN_BASELINE).severity == "error"
    rows[broken] = row(broken, loss=3 - broken)
    assert finite_loss(rows, status="finished", recipe=SMALL_CNN_BASELINE).passed
    assert finite_loss(rows, status="finished", recipe=SMALL_CNN_BASELINE, logits_finite=False).passed is False


def test_one_epoch_cannot_say_whether_the_loss_falls():
    assert finite_loss([row(1)], status="finished", recipe=SMALL_CNN_BASELINE).passed is None


TEN = [100] * 10


def test_above_chance_passes_and_at_chance_fails():
    assert stuck_at_chance([row(1, val=0.2)], val_per_class=TEN, recipe=RESNET18).passed
    assert stuck_at_chance([row(1, val=0.11)], val_per_class=TEN, recipe=RESNET18).passed is False


def test_chance_is_the_largest_class_not_one_in_k():
    assert stuck_at_chance([row(1, val=0.8)], val_per_class=[800, 200], recipe=RESNET18).passed is False


def test_few_val_images_are_said_to_be_too_few_and_not_that_nothing_was_learnt():
    # The run of a user: 34 of 41 at best of 40 epochs, where the largest class has 27.
    rows = [row(epoch, train=0.99, val=(34 if epoch == 17 else 32) / 41) for epoch in range(1, 41)]
    found = stuck_at_chance(rows, val_per_class=[27, 14], recipe=RESNET18)
    assert found.passed is None
    assert "best of 40 epochs" in found.evidence
    assert "41 val images are too few" in found.evidence
    never = [row(epoch, train=0.99, val=27 / 41) for epoch in range(1, 41)]
    assert stuck_at_chance(never, val_per_class=[27, 14], recipe=RESNET18).passed is False


def test_a_falling_loss_at_chance_points_to_labels_and_pixels_a_still_one_to_the_learning_rate():
    memorised = [row(1, loss=2.3, train=0.3, val=0.1), row(2, loss=0.5, train=0.9, val=0.1)]
    assert "labels shuffled" in stuck_at_chance(memorised, val_per_class=TEN, recipe=RESNET18).remedy
    still = [row(1, loss=2.3, train=0.1, val=0.1), row(2, loss=2.3, train=0.1, val=0.1)]
    assert (
        "--set optimizer.lr=0.01, then ten times more, --set optimizer.lr=1;"
        in stuck_at_chance(still, val_per_class=TEN, recipe=RESNET18).remedy
    )


@pytest.mark.parametrize(
    ("losses", "train", "learnt"),
    [
        ((2.3, 2.0), 0.1, True),
        ((2.3, 2.2), 0.1, False),
        ((2.3, 2.3), 0.3, True),
        ((2.0, 2.3), 0.15, False),
        ((2.3, 2.3), 0.2, False),
    ],
)
def test_learnt_is_what_made_the_loss_fall_by_a_tenth_or_is_known_by_heart(losses, train, learnt):
    rows = [row(1, loss=losses[0], train=0.1, val=0.1), row(2, loss=losses[1], train=train, val=0.1)]
    remedy = stuck_at_chance(rows, val_per_class=TEN, recipe=RESNET18).remedy
    assert remedy.startswith("The loss falls" if learnt else "Nothing is learnt")


def test_few_steps_or_no_val_are_not_judged():
    early = [row(1, steps=10, val=0.1), row(10, steps=10, val=0.1)]
    assert stuck_at_chance(early, val_per_class=TEN, recipe=RESNET18).passed is False
    best_first = [row(1, train=0.5, val=0.5), row(2, train=0.5, val=0.1)]
    assert stuck_at_chance(best_first, val_per_class=TEN, recipe=RESNET18).passed
    assert stuck_at_chance([row(1, steps=10, val=0.1)], val_per_class=TEN, recipe=RESNET18).passed is None
    assert stuck_at_chance([row(1)], val_per_class=[], recipe=RESNET18).passed is None
    assert (
        stuck_at_chance([{"epoch": 1, "step": 500, "train/loss": 1.0}], val_per_class=TEN, recipe=RESNET18).passed
        is None
    )


def test_five_points_pass_and_six_do_not():
    assert overfit_gap([row(1, train=0.05, val=0.0)], best_epoch=1, recipe=RESNET18).passed
    assert overfit_gap([row(1, train=0.83, val=0.78)], best_epoch=1, recipe=RESNET18).passed
    assert overfit_gap([row(1, train=0.85, val=0.78)], best_epoch=1, recipe=RESNET18).passed is False


def test_the_gap_is_that_of_the_epoch_whose_weights_were_kept():
    rows = [row(1, train=0.8, val=0.8), row(2, train=1.0, val=0.7)]
    assert overfit_gap(rows, best_epoch=1, recipe=RESNET18).passed
    assert overfit_gap(rows, best_epoch=2, recipe=RESNET18).passed is False


def test_remedies_come_in_the_lessons_order_and_each_flag_works():
    remedy = overfit_gap([row(1, train=1.0)], best_epoch=1, recipe=SMALL_CNN_BASELINE).remedy
    flags = [part.split()[0].strip(";,.") for part in remedy.split("--set ")[1:]]
    names = [flag.partition("=")[0] for flag in flags]
    assert names == ["augment.crop_pixels", "augment.flip", "optimizer.weight_decay", "label_smoothing"]
    mended = with_settings(SMALL_CNN_BASELINE, flags)
    again = overfit_gap([row(1, train=1.0)], best_epoch=1, recipe=mended).remedy
    assert "on already" in again
    assert "--set augment.cutmix=1" in again
    for last in ("augment.cutmix=1", "augment.mixup=0.2"):
        nothing = overfit_gap([row(1, train=1.0)], best_epoch=1, recipe=with_settings(mended, [last])).remedy
        assert nothing.endswith(
            "All that a recipe has against it is on already: fewer epochs, a smaller net or more data."
        )


def test_the_gap_is_that_of_the_epoch_whose_weights_were_kept_or_else_the_last():
    rows = [row(1, train=0.5, val=0.5), row(2, train=0.9, val=0.7), row(3, train=1.0, val=0.6)]
    gaps = {1: "0.0 points", 2: "20.0 points", None: "40.0 points", 9: "40.0 points"}
    for best, words in gaps.items():
        assert words in overfit_gap(rows, best_epoch=best, recipe=RESNET18).evidence


def test_a_gap_alone_is_a_note_and_a_rising_val_loss_a_warning():
    still = [row(1, train=1.0, val_loss=0.5), row(2, train=1.0, val_loss=0.51)]
    rising = [row(1, train=1.0, val_loss=0.5), row(2, train=1.0, val_loss=0.9)]
    tenth = [row(1, train=1.0, val_loss=1.0), row(2, train=1.0, val_loss=1.1)]
    for rows in (still, tenth):
        found = overfit_gap(rows, best_epoch=2, recipe=RESNET18)
        assert (found.severity, found.remedy.startswith("Not a fault by itself")) == ("note", True)
    result = overfit_gap(rising, best_epoch=2, recipe=RESNET18)
    assert (result.severity, "Not a fault" in result.remedy) == ("warning", False)
    assert "from 0.50 (epoch 1) to 0.90" in result.evidence


def answers(labels, said):
    logits = np.eye(3, dtype=np.float32)[np.array(said)]
    ids = np.arange(len(labels), dtype=np.int64)
    return Predictions(logits, np.array(labels, dtype=np.int64), ids, ("ant", "bee", "cat"), "val")


def test_right_answers_in_every_class_pass():
    assert class_answers(answers([0, 1, 2] * 50, [0, 1, 2] * 50)).passed


def test_a_class_that_is_never_answered_is_named():
    result = class_answers(answers([0, 1, 2] * 50, [0, 1, 1] * 50))
    assert result.passed is False
    assert "never answered: cat" in result.evidence


def test_accuracy_exactly_five_points_above_the_mean_over_classes_is_not_far_above_it():
    sizes = [39, 20, *[18] * 18, 17]  # all of the first are right, and one of the second
    labels = np.repeat(np.arange(21), sizes)
    said = (labels + 1) % 21
    said[:39], said[39] = 0, 1
    ids, names = np.arange(400, dtype=np.int64), tuple("abcdefghijklmnopqrstu")
    result = class_answers(Predictions(np.eye(21, dtype=np.float32)[said], labels, ids, names, "val"))
    assert (result.passed, result.evidence.startswith("Accuracy 10.0 %")) == (None, True)
    assert "mean over classes 5.0 %" in result.evidence


def test_accuracy_that_only_repeats_the_largest_class_fails():
    assert class_answers(answers([0] * 90 + [1] * 5 + [2] * 5, [0] * 100)).passed is False


def test_accuracy_far_above_the_mean_over_classes_fails():
    labels = [0] * 900 + [1] * 50 + [2] * 50
    said = [0] * 900 + [1] * 25 + [0] * 25 + [2] * 25 + [0] * 25
    result = class_answers(answers(labels, said))
    assert result.passed is False
    assert "mean over classes 66.7 %" in result.evidence


@pytest.mark.parametrize(
    ("count", "evidence"), [(3, "every class is answered"), (9, "every class"), (10, "answered: cat")]
)
def test_a_class_of_fewer_than_ten_images_may_go_unanswered(count, evidence):
    labels = [0] * 100 + [1] * 100 + [2] * count
    said = [0] * 100 + [1] * 100 + [0] * count
    assert evidence in class_answers(answers(labels, said)).evidence


def test_an_accuracy_that_is_the_largest_classs_share_fails_also_where_all_are_answered_alike():
    result = class_answers(answers([0] * 60 + [1] * 40, [0] * 36 + [1] * 24 + [1] * 24 + [0] * 16))
    assert (result.passed, result.evidence.startswith("Accuracy 60.0")) == (False, True)


def test_an_accuracy_whose_interval_holds_the_largest_classs_share_is_not_judged():
    labels = [0] * 60 + [1] * 40
    said = [0] * 39 + [1] * 21 + [1] * 26 + [0] * 14  # 65 % in both classes
    result = class_answers(answers(labels, said))
    assert result.passed is None
    assert "100 val images are too few to tell accuracy from that share" in result.evidence
