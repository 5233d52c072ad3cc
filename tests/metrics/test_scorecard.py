from __future__ import annotations

import dataclasses
import json
from itertools import combinations

import numpy as np
import pytest

from snellen.errors import UsageError
from snellen.metrics.intervals import Rate
from snellen.metrics.scorecard import scorecard
from snellen.serialize import to_json


@pytest.fixture
def with_views(votes):
    """Four images; the plain view has two right, the averaged views three."""
    plain = votes([0, 1, 0, 0], [0, 1, 1, 1], 3)
    averaged = votes([0, 1, 1, 0], [0, 1, 1, 1], 3).logits
    return dataclasses.replace(plain, tta="flip", tta_logits=averaged)


def test_plain_and_averaged_stand_side_by_side_with_their_paired_difference(with_views):
    card = scorecard(with_views)
    assert card.plain.accuracy == Rate(2, 4)
    assert (card.tta, card.with_tta.accuracy) == ("flip", Rate(3, 4))
    assert (card.tta_gain.only_first, card.tta_gain.only_second) == (0, 1)
    assert str(card).startswith("val accuracy 50.00 % (")
    assert "; with flip 75.00 % (" in str(card)
    assert "+25.00 points" in str(card)


def test_without_views_there_is_no_second_score(votes):
    card = scorecard(votes([0], [0], 3))
    assert (card.tta, card.with_tta, card.tta_gain) == ("none", None, None)
    assert str(card) == "val accuracy 100.00 % (20.65-100.00, n=1)"


def test_json_holds_everything_as_plain_values(with_views):
    written = json.loads(json.dumps(to_json(scorecard(with_views)), allow_nan=False))
    assert written["n"] == 4
    assert written["plain"]["accuracy"]["hits"] == 2
    assert written["tta_gain"]["value"] == 0.25
    assert written["classes"][2]["recall"] is None
    assert written["majority_class"] == "b"
    assert written["worst_pairs"][0]["count"] == 2


@pytest.mark.parametrize(("classes", "has_top5"), [(5, False), (6, True)])
def test_the_five_best_are_counted_only_where_there_are_more_than_five_classes(votes, classes, has_top5):
    assert (scorecard(votes([0], [0], classes)).plain.top5 is not None) is has_top5


def test_the_ten_worst_of_all_pairs_are_kept(votes):
    predicted, labels = np.triu_indices(9, k=1)
    mixed = votes(predicted, labels, 9)
    pairs = [(pair.first, pair.second) for pair in scorecard(mixed).worst_pairs]
    assert pairs == list(combinations(mixed.class_names, 2))[:10]  # of equal counts in the order of classes


def test_pictures_without_labels_are_not_graded(votes):
    with pytest.raises(UsageError, match="no label"):
        scorecard(votes([0], [-1], 2))


def test_equal_predictions_give_equal_cards(with_views):
    assert scorecard(with_views) == scorecard(dataclasses.replace(with_views, ids=np.arange(4) + 10))
