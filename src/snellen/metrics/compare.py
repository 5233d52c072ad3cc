"""Is one better than the other? Always image by image, because two models share most of their mistakes.

This compares two *models* on the same images. Two *recipes* are compared over seeds, with
`intervals.paired_difference_over_seeds`: a difference between single models is partly luck of the seed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.errors import UsageError
from snellen.metrics.classification import require_labels
from snellen.metrics.intervals import Rate, normal_quantile, student_t_quantile
from snellen.predict.predictions import Predictions

_CERTAIN, _POWER = 0.975, 0.8  # of a two-sided test at 5 % that is to decide in four of five cases


@dataclass(frozen=True)
class PairedDifference:
    """The second model's accuracy minus the first's, on the same images.

    Attributes:
        first: accuracy of the first model.
        second: accuracy of the second.
        low: lower end of the 95 % bootstrap interval of the difference, a fraction.
        high: its upper end.
        only_first: images that only the first has right.
        only_second: images that only the second has right.
        p_value: exact two-sided McNemar test of "both are equally good".
    """

    json_also: ClassVar[tuple[str, ...]] = ("value", "decided", "images_needed")

    first: Rate
    second: Rate
    low: float
    high: float
    only_first: int
    only_second: int
    p_value: float

    @property
    def value(self) -> float:
        """Second minus first, a fraction; 0.01 is one point."""
        return (self.only_second - self.only_first) / self.first.n

    @property
    def decided(self) -> bool:
        """Whether McNemar's test rejects "equally good" at 5 %."""
        return self.p_value < 0.05

    @property
    def images_needed(self) -> int | None:
        """How many images would let McNemar's test decide in four of five cases, if the two go on differing like this.

        None where they do equally well: no number would decide. A guide, not a promise: a difference that was
        overestimated by luck needs more. Source: Connor 1987 (Biometrics 43), sample size for McNemar's test.
        """
        if self.only_first == self.only_second:
            return None
        discordant = (self.only_first + self.only_second) / self.first.n
        z_level, z_power = normal_quantile(_CERTAIN), normal_quantile(_POWER)
        root = z_level * math.sqrt(discordant) + z_power * math.sqrt(discordant - self.value**2)
        return math.ceil((root / self.value) ** 2)

    def __str__(self) -> str:
        points = f"{100 * self.value:+.2f} points ({100 * self.low:+.2f} to {100 * self.high:+.2f}, n={self.first.n})"
        counts = f"{self.only_first} images only the first has right, {self.only_second} only the second"
        verdict = f"McNemar p={self.p_value:.2g}, {'decided' if self.decided else 'undecided'}"
        return f"{points}; {counts}; {verdict}"


@dataclass(frozen=True)
class Shared:
    """What several models answered to the pictures that all of them were asked, row by row the same picture.

    Attributes:
        predictions: the answers of each, in the order of the first; all carry the labels that count.
        asked: how many pictures each was asked.
        relabelled: how many of the shared pictures have another label in one of the others than the one that counts.
    """

    json_only: ClassVar[tuple[str, ...]] = ("n", "asked", "relabelled")

    predictions: tuple[Predictions, ...]
    asked: tuple[int, ...]
    relabelled: int

    @property
    def n(self) -> int:
        """Pictures that all were asked."""
        return len(self.predictions[0])

    @property
    def all_of_them(self) -> bool:
        """Whether none was asked a picture that another was not."""
        return set(self.asked) == {self.n}


def compare(first: Predictions, second: Predictions) -> PairedDifference:
    """Two models on the same images, the first one the reference; rows may come in a different order.

    Raises:
        UsageError: the two do not hold the same images with the same labels and classes.
    """
    both = shared([first, second])
    if both.relabelled or not both.all_of_them:
        raise UsageError(
            f"These predictions cannot be compared: {_described(first)} and {_described(second)} share {both.n} "
            f"images, {both.relabelled} of them under another label. Grade both models on the same data."
        )
    right = (one.correct for one in both.predictions)
    return paired_difference(*right, best_of=(first.best_of, second.best_of))


def paired_difference(
    first: NDArray[np.bool_], second: NDArray[np.bool_], *, best_of: tuple[int, int] = (1, 1)
) -> PairedDifference:
    """As `compare`, from what each model had right: two (N,) bool arrays over the same images in the same order.

    The interval is over 10,000 bootstrap resamples of the images, the same each time. `best_of` says of how many epochs
    each of the two is the best on these images.
    """
    assert first.shape == second.shape, "the same images on both sides"
    n = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    # Each image adds -1, 0 or +1, so drawing images with replacement is drawing these three counts.
    shares = np.array([only_first, only_second, n - only_first - only_second]) / n
    resampled = np.random.default_rng(0).multinomial(n, shares, size=10_000)
    low, high = np.quantile((resampled[:, 1] - resampled[:, 0]) / n, (0.025, 0.975))
    return PairedDifference(
        first=Rate(int(first.sum()), n, best_of[0]),
        second=Rate(int(second.sum()), n, best_of[1]),
        low=float(low),
        high=float(high),
        only_first=only_first,
        only_second=only_second,
        p_value=mcnemar_p_value(only_first, only_second),
    )


def shared(predictions: Sequence[Predictions], *, labels_of: int = -1) -> Shared:
    """The answers of several models to the pictures that all of them were asked, whatever these are called there.

    A picture is known by its identity. One that is several times in each counts as often as it is in all of them.

    Args:
        predictions: of one split.
        labels_of: position of the one whose labels count where a picture was relabelled.

    Raises:
        UsageError: other classes, another split, no picture in common; or, from files of an older version, which keep
            no identities, other images or an id twice.
    """
    first = predictions[0]
    for one in predictions:
        require_labels(one)
        if one.class_names != first.class_names:
            raise UsageError("These predictions cannot be compared: the two models know different classes.")
    keys = _identities(predictions)
    common = set(keys[0]).intersection(*keys[1:])
    if not common or any(one.split != first.split for one in predictions):
        raise UsageError(
            f"These predictions cannot be compared: {' and '.join(map(_described, predictions))} have no picture in "
            "common. Grade the models on one split of one data set."
        )
    order = [key for key in keys[0] if key in common]
    rows = []
    for own in keys:
        place = {key: row for row, key in enumerate(own)}
        rows.append(np.array([place[key] for key in order], dtype=np.int64))
    taken = [one.take(at) for one, at in zip(predictions, rows, strict=True)]
    labels = taken[labels_of].labels
    differing = np.any([one.labels != labels for one in taken], axis=0)
    return Shared(
        tuple(replace(one, labels=labels) for one in taken), tuple(map(len, predictions)), int(differing.sum())
    )


def _identities(predictions: Sequence[Predictions]) -> list[list[tuple[int, int]]]:
    """For each of them what each row's picture is: its identity, and how often that came before."""
    kept = [one.identities.tolist() for one in predictions if one.identities is not None]
    if len(kept) < len(predictions):
        _require_same_ids(predictions)
        kept = [one.ids.tolist() for one in predictions]
    found = []
    for own in kept:
        before: Counter[int] = Counter()
        for place, each in enumerate(own):
            own[place] = each, before[each]
            before[each] += 1
        found.append(own)
    return found


def _require_same_ids(predictions: Sequence[Predictions]) -> None:
    """Files of an older version say only where a picture stood: enough where all of them name the same places."""
    first = predictions[0]
    for one in predictions:
        if len(np.unique(one.ids)) != len(one):
            raise UsageError(f"These predictions cannot be compared: {_described(one)} hold an image id twice.")
        if one.data != first.data or not np.array_equal(np.sort(one.ids), np.sort(first.ids)):
            raise UsageError(
                f"These predictions cannot be compared: {_described(first)} and {_described(one)} are other images, or "
                "come from a version that did not keep which. Train again what is older."
            )


def _described(predictions: Predictions) -> str:
    return f"{predictions.data or 'unnamed'} {predictions.split} ({len(predictions)} images)"


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value that a fair coin splits the images on which two models differ this unevenly.

    Source: McNemar 1947, exact binomial form; advised for models trained once by Dietterich 1998.
    """
    n, fewer = only_first + only_second, min(only_first, only_second)
    log_all = math.lgamma(n + 1) - n * math.log(2)
    tail = math.fsum(math.exp(log_all - math.lgamma(k + 1) - math.lgamma(n - k + 1)) for k in range(fewer + 1))
    return min(1.0, 2 * tail)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values raised so that the chance of any false alarm among them stays below the level; order kept.

    Source: Holm 1979.
    """
    count = len(p_values)
    raised, largest = [0.0] * count, 0.0
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (count - rank) * p_values[index]))
        raised[index] = largest
    return raised


def seeds_needed(difference: float, sd: float) -> int | None:
    """How many seeds would let a paired t test show a difference between two recipes in four of five cases.

    Args:
        difference: to be shown, a fraction; 0.001 is a tenth of a point.
        sd: of the differences over seeds, a fraction.

    Returns:
        Seeds per recipe, at least 3; None where the difference is 0 or more than 10,000 would be needed.

    Uses Student's t instead of the normal in the textbook formula, which asks for too few where few suffice.
    """
    if difference == 0:
        return None
    noise = (sd / difference) ** 2
    z = normal_quantile(_CERTAIN) + normal_quantile(_POWER)
    if noise * z * z > 10_000:
        return None
    n = max(3, math.floor(noise * z * z))
    while True:
        t = student_t_quantile(_CERTAIN, n - 1) + student_t_quantile(_POWER, n - 1)
        if n >= noise * t * t:
            return n
        n += 1
