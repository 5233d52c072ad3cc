"""The threshold for a wanted accuracy: as many val pictures as can be, and a bound that allows for the choice."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.errors import InvalidSetting, UsageError
from snellen.metrics import confidence as confidence_file
from snellen.metrics.confidence import reject_rule, reject_rule_of
from snellen.predict.predictions import Predictions
from snellen.runs.run import Run


def answered(sure: np.ndarray, right: np.ndarray) -> Predictions:
    """Answers of two classes that are as sure as told, in (0.5, 1), and right where told."""
    logits = np.stack([np.log(sure / (1 - sure)), np.zeros(len(sure))], axis=1).astype(np.float32)
    labels = np.where(right, 0, 1).astype(np.int64)
    return Predictions(logits, labels, np.arange(len(sure)), ("a", "b"), "val")


@given(st.lists(st.tuples(st.sampled_from([0.55, 0.6, 0.7, 0.8, 0.9, 0.99]), st.booleans()), min_size=1, max_size=40),
       st.sampled_from([0.3, 0.5, 0.8, 0.9, 0.99]))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_no_threshold_answers_more_and_reaches_it(pictures: list[tuple[float, bool]], accuracy: float) -> None:
    val = answered(np.array([sure for sure, _ in pictures]), np.array([right for _, right in pictures]))
    val = replace(val, best_of=3)
    sure = val.probabilities.max(axis=1)

    def kept(threshold: float) -> np.ndarray:
        return val.correct[sure >= threshold]

    reaching = [len(kept(at)) for at in sure if kept(at).mean() >= accuracy]
    if not reaching:
        with pytest.raises(InvalidSetting, match="No threshold reaches"):
            reject_rule(val, accuracy)
        return
    rule = reject_rule(val, accuracy)
    assert rule.coverage.hits == len(kept(rule.threshold)) == max(reaching)
    assert (rule.answered.hits, rule.answered.n) == (kept(rule.threshold).sum(), len(kept(rule.threshold)))
    assert rule.answered.best_of == 3 * len(np.unique(sure))
    assert (rule.threshold == 0) == (rule.coverage.hits == len(val))


def test_a_runs_rule_is_that_of_its_answers_to_val_averaged_where_views_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sure = np.linspace(0.55, 0.95, 9)
    val, averaged = (answered(each, sure > 0.7) for each in (sure, np.roll(sure, -1)))
    both = replace(val, tta="flip", tta_logits=averaged.logits)
    monkeypatch.setattr(confidence_file, "stored_predictions", lambda run, split: {"val": both}[split])
    run = Run(Path("run"))
    assert reject_rule_of(run, 0.9, tta=False) == reject_rule(val, 0.9)
    assert reject_rule_of(run, 0.9, tta=True) == reject_rule(both.with_tta(), 0.9) != reject_rule(val, 0.9)
    monkeypatch.setattr(confidence_file, "stored_predictions", lambda run, split: None)
    with pytest.raises(UsageError, match="run has no answers to val images"):
        reject_rule_of(run, 0.9, tta=False)


@pytest.mark.parametrize("accuracy", [0.0, 1.0, 99, -1, float("nan")])
def test_an_accuracy_is_a_fraction(accuracy: float) -> None:
    with pytest.raises(InvalidSetting, match="a fraction, such as 0.99"):
        reject_rule(answered(np.array([0.9]), np.array([True])), accuracy)


def test_the_bound_holds_on_new_pictures_although_the_threshold_was_chosen() -> None:
    """Simulated where sureness means nothing, so that every threshold that looks good was luck."""
    rng, rules = np.random.default_rng(3), []
    for _ in range(300):
        val = answered(rng.uniform(0.51, 0.99, 150), rng.random(150) < 0.85)
        with suppress(InvalidSetting):
            rules.append(reject_rule(val, 0.88))
    assert len(rules) > 200
    assert np.mean([rule.answered.value > 0.85 for rule in rules]) > 0.95  # flattered, nearly always
    assert np.mean([rule.answered.low > 0.85 for rule in rules]) <= 0.05  # claims more than is true
