from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from snellen.errors import UsageError
from snellen.metrics.compare import (
    PairedDifference,
    compare,
    compare_all,
    holm,
    mcnemar_p_value,
    paired_difference,
    seeds_needed,
)
from snellen.metrics.intervals import Rate, bootstrap_interval
from snellen.serialize import to_json


def right(n: int, *wrong: int) -> np.ndarray:
    return ~np.isin(np.arange(n), wrong)


def pair(only_first: int, only_second: int, n: int) -> PairedDifference:
    first, second = (Rate(hits, n) for hits in (only_first, only_second))
    return PairedDifference(first, second, 0.0, 0.0, only_first, only_second, 1.0)


def test_the_difference_worked_by_hand():
    difference = paired_difference(right(10, 0, 1, 2), right(10, 2, 3))
    assert (difference.only_first, difference.only_second) == (1, 2)
    assert difference.value == pytest.approx(0.1)
    assert (difference.first.hits, difference.second.hits) == (7, 8)
    assert difference.p_value == 1.0
    assert not difference.decided


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 1), (0, 6), (3, 3), (5, 16), (61, 38), (900, 1100)])
def test_mcnemar_equals_scipys_exact_binomial_test(first, second):
    expected = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_p_value(first, second) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 300), st.integers(0, 300))
@settings(max_examples=60, deadline=None)
def test_mcnemar_is_a_probability_and_does_not_care_which_model_comes_first(first, second):
    assert 0 < mcnemar_p_value(first, second) <= 1
    assert mcnemar_p_value(first, second) == mcnemar_p_value(second, first)


def test_the_interval_equals_the_bootstrap_over_images():
    rng = np.random.default_rng(13)
    first, second = rng.random(500) < 0.9, rng.random(500) < 0.93
    gains = second.astype(float) - first
    expected = bootstrap_interval(lambda index: float(gains[index].mean()), 500, draws=4000)
    difference = paired_difference(first, second)
    assert (difference.low, difference.high) == pytest.approx(expected, abs=0.003)


def test_two_equally_good_models_are_told_apart_in_at_most_5_of_100_test_sets():
    rng = np.random.default_rng(14)
    alarms = [
        paired_difference(rng.random(400) < 0.9, rng.random(400) < 0.9).decided for _ in range(1500)
    ]  # fmt: skip
    assert np.mean(alarms) <= 0.06


def test_rows_in_another_order_give_the_same_difference(simulated):
    first = simulated(60, seed=15)
    second = dataclasses.replace(first, logits=simulated(60, seed=16).logits)
    order = np.random.default_rng(0).permutation(60)
    mixed = dataclasses.replace(
        second, logits=second.logits[order], labels=second.labels[order], ids=second.ids[order]
    )  # fmt: skip
    assert compare(first, second) == compare(first, mixed)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ids": np.array([0, 1, 7])}, "share 2 image ids"),
        ({"labels": np.array([0, 1, 1])}, "1 of 3 images carry different labels"),
        ({"class_names": ("x", "y", "z")}, "different classes"),
        ({"split": "test"}, "made val .3 images. and made test"),
        ({"ids": np.array([0, 1, 1])}, "the second holds an image id twice"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(votes, change, sentence):
    one = votes([0, 1, 2], [0, 1, 2], 3)
    with pytest.raises(UsageError, match=sentence):
        compare(one, dataclasses.replace(one, **change))


def test_a_difference_prints_its_interval_its_counts_and_its_verdict():
    text = str(paired_difference(right(1000, *range(40)), right(1000, *range(30, 45))))
    assert text.startswith("+2.50 points (")
    assert "30 images only the first has right" not in text
    assert "5 images only the first has right, 30 only the second; McNemar p=2.2e-05, decided" in text


def test_the_images_needed_give_about_the_power_that_was_asked_for():
    n = pair(20, 35, 1000).images_needed
    rng = np.random.default_rng(17)
    counts = rng.multinomial(n, [0.020, 0.035, 0.945], size=1500)
    decided = [mcnemar_p_value(int(b), int(c)) < 0.05 for b, c, _ in counts]
    assert np.mean(decided) == pytest.approx(0.8, abs=0.04)


def test_the_images_needed_worked_by_hand():
    # (1.960 sqrt(0.6) + 0.8416 sqrt(0.6 - 0.4^2))^2 / 0.4^2 = 26.95
    assert pair(10, 50, 100).images_needed == 27


def test_no_number_of_images_decides_between_equals():
    assert pair(7, 7, 100).images_needed is None
    assert to_json(paired_difference(right(10, 1), right(10, 2)))["images_needed"] is None


@pytest.mark.parametrize("difference", [0.0005, 0.001, 0.002, 0.005])
def test_the_seeds_needed_reach_the_power_by_scipys_noncentral_t(difference):
    sd = 0.0015

    def power(n: int) -> float:
        return stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, difference / sd * np.sqrt(n))

    n = seeds_needed(difference, sd)
    assert power(n) >= 0.79
    assert n == 2 or power(n - 1) < 0.82


def test_no_difference_and_a_hopeless_one_need_more_seeds_than_can_be_named():
    assert seeds_needed(0.0, 0.001) is None
    assert seeds_needed(1e-6, 0.01) is None
    assert seeds_needed(0.01, 0.0) == 2


def test_holm_worked_by_hand_keeps_the_order_given():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_holm_never_lowers_a_p_value_and_keeps_their_ranking(p_values):
    raised = holm(p_values)
    assert all(p <= r <= 1 for p, r in zip(p_values, raised, strict=True))
    ranked = [raised[i] for i in sorted(range(len(p_values)), key=p_values.__getitem__)]
    assert ranked == sorted(ranked)


def test_three_models_give_three_pairs_with_raised_p_values(votes):
    labels = [0] * 30
    named = {
        "good": votes([0] * 30, labels, 2),
        "bad": votes([1] * 12 + [0] * 18, labels, 2),
        "fair": votes([1] * 5 + [0] * 25, labels, 2),
    }
    pairs = compare_all(named)
    assert [(p.first, p.second) for p in pairs] == [("good", "bad"), ("good", "fair"), ("bad", "fair")]
    assert [p.decided for p in pairs] == [True, False, True]
    assert pairs[0].holm_p_value == pytest.approx(3 * pairs[0].difference.p_value)
    assert json.loads(json.dumps(to_json(pairs[0])))["decided"] is True


def test_one_model_is_no_comparison(votes):
    with pytest.raises(UsageError, match="at least two"):
        compare_all({"alone": votes([0], [0], 2)})
