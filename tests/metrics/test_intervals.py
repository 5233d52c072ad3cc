from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from snellen.errors import UsageError
from snellen.metrics.intervals import (
    Rate,
    bootstrap_interval,
    level_among,
    mean_over_seeds,
    paired_difference_over_seeds,
    student_t_quantile,
)
from snellen.serialize import to_json


def test_a_rate_prints_itself_with_interval_and_n():
    assert str(Rate(9410, 10_000)) == "94.1 % (93.6-94.5, n=10000)"
    assert Rate(9410, 10_000).text(2) == "94.10 % (93.62-94.55, n=10000)"


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (7, 10), (940, 1000), (9400, 10_000), (0, 50), (50, 50)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_interval_equals_scipys(hits, n, level):
    expected = stats.binomtest(hits, n).proportion_ci(level, method="wilson")
    assert Rate(hits, n).interval(level) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(1, 10**6), st.data())
@settings(max_examples=60, deadline=None)
def test_wilson_interval_holds_the_rate_and_stays_between_0_and_1(n, data):
    rate = Rate(data.draw(st.integers(0, n)), n)
    low, high = rate.interval()
    assert (rate.low, rate.high) == (low, high)
    assert 0 <= low <= rate.value <= high <= 1
    assert low < high
    mirrored = Rate(n - rate.hits, n).interval()
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(("p", "n"), [(0.5, 50), (0.9, 100), (0.94, 1000), (0.99, 300)])
def test_wilson_interval_holds_the_truth_in_about_95_of_100_test_sets(p, n):
    hits = np.random.default_rng(1).binomial(n, p, size=4000)
    covered = [low <= p <= high for low, high in (Rate(int(h), n).interval() for h in hits)]
    assert 0.925 < np.mean(covered) < 0.98


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_a_rate_of_nothing_or_of_too_much_is_refused(hits, n):
    with pytest.raises(UsageError, match=f"{n}"):
        Rate(hits, n)


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 9, 10, 29, 200, 999])
@pytest.mark.parametrize("probability", [0.01, 0.3, 0.5, 0.8, 0.975, 0.9999])
def test_student_t_quantile_equals_scipys(degrees, probability):
    expected = stats.t.ppf(probability, degrees)
    assert student_t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_three_seeds_print_mean_half_width_sd_and_n():
    summary = mean_over_seeds([0.9396, 0.9406, 0.9416])
    assert str(summary) == "94.06 ± 0.25 % (sd 0.10, n=3 seeds)"
    for level in (0.95, 0.8):
        found = mean_over_seeds([0.9396, 0.9406, 0.9416], level=level)
        assert (found.low, found.high) == pytest.approx(stats.t.interval(level, 2, 0.9406, 0.001 / math.sqrt(3)))


def test_one_seed_prints_no_plus_minus():
    summary = mean_over_seeds([0.9406])
    assert str(summary) == "94.06 % (n=1 seed)"
    assert to_json(summary) == {"mean": 0.9406, "sd": None, "n": 1, "low": None, "high": None}


def test_seeds_that_all_gave_the_same_have_no_interval_and_say_so():
    assert str(mean_over_seeds([0.9406] * 3)) == "94.06 % (the same 3 times)"
    difference = paired_difference_over_seeds([0.5, 0.6, 0.7], [0.6, 0.7, 0.8])
    assert str(difference) == "+10.00 points (the same in 3 pairs of seeds)"
    assert (difference.low, difference.high, difference.half_width, difference.excludes_zero) == (None,) * 3 + (False,)


def test_the_t_interval_holds_the_true_mean_in_95_of_100_sets_of_three_seeds():
    draws = np.random.default_rng(2).normal(0.94, 0.0015, size=(3000, 3))
    summaries = [mean_over_seeds(list(row)) for row in draws]
    covered = np.mean([s.low <= 0.94 <= s.high for s in summaries])
    assert 0.935 < covered < 0.965


def test_a_paired_difference_equals_scipys_paired_t_interval():
    first, second = [0.91, 0.92, 0.90, 0.93], [0.915, 0.928, 0.904, 0.939]
    difference = paired_difference_over_seeds(first, second)
    expected = stats.ttest_rel(second, first).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx((expected.low, expected.high))
    assert difference.excludes_zero
    assert str(difference).startswith("+0.65 ± ")
    fallen = paired_difference_over_seeds(second, first, level=0.9)
    assert (-fallen.high, -fallen.low) == pytest.approx(stats.ttest_rel(second, first).confidence_interval(0.9))
    assert fallen.excludes_zero


def test_two_pairs_of_seeds_decide_nothing_however_alike():
    difference = paired_difference_over_seeds([0.5, 0.5], [0.7, 0.7001])
    assert difference.low > 0
    assert not difference.excludes_zero


def test_one_pair_of_seeds_decides_nothing():
    difference = paired_difference_over_seeds([0.5], [0.9])
    assert not difference.excludes_zero
    assert str(difference) == "+40.00 points (n=1 pair of seeds)"


@pytest.mark.parametrize("values", [[], [0.9, math.nan]])
def test_a_mean_of_nothing_or_of_a_failed_run_is_refused(values):
    with pytest.raises(UsageError):
        mean_over_seeds(values)


def test_pairs_with_a_missing_seed_are_refused():
    with pytest.raises(UsageError, match="3 and 2"):
        paired_difference_over_seeds([0.1, 0.2, 0.3], [0.1, 0.2])


def test_the_bootstrap_of_a_mean_equals_its_normal_interval_and_repeats_itself():
    values = np.random.default_rng(3).normal(2.0, 1.0, 400)
    low, high = bootstrap_interval(lambda index: float(values[index].mean()), 400)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    assert (low, high) == bootstrap_interval(lambda index: float(values[index].mean()), 400)


def test_the_basic_bootstrap_mirrors_the_percentiles_at_the_estimate():
    values = np.random.default_rng(4).exponential(size=100)

    def largest(index: np.ndarray) -> float:
        return float(values[index].max())

    low, high = bootstrap_interval(largest, 100)
    mirrored = bootstrap_interval(largest, 100, method="basic")
    assert mirrored == pytest.approx((2 * values.max() - high, 2 * values.max() - low))


def test_each_further_look_widens_the_interval_and_the_first_leaves_it_alone():
    rate = Rate(9_400, 10_000)
    widths = [high - low for low, high in (rate.interval(level_among(looks)) for looks in (1, 2, 5, 20))]
    assert widths == sorted(set(widths))
    assert rate.interval(level_among(1)) == rate.interval()


def test_the_best_of_five_equal_models_lies_inside_its_widened_interval_in_95_of_100_tries():
    rng = np.random.default_rng(0)
    hits = rng.binomial(2_000, 0.9, (2_000, 5)).max(axis=1)
    held = [Rate(int(best), 2_000).interval(level_among(5))[0] <= 0.9 for best in hits]
    narrow = [Rate(int(best), 2_000).interval()[0] <= 0.9 for best in hits]
    assert np.mean(held) > 0.95
    assert np.mean(narrow) < 0.92
