"""How often the intervals hold the truth: `python -m tests.metrics.interval_coverage [--sets N] [--out FILE.json]`.

Each row imagines many test sets, or many groups of seeds, whose truth is known, and counts the intervals that hold it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tests.measured import write_measured
from tests.metrics.made import simulated_answers

from snellen.metrics.calibration import calibration, expected_calibration_error
from snellen.metrics.compare import paired_difference
from snellen.metrics.intervals import (
    Rate,
    bootstrap_interval,
    level_among,
    mean_over_seeds,
    paired_difference_over_seeds,
)
from snellen.serialize import to_json

SETS = 20_000
SLOW = 20
"""Rows that draw a bootstrap for every set take this fraction of the sets."""


@dataclass(frozen=True)
class Coverage:
    """How often one kind of interval held the truth.

    Attributes:
        interval: the function that makes it.
        of: what it is an interval of.
        n: images or seeds behind each interval.
        sets: how many intervals were made.
        promised: share that should hold the truth.
        held: share that did, with its own Wilson interval.
    """

    interval: str
    of: str
    n: int
    sets: int
    promised: float
    held: Rate

    def to_json(self) -> dict[str, Any]:
        """All fields."""
        return asdict(self) | {"held": to_json(self.held)}

    def __str__(self) -> str:
        return f"{self.interval:30} {self.of:50} n={self.n:<6} {self.held.text(2)}"


def coverages(sets: int = SETS) -> list[Coverage]:
    """All rows, by simulation with fixed seeds.

    Args:
        sets: imagined test sets or groups of seeds per row; rows that bootstrap take a twentieth of them.
    """
    few = max(1, sets // SLOW)
    rates = [(0.5, 50), (0.9, 100), (0.94, 1_000), (0.94, 5_000), (0.94, 10_000), (0.99, 300)]
    return [
        *(_row("Rate.interval", f"accuracy {p:g}", n, sets, _rate(p, n)) for p, n in rates),
        _row("level_among", "the best of 5 models of 0.94", 10_000, sets, _best_of(5, 0.94, 10_000)),
        *(
            _row("Rate.best_of", f"best of {epochs} epochs, {alike:.0%} alike, accuracy {p:g}", n, sets, chosen)
            for epochs, alike, p, n in ((40, 0.0, 0.8, 41), (40, 0.8, 0.8, 41), (12, 0.9, 0.94, 1_000))
            for chosen in (_best_epoch(epochs, alike, p, n),)
        ),
        *(_row("mean_over_seeds", "0.94, sd 0.0015", n, sets, _seeds(n)) for n in (2, 3, 5, 10)),
        *(_row("paired_difference_over_seeds", "0.002, sd 0.0015", n, sets, _paired_seeds(n)) for n in (3, 5)),
        *(_row("paired_difference", "0.94 and 0.95, 5 % differ", n, few, _pair(n)) for n in (500, 1_000, 5_000)),
        *(_row("bootstrap_interval", "balanced accuracy, 10 classes", n, few, _bootstrap(n)) for n in (500, 2_000)),
        *(
            _row("calibration", f"ECE, logits times {factor:g}", n, few, _ece(n, factor))
            for n in (1_000, 5_000)
            for factor in (1.0, 1.3, 2.0)
        ),
    ]


def _row(interval: str, of: str, n: int, sets: int, holds: Callable[[int], bool]) -> Coverage:
    return Coverage(interval, of, n, sets, 0.95, Rate(sum(holds(at) for at in range(sets)), sets))


def _within(interval: tuple[float | None, float | None], truth: float) -> bool:
    low, high = interval
    assert low is not None
    assert high is not None
    return low <= truth <= high


def _rate(p: float, n: int) -> Callable[[int], bool]:
    rng = np.random.default_rng(1)
    return lambda _: _within(Rate(int(rng.binomial(n, p)), n).interval(), p)


def _best_of(models: int, p: float, n: int) -> Callable[[int], bool]:
    rng = np.random.default_rng(2)
    return lambda _: _within(Rate(int(rng.binomial(n, p, models).max()), n).interval(level_among(models)), p)


def _best_epoch(epochs: int, alike: float, p: float, n: int) -> Callable[[int], bool]:
    """Epochs that differ by nothing but chance; of `alike` of the images all of them have the same right."""
    rng, shared = np.random.default_rng(7), round(alike * n)

    def holds(_: int) -> bool:
        hits = rng.binomial(shared, p) + rng.binomial(n - shared, p, epochs).max()
        return _within(Rate(int(hits), n, epochs).interval(), p)

    return holds


def _seeds(n: int) -> Callable[[int], bool]:
    rng = np.random.default_rng(3)

    def holds(_: int) -> bool:
        summary = mean_over_seeds(rng.normal(0.94, 0.0015, n).tolist())
        return _within((summary.low, summary.high), 0.94)

    return holds


def _paired_seeds(n: int) -> Callable[[int], bool]:
    rng = np.random.default_rng(4)

    def holds(_: int) -> bool:
        first = rng.normal(0.9, 0.01, n)  # what the seeds share cancels
        second = first + rng.normal(0.002, 0.0015, n)
        difference = paired_difference_over_seeds(first.tolist(), second.tolist())
        return _within((difference.low, difference.high), 0.002)

    return holds


def _pair(n: int) -> Callable[[int], bool]:
    rng = np.random.default_rng(5)

    def holds(_: int) -> bool:
        kind = rng.choice(4, n, p=[0.92, 0.02, 0.03, 0.03])  # both right, only the first, only the second, neither
        found = paired_difference(kind < 2, (kind == 0) | (kind == 2))
        return _within((found.low, found.high), 0.01)

    return holds


def _bootstrap(n: int) -> Callable[[int], bool]:
    rng, recalls = np.random.default_rng(6), np.linspace(0.85, 0.99, 10)

    def holds(at: int) -> bool:
        labels = rng.integers(0, 10, n)
        right = rng.random(n) < recalls[labels]

        def balanced(index: np.ndarray) -> float:
            counts = np.bincount(labels[index], minlength=10)
            return float(
                (np.bincount(labels[index], weights=right[index], minlength=10) / np.maximum(counts, 1)).mean()
            )

        return _within(bootstrap_interval(balanced, n, draws=400, seed=at), float(recalls.mean()))

    return holds


def _ece(n: int, overconfidence: float) -> Callable[[int], bool]:
    truth = _true_ece(overconfidence)

    def holds(at: int) -> bool:
        report = calibration(simulated_answers(n, seed=at, overconfidence=overconfidence), draws=200)
        return _within((report.low, report.high), truth)

    return holds


@cache
def _true_ece(overconfidence: float) -> float:
    """0 of calibrated answers; of others the binned error of very many images."""
    if overconfidence == 1:
        return 0.0
    return expected_calibration_error(simulated_answers(400_000, seed=10**6, overconfidence=overconfidence))


def main() -> None:
    """Print all rows and, where asked for, write a JSON file."""
    parser = argparse.ArgumentParser(prog="python -m tests.metrics.interval_coverage", description=__doc__)
    parser.add_argument("--sets", type=int, default=SETS, help="imagined test sets per row")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="where to write the rows")
    options = parser.parse_args()
    began = time.monotonic()
    rows = coverages(options.sets)
    print(*rows, sep="\n")
    if options.out:
        write_measured(
            options.out,
            module="tests.metrics.interval_coverage",
            what="share of 95 % intervals that held the truth, in simulated test sets and groups of seeds",
            began=began,
            n=sum(row.sets for row in rows),
            rows=[to_json(row) for row in rows],
        )


if __name__ == "__main__":
    main()
