from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from snellen.errors import UsageError
from snellen.metrics.compare import (
    PairedDifference,
    compare,
    holm,
    mcnemar_p_value,
    paired_difference,
    seeds_needed,
    shared,
)
from snellen.metrics.intervals import Rate, bootstrap_interval
from snellen.predict.predictions import Predictions
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
    first, second = np.random.default_rng(14).random((2, 1500, 400)) < 0.9
    counts = zip((first & ~second).sum(axis=1).tolist(), (second & ~first).sum(axis=1).tolist(), strict=True)
    alarms = [mcnemar_p_value(*count) < 0.05 for count in counts]
    assert np.mean(alarms) <= 0.06


def test_rows_in_another_order_give_the_same_difference(simulated):
    first = simulated(60, seed=15)
    second = dataclasses.replace(first, logits=simulated(60, seed=16).logits)
    order = np.random.default_rng(0).permutation(60)
    mixed = dataclasses.replace(
        second, logits=second.logits[order], labels=second.labels[order], ids=second.ids[order]
    )  # fmt: skip
    assert compare(first, second) == compare(first, mixed)
    chosen = compare(dataclasses.replace(first, best_of=3), dataclasses.replace(mixed, best_of=5))
    assert (chosen.first.best_of, chosen.second.best_of) == (3, 5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ids": np.array([0, 1, 7])}, "are other images, or come from a version that did not keep which"),
        ({"labels": np.array([0, 1, 1])}, "share 3 images, 1 of them under another label"),
        ({"class_names": ("x", "y", "z")}, "different classes"),
        ({"split": "test"}, "made val .3 images. and made test .* no picture in common"),
        ({"ids": np.array([0, 1, 1])}, "hold an image id twice"),
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


def test_the_images_needed_worked_by_hand():
    # (1.960 sqrt(0.6) + 0.8416 sqrt(0.6 - 0.4^2))^2 / 0.4^2 = 26.95
    assert pair(10, 50, 100).images_needed == 27


def test_the_images_needed_give_about_the_power_that_was_asked_for():
    n = pair(20, 35, 1000).images_needed
    rng = np.random.default_rng(17)
    counts = rng.multinomial(n, [0.020, 0.035, 0.945], size=1500)
    decided = [mcnemar_p_value(int(b), int(c)) < 0.05 for b, c, _ in counts]
    assert np.mean(decided) == pytest.approx(0.8, abs=0.04)


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
    assert seeds_needed(0.01, 0.0) == 3
    # 2.8 squared, 7.85, times the noise squared: 35 and 36 deviations lie on either side of 10,000.
    assert seeds_needed(0.001, 0.0355) in range(9_800, 10_001)
    assert seeds_needed(0.001, 0.0360) is None


def test_holm_worked_by_hand_keeps_the_order_given():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_holm_never_lowers_a_p_value_and_keeps_their_ranking(p_values):
    raised = holm(p_values)
    assert all(p <= r <= 1 for p, r in zip(p_values, raised, strict=True))
    ranked = [raised[i] for i in sorted(range(len(p_values)), key=p_values.__getitem__)]
    assert ranked == sorted(ranked)


def kept(name: str, identities: list[int], labels: list[int]) -> Predictions:
    """Answers whose logits say which picture they are of, with names and places that differ from file to file."""
    count = len(identities)
    logits = np.stack([identities, np.zeros(count)], axis=1).astype(np.float32)
    return Predictions(
        logits, np.array(labels, dtype=np.int64), np.arange(count), ("a", "b"), "val", data=name,
        names=tuple(f"{name}/{place}.png" for place in range(count)), identities=np.array(identities, dtype=np.uint64),
    )  # fmt: skip


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=12), min_size=2, max_size=4))
@settings(max_examples=150, deadline=None)
def test_models_are_held_together_on_the_pictures_that_all_have_however_often(contents):
    sides = [kept(f"folder {at}", own, [0] * len(own)) for at, own in enumerate(contents)]
    expected = Counter(contents[0])
    for own in contents[1:]:
        expected &= Counter(own)
    if not expected:
        with pytest.raises(UsageError, match="no picture in common"):
            shared(sides)
        return
    found = shared(sides)
    for one in found.predictions:
        assert Counter(one.logits[:, 0].astype(int).tolist()) == expected
        np.testing.assert_array_equal(one.logits, found.predictions[0].logits)
    assert (found.asked, found.relabelled) == (tuple(map(len, contents)), 0)


def test_where_pictures_were_relabelled_the_label_that_counts_is_everybodys_and_each_is_counted_once():
    old, new = kept("old", [5, 6, 7, 8], [0, 0, 1, 0]), kept("new", [7, 5, 9, 8], [1, 1, 0, 1])
    found = shared([old, new])
    assert [one.labels.tolist() for one in found.predictions] == [[1, 1, 1]] * 2
    assert found.relabelled == shared([old, old, new]).relabelled == 2
    assert shared([old, new], labels_of=0).predictions[1].labels.tolist() == [0, 1, 0]
    assert [one.names for one in found.predictions] == [
        ("old/0.png", "old/2.png", "old/3.png"), ("new/1.png", "new/0.png", "new/3.png"),
    ]  # fmt: skip
