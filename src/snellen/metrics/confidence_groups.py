"""Four groups: was it right, and was it sure? Each sorted so that what is worth looking at comes first.

Sure means that the best answer leads the second best by at least `sure_margin` of probability. The margin is used
instead of the bare confidence because 45 % against 44 % is a toss-up, 45 % against ten others at 6 % is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.errors import InvalidSetting
from snellen.metrics.classification import image_losses, require_labels
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions

SURE_MARGIN = 0.5
"""Lead in probability from which an answer counts as sure: at 0.5 the best class always has more than half."""
_LISTED = 100


@dataclass(frozen=True)
class ConfidenceGroup:
    """One of the four.

    Attributes:
        name: such as "confidently wrong".
        rule: what belongs to it, in words, with the threshold.
        order: how it is sorted, in words.
        index: (M,) int64 rows of the predictions, sorted.
        ids: (M,) int64 ids of the same images.
        share: M of all images.
    """

    json_only: ClassVar[tuple[str, ...]] = ("name", "rule", "order", "share", "first_ids")

    name: str
    rule: str
    order: str
    index: NDArray[np.int64]
    ids: NDArray[np.int64]
    share: Rate

    @property
    def first_ids(self) -> NDArray[np.int64]:
        """The ids that are written down; the rest follows from the predictions."""
        return self.ids[:_LISTED]


def margins(predictions: Predictions) -> NDArray[np.float64]:
    """(N,) float64 in [0, 1]: probability of the best class minus that of the second best; 1 if there is only one."""
    probabilities = predictions.probabilities
    if probabilities.shape[1] == 1:
        return np.ones(len(predictions))
    top_two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.asarray(top_two[:, 1] - top_two[:, 0])


def confidence_groups(predictions: Predictions, *, sure_margin: float = SURE_MARGIN) -> tuple[ConfidenceGroup, ...]:
    """Every image in exactly one group: sure and right, nervous and right, nervous and wrong, confidently wrong.

    Confidently wrong is sorted by loss, so that likely label errors come first; nervous ones by how near the
    call was; sure and right by margin, the most typical first. Equal keys keep the order of the rows.

    Args:
        predictions: logits (N, K) and labels (N,); plain view.
        sure_margin: lead in probability, a fraction, from which an answer counts as sure.

    Raises:
        UsageError: no image, or images without label.
        InvalidSetting: `sure_margin` lies outside (0, 1).
    """
    require_labels(predictions)
    if not 0 < sure_margin < 1:
        raise InvalidSetting(f"sure_margin={sure_margin!r} is not possible: a fraction between 0 and 1, such as 0.5.")
    margin, loss, right = margins(predictions), image_losses(predictions), predictions.correct
    sure = margin >= sure_margin
    leads = f"leads by at least {100 * sure_margin:.0f} points"
    close = f"leads by less than {100 * sure_margin:.0f} points"

    def group(name: str, rule: str, order: str, inside: NDArray[np.bool_], key: NDArray[np.float64]) -> ConfidenceGroup:
        rows = np.flatnonzero(inside)
        index = rows[np.argsort(key[rows], kind="stable")].astype(np.int64)
        return ConfidenceGroup(name, rule, order, index, predictions.ids[index], Rate(len(index), len(predictions)))

    return (
        group("sure and right", f"right, and the answer {leads}", "surest first", sure & right, -margin),
        group("nervous and right", f"right, but the answer {close}", "closest call first", ~sure & right, margin),
        group("nervous and wrong", f"wrong, and the answer {close}", "closest call first", ~sure & ~right, margin),
        group("confidently wrong", f"wrong, though the answer {leads}", "largest loss first", sure & ~right, -loss),
    )
