from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest

from snellen.errors import UsageError
from snellen.metrics.label_issues import label_issues, log_odds, self_confidence
from snellen.serialize import to_json


@pytest.fixture(scope="module")
def with_flips(votes):
    """2,000 images of a model that is right on about 97 % (82 % at noise 2); and the rows with replaced labels."""

    def build(share: float, noise: float = 1.4):
        rng = np.random.default_rng(19)
        truth = rng.integers(0, 10, 2000)
        labels, rows = truth.copy(), rng.choice(2000, int(share * 2000), replace=False)
        labels[rows] = (labels[rows] + rng.integers(1, 10, len(rows))) % 10
        noisy = votes(truth, labels, 10)
        noisy.logits[:] = 2.4 * noisy.logits + noise * rng.normal(size=(2000, 10))
        return noisy, set(rows.tolist())

    return build


def test_doubts_worked_by_hand(answers):
    # Labelled a: 0.9, 0.8, 0.1 -> threshold 0.6; labelled b: 0.7, 0.9 -> threshold 0.8.
    known = answers([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.1, 0.9]], [0, 0, 0, 1, 1])
    doubts = label_issues(known)
    assert doubts.index.tolist() == [2]
    assert [(issue.given, issue.suggested) for issue in doubts.issues] == [("a", "b")]
    assert doubts.issues[0].probability_given == pytest.approx(0.1)
    assert log_odds(known)[2] == pytest.approx(np.log(0.1 / 0.9))


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_log_odds_are_between_the_label_and_the_most_probable_other_class(answers, classes):
    rng = np.random.default_rng(classes)
    known = answers(rng.dirichlet(np.ones(classes), 40).tolist(), rng.integers(0, classes, 40).tolist())
    for row, (label, probabilities) in enumerate(zip(known.labels, known.probabilities, strict=True)):
        other = max(probability for place, probability in enumerate(probabilities) if place != label)
        assert log_odds(known)[row] == pytest.approx(np.log(probabilities[label] / other), abs=1e-5)


def test_a_label_that_the_model_would_answer_too_is_not_doubted(answers):
    # Class b is never seen clearly, so 0.4 is confident for it; yet the fourth image is answered a, as labelled.
    table = [[0.95, 0.03, 0.02]] * 3 + [[0.5, 0.4, 0.1]] + [[0.31, 0.36, 0.33]] * 2
    assert len(label_issues(answers(table, [0, 0, 0, 0, 1, 1])).index) == 0
    table[3] = [0.4, 0.5, 0.1]  # and here it is
    assert label_issues(answers(table, [0, 0, 0, 0, 1, 1])).index.tolist() == [3]


@pytest.mark.parametrize(("share", "precision", "recall"), [(0.01, 0.9, 0.6), (0.05, 0.95, 0.7), (0.10, 0.95, 0.65)])
def test_planted_flips_are_found(with_flips, share, precision, recall):
    noisy, planted = with_flips(share)
    doubts = label_issues(noisy)
    first = set(doubts.index[: len(planted)].tolist())
    assert len(first & planted) / len(first) >= precision
    assert len(set(doubts.index.tolist()) & planted) / len(planted) >= recall


def test_who_is_just_as_sure_as_usual_doubts_and_equal_doubts_keep_the_order_of_their_rows(votes):
    answers, labels = [0] * 40 + [2] * 50, [0] * 40 + [2] * 20 + [0] * 30
    assert label_issues(votes(answers, labels, 3)).index.tolist() == list(range(60, 90))


def test_the_most_suspicious_come_first(with_flips):
    noisy, planted = with_flips(0.05, noise=2.0)
    doubts = label_issues(noisy)
    found = [row in planted for row in doubts.index.tolist()]
    third = len(found) // 3
    assert np.mean(found[:third]) > np.mean(found[-third:]) + 0.1
    odds = log_odds(noisy)[doubts.index]
    assert odds.tolist() == sorted(odds.tolist())


def test_doubts_equal_cleanlabs(with_flips):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own imports are not what is tested
        cleanlab = pytest.importorskip("cleanlab", reason="cleanlab is not installed; it is only this test's oracle")
        from cleanlab.rank import get_self_confidence_for_each_label

    noisy, _ = with_flips(0.05)
    labels, probabilities = noisy.labels, noisy.probabilities
    doubts = label_issues(noisy)
    issues = cleanlab.filter.find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    np.testing.assert_array_equal(np.sort(doubts.index), np.flatnonzero(issues))
    assert self_confidence(noisy) == pytest.approx(get_self_confidence_for_each_label(labels, probabilities))


def test_a_class_without_images_is_never_suggested(simulated):
    predictions = simulated(300, classes=4, seed=20)
    labels = np.where(predictions.labels == 3, 0, predictions.labels)
    doubts = label_issues(dataclasses.replace(predictions, labels=labels))
    assert predictions.class_names[3] not in {issue.suggested for issue in doubts.issues}


def test_a_clean_set_has_few_doubts_and_json_counts_them(votes):
    doubts = label_issues(votes([0, 1, 2], [0, 1, 2], 3))
    assert json.loads(json.dumps(to_json(doubts), allow_nan=False))["count"] == 0


def test_json_is_cut_but_counts_all(with_flips):
    found = label_issues(with_flips(0.2)[0])
    written = to_json(found)
    assert written["count"] == len(found.issues) > len(written["first_issues"]) == 100


def test_a_models_own_training_images_are_refused(simulated):
    with pytest.raises(UsageError, match="knows by heart"):
        label_issues(simulated(100, split="train"))
