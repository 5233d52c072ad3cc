from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from snellen.errors import UsageError
from snellen.metrics.calibration import fit_temperature, rescaled
from snellen.metrics.classification import hard_cross_entropy
from snellen.serialize import to_json


@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 2.5])
def test_a_planted_temperature_is_found_again(simulated, overconfidence):
    fit = fit_temperature(simulated(6000, seed=10, overconfidence=overconfidence))
    assert fit.temperature == pytest.approx(overconfidence, rel=0.05)
    assert not fit.at_bound


def test_the_fit_equals_scipys_minimum(simulated):
    val = simulated(800, seed=11, overconfidence=1.7)
    expected = minimize_scalar(lambda t: hard_cross_entropy(rescaled(val, t)), bounds=(0.5, 5), method="bounded")
    assert fit_temperature(val).temperature == pytest.approx(expected.x, rel=1e-3)


@given(st.integers(0, 10**6), st.integers(1, 50), st.floats(0.2, 5))
@settings(max_examples=25, deadline=None)
def test_fitting_never_raises_the_loss_and_never_changes_an_answer(simulated, seed, n, overconfidence):
    val = simulated(n, classes=3, seed=seed, overconfidence=overconfidence)
    fit = fit_temperature(val)
    assert fit.nll_after <= fit.nll_before + 1e-9
    np.testing.assert_array_equal(rescaled(val, fit.temperature).predicted, val.predicted)


def test_overconfidence_is_mended(simulated):
    fit = fit_temperature(simulated(3000, seed=12, overconfidence=3.0))
    assert fit.ece_after < 0.3 * fit.ece_before
    assert str(fit).startswith("temperature 3.")
    assert to_json(fit)["n"] == 3000


@pytest.mark.parametrize("split", ["test", "train", "new"])
def test_any_split_but_val_is_refused(simulated, split):
    with pytest.raises(UsageError, match=f"val only, not on '{split}'"):
        fit_temperature(simulated(20, split=split))


@pytest.mark.parametrize(("answers", "temperature"), [([0, 1, 2], 0.05), ([1, 2, 0], 20.0)])
def test_a_model_that_is_always_right_or_always_wrong_says_that_the_search_hit_its_limit(votes, answers, temperature):
    fit = fit_temperature(votes(answers, [0, 1, 2], 3))
    assert fit.at_bound
    assert fit.temperature == pytest.approx(temperature, rel=1e-3)


def test_where_no_temperature_changes_anything_the_model_is_left_as_it_is(answers):
    blind, certain = answers(np.full((6, 3), 1 / 3), [0, 1, 2] * 2), answers(np.eye(3), [0, 1, 2])
    certain.logits[:] = 1000 * np.eye(3)
    for known in (blind, certain):
        fit = fit_temperature(known)
        assert (fit.temperature, fit.at_bound, fit.nll_after) == (1.0, True, fit.nll_before)


def test_averaged_logits_are_divided_too(votes):
    both = dataclasses.replace(votes([0], [0], 2), tta="flip", tta_logits=np.array([[4.0, 2.0]], dtype=np.float32))
    assert rescaled(both, 2.0).tta_logits.tolist() == [[2.0, 1.0]]
    assert rescaled(both, 2.0).logits.dtype == np.float32
