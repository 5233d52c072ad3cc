"""Does an exported file answer as the run does? One that does not is not left on disk.

The file is judged on real pictures, all of val, against the PyTorch model in fp32: by its probabilities and by its
accuracy, image by image. What is allowed to differ is stated here and written down beside the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.metrics.compare import PairedDifference, paired_difference
from snellen.metrics.intervals import Rate
from snellen.predict.predictions import Predictions


@dataclass(frozen=True)
class Tolerance:
    """How far a file may be from the model it was made from.

    Attributes:
        largest_gap: of any one probability, a fraction; None where rounding to 8 bits may move single answers freely.
        lost: of accuracy, a fraction; one image is always allowed, or few val images could not be judged at all.
    """

    largest_gap: float | None
    lost: float


SAME = Tolerance(largest_gap=0.0, lost=0.0)
"""The same arithmetic with the same numbers."""
FP32 = Tolerance(largest_gap=1e-4, lost=0.001)
"""Another order of additions; measured gaps are below 1e-5."""
INT8 = Tolerance(largest_gap=None, lost=0.01)
"""8-bit weights and activations: at most one point of accuracy."""


@dataclass(frozen=True)
class Parity:
    """How one file compares with the model it was made from.

    Attributes:
        file: its name.
        runtime: what ran it, with the version.
        split: the images' role; other than "val", the accuracies say nothing about new images.
        tolerance: what was allowed.
        largest_gap: largest difference of one probability, a fraction.
        mean_gap: mean over all probabilities.
        same_answer: images on which both give the same class.
        accuracy: the PyTorch model's (first) and the file's (second), paired.
        finite: whether each answer is a number.
    """

    json_also: ClassVar[tuple[str, ...]] = ("refusal",)

    file: str
    runtime: str
    split: str
    tolerance: Tolerance
    largest_gap: float
    mean_gap: float
    same_answer: Rate
    accuracy: PairedDifference
    finite: bool

    @property
    def refusal(self) -> str | None:
        """Why the file must not be used, as one sentence; None where it agrees."""
        lost = self.accuracy.only_first - self.accuracy.only_second
        n, limit = self.accuracy.first.n, self.tolerance.largest_gap
        if not self.finite:
            return f"{self.file} is refused: {self.runtime} gives answers that are no numbers."
        if limit is not None and self.largest_gap > limit:
            return (
                f"{self.file} is refused: a probability differs from PyTorch's by {self.largest_gap:.2g}, "
                f"allowed is {limit:.2g} ({self.same_answer} answers are the same)."
            )
        if lost > max(1.0, self.tolerance.lost * n):
            return (
                f"{self.file} is refused: {self.accuracy.second} of the {self.split} images are right, with PyTorch "
                f"{self.accuracy.first}; allowed is a loss of {100 * self.tolerance.lost:g} points or one image."
            )
        return None


def parity(file: str, runtime: str, expected: Predictions, found: NDArray[np.floating], tolerance: Tolerance) -> Parity:
    """Compare a file's answers with the model's.

    Args:
        file: its name.
        runtime: what ran it.
        expected: of the PyTorch model in fp32, with labels.
        found: (N, K) probabilities that the file gave for the same images in the same order.
        tolerance: what may differ.
    """
    assert found.shape == expected.logits.shape, "one answer per image, one probability per class"
    finite = bool(np.isfinite(found).all())
    gaps = np.abs(np.nan_to_num(found, nan=2.0, posinf=2.0, neginf=2.0) - expected.probabilities)
    # Probabilities instead of logits: argmax is the same of either.
    answers = replace(expected, logits=found.astype(np.float32))
    return Parity(
        file=file,
        runtime=runtime,
        split=expected.split,
        tolerance=tolerance,
        largest_gap=float(gaps.max()),
        mean_gap=float(gaps.mean()),
        same_answer=Rate(int((answers.predicted == expected.predicted).sum()), len(expected)),
        accuracy=paired_difference(expected.correct, answers.correct, best_of=(expected.best_of, answers.best_of)),
        finite=finite,
    )
