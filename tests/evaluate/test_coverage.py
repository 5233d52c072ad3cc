"""Intervals hold the truth as often as they say; the long form is `python -m tests.evaluate.coverage`."""

from __future__ import annotations

from tests.evaluate.coverage import coverages


def test_every_kind_of_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rows = coverages(sets=1_000)
    assert len({row.interval for row in rows}) == 6
    for row in rows:
        low, high = row.held.interval(0.9999)
        assert high > (0.95 if row.interval != "calibration" else 0.9), row
        assert row.n < 1_000 or row.interval == "level_among" or low < 0.96, row
