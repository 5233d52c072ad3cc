"""Kept, dropped, undecided: by results made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snellen.errors import RunError, UsageError
from snellen.ladder.rungs import Rung, preset
from snellen.ladder.verdict import judge, verdict_over_seeds
from snellen.predict.predictions import Predictions
from snellen.recipes.cifar10 import RESNET18, SMALL_CNN
from snellen.serialize import to_json

Made = Callable[..., Any]

TWO = preset("lesson")[:2]
LEFT_OUT = preset("leave-one-out")[:2]


def test_a_rung_is_kept_if_the_whole_paired_interval_lies_above_zero() -> None:
    # Differences 5, 6, 4 points: mean 5, sd 1, t(0.975, 2) = 4.303, so 5 ± 2.484.
    verdict = verdict_over_seeds([0.70, 0.71, 0.72], [0.75, 0.77, 0.76])
    assert verdict.difference is not None
    assert (verdict.word, verdict.reason) == ("kept", "the whole interval is above 0")
    assert (verdict.difference.mean, verdict.difference.sd) == (pytest.approx(0.05), pytest.approx(0.01))
    assert verdict.difference.low == pytest.approx(0.05 - 4.3027 * 0.01 / 3**0.5, abs=1e-6)


def test_it_is_dropped_if_the_interval_lies_below() -> None:
    verdict = verdict_over_seeds([0.75, 0.77, 0.76], [0.70, 0.71, 0.72])
    assert (verdict.word, verdict.reason) == ("dropped", "the whole interval is below 0")


def test_else_it_is_undecided_and_says_how_many_seeds_would_decide() -> None:
    # Differences 2, -1, 2: mean 1, sd sqrt(3): about (1.96 + 0.84)^2 * 3 = 24 seeds, a few more with Student's t.
    verdict = verdict_over_seeds([0.70, 0.71, 0.72], [0.72, 0.70, 0.74])
    assert verdict.word == "undecided"
    assert verdict.seeds_needed in (25, 26, 27)
    assert f"about {verdict.seeds_needed} seeds" in verdict.reason


def test_pairing_by_seed_finds_what_the_means_alone_would_hide() -> None:
    # Seeds differ by 10 points, the rungs by 1 on each: paired this is certain.
    assert verdict_over_seeds([0.50, 0.60, 0.70], [0.51, 0.61, 0.711]).word == "kept"


def test_without_any_difference_no_number_of_seeds_is_promised() -> None:
    verdict = verdict_over_seeds([0.70, 0.71, 0.72], [0.71, 0.70, 0.72])
    assert (verdict.word, verdict.seeds_needed) == ("undecided", None)
    assert verdict.reason == "no difference that seeds would bring out"


@pytest.mark.parametrize(
    ("baseline", "rung", "reason"),
    [
        ([0.10], [0.90], "fewer than three seeds"),
        ([0.10, 0.11], [0.90, 0.90], "fewer than three seeds"),
        # 50 images: 3, 7 and 11 right against 6, 10 and 14. Equal steps are no proof that seeds never differ.
        ([0.06, 0.14, 0.22], [0.12, 0.20, 0.28], "the same number of images"),
    ],
)
def test_what_too_few_seeds_or_equal_steps_say_decides_nothing(
    baseline: list[float], rung: list[float], reason: str
) -> None:
    verdict = verdict_over_seeds(baseline, rung)
    assert (verdict.word, verdict.seeds_needed) == ("undecided", None)
    assert reason in verdict.reason


def test_what_a_rung_leaves_out_is_kept_if_leaving_it_out_costs_accuracy() -> None:
    full, without = [0.75, 0.77, 0.76], [0.70, 0.71, 0.72]
    assert verdict_over_seeds(full, without, removes=True).word == "kept"
    assert verdict_over_seeds(without, full, removes=True).word == "dropped"


def test_other_numbers_of_seeds_are_refused() -> None:
    with pytest.raises(UsageError, match="same seeds on both sides"):
        verdict_over_seeds([0.7, 0.8], [0.7])


def test_the_table_holds_mean_and_sd_over_seeds_and_the_difference_to_the_baseline(made: Made) -> None:
    below, above = judge(TWO, [made("a", 70.0, 71.0, 72.0), made("b", 75.0, 77.0, 76.0)])
    assert below.verdict is None
    assert below.accuracy is not None
    assert (below.accuracy.mean, below.accuracy.sd) == (pytest.approx(0.71), pytest.approx(0.01))
    assert (above.compared_with, above.verdict and above.verdict.word) == ("baseline", "kept")
    assert above.last_accuracy is not None
    assert above.last_accuracy.mean == pytest.approx(0.75)  # a point below the best epoch's, by construction
    assert {change.field for change in above.changes} == {"augment.crop_pixels", "augment.flip"}


def test_each_rung_is_compared_with_its_own_baseline(made: Made) -> None:
    rungs = preset("lesson-split")
    results = judge(rungs, [made(str(at), 70.0 + at, 70.5 + at) for at in range(len(rungs))])
    compared = [(one.compared_with, one.verdict and one.verdict.difference) for one in results]
    assert [name for name, _ in compared] == [None, "baseline", *["+ crop and flip"] * 4]
    assert [round(100 * difference.mean) for _, difference in compared if difference] == [1, 1, 2, 3, 4]


def test_leave_one_out_reads_the_other_way(made: Made) -> None:
    _, without = judge(LEFT_OUT, [made("full", 80.0, 80.5, 80.2), made("less", 75.0, 75.6, 75.1)])
    assert without.verdict is not None
    assert without.verdict.word == "kept"
    assert without.verdict.difference is not None
    assert without.verdict.difference.mean < 0


def answers(hits: int) -> Predictions:
    """Of 1,000 pictures the first `hits` are right."""
    logits = np.zeros((1000, 2), dtype=np.float32)
    logits[:hits, 0] = logits[hits:, 1] = 1.0
    return Predictions(logits, np.zeros(1000, dtype=np.int64), np.arange(1000), ("a", "b"), "val", data="made")


def test_with_one_seed_the_interval_over_images_is_shown_by_that_name(made: Made) -> None:
    _, above = judge(TWO, [made("a", 70.0), made("b", 75.0)], {"a-s0": answers(700), "b-s0": answers(750)})
    verdict = above.verdict
    assert verdict is not None
    assert verdict.over_images is not None
    assert verdict.word == "undecided"
    assert (verdict.over_images.only_first, verdict.over_images.only_second) == (0, 50)
    assert verdict.over_images.decided  # the two models differ; the recipes may not
    assert to_json(verdict)["over_images"]["decided"] is True


@pytest.mark.parametrize(
    ("seeds", "answered"),
    [(2, ("a-s0", "a-s1", "b-s0", "b-s1")), (1, ("b-s0",)), (1, ())],
    ids=["two seeds", "one answered", "none answered"],
)
def test_with_two_seeds_or_without_answers_there_is_no_interval_over_images(
    made: Made, seeds: int, answered: tuple[str, ...]
) -> None:
    rows = [made(name, *percents[:seeds]) for name, percents in (("a", (70.0, 70.0)), ("b", (75.0, 75.5)))]
    _, above = judge(TWO, rows, dict.fromkeys(answered, answers(700)))
    assert above.verdict is not None
    assert above.verdict.over_images is None


@pytest.mark.parametrize(
    ("first", "second", "failed"), [(70.0, None, "b-s1"), (None, 75.0, "a-s0"), (None, None, "a-s0, b-s1")]
)
def test_a_rung_with_a_diverged_run_has_no_mean_and_no_verdict_on_it(
    made: Made, first: float | None, second: float | None, failed: str
) -> None:
    below, above = judge(TWO, [made("a", first, 71.0), made("b", 99.0, second)])
    for result, without in ((below, first), (above, second)):
        assert (result.accuracy is None) is (result.last_accuracy is None) is (without is None)
    assert above.verdict is not None
    assert (above.verdict.word, above.verdict.difference) == ("undecided", None)
    assert above.verdict.reason == f"the loss of {failed} became NaN or infinite"


def test_where_one_run_has_no_last_epoch_on_record_there_is_no_mean_of_it(made: Made) -> None:
    first, second = made("b", 75.0, 77.0)
    _, above = judge(TWO, [made("a", 70.0, 71.0), (first, replace(second, last_accuracy=None))])
    assert above.accuracy is not None
    assert above.last_accuracy is None


def test_rungs_that_began_with_different_weights_are_refused_as_not_comparable(made: Made) -> None:
    rungs = preset("regularizers")
    rows = [made("a", 70.0, 71.0), made("b", 70.0, 71.0), made("c", 70.0, 71.0), made("d", 70.0, 71.0, start="other")]
    with pytest.raises(RunError, match="a-s0 and d-s0 began with different weights .* not comparable"):
        judge(rungs, rows)


def test_different_models_need_not_begin_alike(made: Made) -> None:
    rungs = (Rung("small", SMALL_CNN), Rung("large", RESNET18, 0))
    _, large = judge(rungs, [made("a", 70.0, 70.5, 70.2), made("b", 75.0, 75.6, 75.1, start="other")])
    assert large.verdict is not None
    assert large.verdict.word == "kept"
