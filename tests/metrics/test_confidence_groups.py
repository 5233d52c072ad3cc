from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.metrics import confidence as confidence_file
from snellen.metrics.confidence import confidence_groups, margins
from snellen.serialize import to_json


def test_six_images_land_in_their_groups_sorted_by_what_matters(answers):
    table = [
        [0.80, 0.10, 0.10],  # 0 right, sure
        [0.95, 0.03, 0.02],  # 1 right, surer
        [0.45, 0.44, 0.11],  # 2 right, a toss-up
        [0.40, 0.35, 0.25],  # 3 wrong, nervous
        [0.90, 0.08, 0.02],  # 4 wrong, sure
        [0.90, 0.0001, 0.0999],  # 5 wrong, as sure, and the truth ruled out
    ]
    kept = confidence_groups(answers(table, [0, 0, 0, 1, 1, 1]))
    assert [group.name for group in kept] == [
        "sure and right",
        "nervous and right",
        "nervous and wrong",
        "confidently wrong",
    ]
    assert [group.index.tolist() for group in kept] == [[1, 0], [2], [3], [5, 4]]
    assert kept[0].share.n == 6
    assert "at least 50 points" in kept[0].rule
    assert to_json(kept[3])["first_ids"] == [5, 4]


def test_images_of_equal_keys_keep_the_order_of_their_rows(votes):
    rows = np.arange(120)
    mixed = votes([0] * 120, rows % 2, 3)
    mixed.logits[rows % 4 < 2] *= 2  # surer
    right, wrong = ([*rows[rows % 4 == own], *rows[rows % 4 == own + 2]] for own in (0, 1))
    assert [group.index.tolist() for group in confidence_groups(mixed)] == [right, [], [], wrong]


def test_a_margin_at_the_threshold_counts_as_sure(votes, monkeypatch):
    # 9 against 1: 0.9 - 0.1 = 0.8
    monkeypatch.setattr(confidence_file, "_SURE", float(margins(votes([0], [0], 2))[0]))
    kept = confidence_groups(votes([0], [0], 2))
    assert kept[0].share.hits == 1


def test_where_most_leads_are_small_the_larger_half_of_them_is_sure(simulated):
    predictions = simulated(201, classes=64, seed=0)
    timid = replace(predictions, logits=predictions.logits * np.float32(0.2))
    assert margins(timid).max() < 0.5
    kept = confidence_groups(timid)
    assert kept[0].share.hits + kept[3].share.hits == 101
    assert kept[3].share.hits > 0
    assert f"the median of {100 * np.median(margins(timid)):.1f} points" in kept[3].rule


@given(st.integers(0, 10**6), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_every_image_lies_in_exactly_one_group(simulated, seed, n):
    predictions = simulated(n, classes=4, seed=seed)
    kept = confidence_groups(predictions)
    together = np.concatenate([group.index for group in kept])
    assert sorted(together.tolist()) == list(range(n))
    assert sum(group.share.hits for group in kept[:2]) == predictions.correct.sum()
