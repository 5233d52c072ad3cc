from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.metrics.confidence import risk_coverage
from snellen.serialize import to_json


def sure(*confidences: float) -> list[list[float]]:
    return [[c, 1 - c] for c in confidences]


def test_the_curve_worked_by_hand(answers):
    curve = risk_coverage(answers(sure(0.9, 0.6, 0.8, 0.7), [0, 1, 1, 0]))  # by confidence: right, wrong, right, wrong
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert curve.risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert curve.area == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert curve.excess_area == pytest.approx(curve.area - (1 / 3 + 2 / 4) / 4)


def test_a_ranking_that_puts_every_error_last_has_no_excess(answers):
    assert risk_coverage(answers(sure(0.9, 0.8, 0.6), [0, 0, 1])).excess_area == pytest.approx(0)


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_the_curve_ends_at_the_error_rate_and_ignores_the_order_also_among_ties(answers, seed, n):
    rng = np.random.default_rng(seed)
    table, labels = sure(*rng.choice([0.6, 0.7, 0.9], n)), rng.integers(0, 2, n)
    curve, order = risk_coverage(answers(table, labels)), rng.permutation(n)
    other = risk_coverage(answers([table[i] for i in order], labels[order]))
    assert other.risk == pytest.approx(curve.risk)
    assert curve.risk[-1] == pytest.approx((labels != 0).mean())
    assert curve.excess_area >= -1e-12


def test_json_keeps_both_ends_of_a_long_curve(simulated):
    written = json.loads(json.dumps(to_json(risk_coverage(simulated(500))), allow_nan=False))
    coverage = written["curve"]["coverage"]
    assert len(coverage) == len(written["curve"]["risk"]) == 101
    assert (coverage[0], coverage[-1]) == (1 / 500, 1.0)
