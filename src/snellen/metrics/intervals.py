"""Numbers that cannot be printed without their n: rates over images, means over seeds, and their intervals.

Two different errors are kept apart. An interval over *images* (`Rate`, `bootstrap_interval`) says how far the
score would move with another test set of this size; an interval over *seeds* (`SeedSummary`) says how far the
recipe would move with another random start on the same images. Neither covers the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from snellen.errors import UsageError

normal_quantile = NormalDist().inv_cdf
"""The z below which a probability of a standard normal lies; 0.975 gives 1.96."""


def level_among(looks: int) -> float:
    """Confidence level of an interval that keeps 95 % for the best of `looks` tries on one test set.

    With k tries, each wrong in 5 % / k, all k intervals hold together in at least 95 % (Bonferroni), so the one of
    whichever was chosen does. 1 gives 0.95, 2 gives 0.975.
    """
    assert looks >= 1, "no look gives no number"
    return 1 - 0.05 / looks


@dataclass(frozen=True)
class Rate:
    """`hits` of `n` images: a share that always carries its n.

    Attributes:
        hits: how many, 0 to n.
        n: of how many, at least 1; a share of nothing is not 0 and must be None at the caller.
        best_of: how many models, such as the epochs of a training, had these images to be chosen by, of which this one
            had the most hits; 1 where nothing was chosen by them.

    Raises:
        UsageError: n is below 1 or hits lies outside 0..n.
    """

    json_only: ClassVar[tuple[str, ...]] = ("value", "low", "high", "hits", "n")

    hits: int
    n: int
    best_of: int = 1

    def __post_init__(self) -> None:
        assert self.best_of >= 1, "the one that was chosen is among them"
        if self.n < 1:
            raise UsageError(f"A rate needs at least one image, got n={self.n}. Is the split empty?")
        if not 0 <= self.hits <= self.n:
            raise UsageError(f"A rate of {self.hits} hits out of {self.n} is not possible.")

    @property
    def value(self) -> float:
        """The share, a fraction in [0, 1]."""
        return self.hits / self.n

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.interval()[0]

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.interval()[1]

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The (low, high) of the Wilson interval, in [0, 1]; stays inside them and is never empty, also at 0 and n.

        The best of k looks better than it is. So its low end is where all k low ends hold together (Bonferroni: a k-th
        of the tail). The high end stays: it is at least that of the model that is truly best, which had no more hits.
        Nothing is assumed about how alike the k are.

        Source: Wilson 1927; recommended over the textbook interval by Brown, Cai and DasGupta 2001.
        """
        tail = (1 - level) / 2
        # Both ends are exact there; rounding would otherwise leave 1e-18 or 1 - 1e-16.
        low = 0.0 if self.hits == 0 else self._wilson(normal_quantile(tail / self.best_of))
        high = 1.0 if self.hits == self.n else self._wilson(normal_quantile(1 - tail))
        return low, high

    def _wilson(self, z: float) -> float:
        """One end of the interval, `z` standard errors from the middle, below it where negative."""
        p, n = self.value, self.n
        return (p + z * z / (2 * n) + z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)

    def text(self, decimals: int = 1, level: float = 0.95) -> str:
        """As percent with its interval and n: `94.1 % (93.6-94.5, n=10000)`; and of how many it is the best."""
        chosen = f", best of {self.best_of} epochs" if self.best_of > 1 else ""
        return f"{self.share(decimals, level)[:-1]}, n={self.n}{chosen})"

    def share(self, decimals: int = 1, level: float = 0.95) -> str:
        """As percent with its interval, where n stands beside it: `94.1 % (93.6-94.5)`."""
        low, high = self.interval(level)
        return f"{100 * self.value:.{decimals}f} % ({100 * low:.{decimals}f}-{100 * high:.{decimals}f})"

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class OverSeeds:
    """A mean over seeds.

    Attributes:
        mean: a fraction; 0.01 is one point.
        sd: standard deviation over seeds (n - 1 in the denominator), or None for one seed.
        n: number of seeds, or of pairs of them.
        low: lower end of the Student-t interval for the mean, or None for one seed and where all seeds gave the same:
            a score moves in steps of one image, so that says of the spread only that it is small.
        high: its upper end, or None likewise.
    """

    mean: float
    sd: float | None
    n: int
    low: float | None
    high: float | None

    @property
    def half_width(self) -> float | None:
        """Half of the interval's width, a fraction, or None where there is no interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


class SeedSummary(OverSeeds):
    """Mean over seeds of one recipe's score; the interval covers the choice of seed, not the choice of images."""

    def __str__(self) -> str:
        if self.half_width is None or self.sd is None:
            return f"{100 * self.mean:.2f} % (" + ("n=1 seed)" if self.n == 1 else f"the same {self.n} times)")
        return f"{100 * self.mean:.2f} ± {100 * self.half_width:.2f} % (sd {100 * self.sd:.2f}, n={self.n} seeds)"


class SeedDifference(OverSeeds):
    """Mean difference between two recipes trained with the same seeds, seed by seed (second minus first)."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies wholly on one side of 0; False below three pairs, which decide nothing."""
        return self.n > 2 and self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def __str__(self) -> str:
        if self.half_width is None or self.sd is None:
            pairs = "n=1 pair of seeds" if self.n == 1 else f"the same in {self.n} pairs of seeds"
            return f"{100 * self.mean:+.2f} points ({pairs})"
        spread = f"sd {100 * self.sd:.2f}, n={self.n} pairs of seeds"
        return f"{100 * self.mean:+.2f} ± {100 * self.half_width:.2f} points ({spread})"


def mean_over_seeds(values: Sequence[float], *, level: float = 0.95) -> SeedSummary:
    """Mean, standard deviation and Student-t interval of one score over seeds.

    Args:
        values: one score per seed, fractions in [0, 1].
        level: confidence level of the interval.

    Raises:
        UsageError: no value, or one that is not finite.
    """
    return SeedSummary(*_summary(values, level))


def paired_difference_over_seeds(
    first: Sequence[float], second: Sequence[float], *, level: float = 0.95
) -> SeedDifference:
    """`second` minus `first`, paired by seed: what both runs share (order, initialisation) cancels.

    Args:
        first: scores of the reference, fractions, one per seed.
        second: scores of the other recipe with the same seeds in the same order.
        level: confidence level of the interval.

    Raises:
        UsageError: the two do not have the same number of seeds, or none.
    """
    if len(first) != len(second):
        raise UsageError(
            f"A paired difference needs the same seeds on both sides, got {len(first)} and {len(second)}. "
            "Train the missing seeds, or compare the means unpaired."
        )
    differences = [b - a for a, b in zip(first, second, strict=True)]
    return SeedDifference(*_summary(differences, level))


def _summary(values: Sequence[float], level: float) -> tuple[float, float | None, int, float | None, float | None]:
    if not values:
        raise UsageError("A mean over seeds needs at least one seed.")
    if not all(math.isfinite(value) for value in values):
        raise UsageError(f"A mean over seeds needs finite scores, got {list(values)}. Leave the failed run out.")
    n, mean = len(values), fmean(values)
    sd = stdev(values) if n > 1 else None
    if sd is None or len({round(value, 12) for value in values}) == 1:  # differences of equal steps differ by rounding
        return mean, sd, n, None, None
    half = student_t_quantile(0.5 + level / 2, n - 1) * sd / math.sqrt(n)
    return mean, sd, n, mean - half, mean + half


def student_t_quantile(probability: float, degrees: int) -> float:
    """The t below which `probability` of Student's distribution lies; (0.975, 2) gives 4.303.

    Exact up to rounding: for whole degrees of freedom the distribution function is a finite sum in
    theta = atan(t / sqrt(degrees)) (Abramowitz and Stegun 26.7.3 and 26.7.4), which is bisected.
    """
    assert 0 < probability < 1, "only there is t finite"
    assert degrees >= 1, "it takes two values"
    central = abs(2 * probability - 1)
    low, high = 0.0, math.pi / 2
    for _ in range(80):
        middle = (low + high) / 2
        if _student_t_central(middle, degrees) < central:
            low = middle
        else:
            high = middle
    return math.copysign(math.sqrt(degrees) * math.tan(low), probability - 0.5)


def _student_t_central(theta: float, degrees: int) -> float:
    """P(-t < T < t) for t = sqrt(degrees) tan(theta)."""
    sine, cosine = math.sin(theta), math.cos(theta)
    if degrees % 2:
        term, total = cosine, 0.0 if degrees == 1 else cosine
        for k in range(3, degrees - 1, 2):
            term *= cosine * cosine * (k - 1) / k
            total += term
        return 2 / math.pi * (theta + sine * total)
    term = total = 1.0
    for k in range(2, degrees - 1, 2):
        term *= cosine * cosine * (k - 1) / k
        total += term
    return sine * total


def bootstrap_interval(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    method: Literal["percentile", "basic"] = "percentile",
) -> tuple[float, float]:
    """Interval of any statistic of n images, by drawing n of them again and again with replacement.

    Args:
        statistic: from positions (n,) int64, with repeats, to a number; must not depend on their order.
        n: number of images.
        draws: resamples; the ends are good to about 3 % of the interval's width at 2000.
        level: confidence level.
        seed: fixed, so that the same predictions print the same interval.
        method: "percentile" takes quantiles as they are; "basic" mirrors them at the estimate, which removes the
            bias of statistics that grow with noise, such as a calibration error.

    Source: Efron and Tibshirani 1993, chapters 13 and 14; Davison and Hinkley 1997, section 5.2.
    """
    assert n > 0, "whoever asks has images"
    rng = np.random.default_rng(seed)
    values = np.array([statistic(rng.integers(0, n, n)) for _ in range(draws)])
    tail = (1 - level) / 2
    low, high = (float(end) for end in np.quantile(values, (tail, 1 - tail)))
    if method == "percentile":
        return low, high
    centre = statistic(np.arange(n))
    return 2 * centre - high, 2 * centre - low
