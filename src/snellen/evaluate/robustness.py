"""The robustness card: accuracy under every corruption beside accuracy without, on the same images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.run_images import images_of
from snellen.errors import RunError, UsageError
from snellen.evaluate.corruptions import CORRUPTIONS, Images
from snellen.metrics.compare import PairedDifference, paired_difference
from snellen.metrics.intervals import Rate
from snellen.models.device import choose_device
from snellen.models.weights import restore
from snellen.predict.predict import predict
from snellen.runs.run import Run
from snellen.serialize import to_json

GRADINGS = 1 + sum(len(severities) for severities in CORRUPTIONS.values())
"""How often all images are graded: once as they are, then once per corruption and severity."""


@dataclass(frozen=True)
class RobustnessRow:
    """One corruption at one severity.

    Attributes:
        corruption: its name in `CORRUPTIONS`.
        severity: its strength in words.
        change: accuracy under it (`change.second`) minus clean accuracy (`change.first`), image by image.
    """

    json_only: ClassVar[tuple[str, ...]] = ("corruption", "severity", "accuracy", "change")

    corruption: str
    severity: str
    change: PairedDifference

    @property
    def accuracy(self) -> Rate:
        """Accuracy under the corruption."""
        return self.change.second


@dataclass(frozen=True)
class RobustnessCard:
    """Clean accuracy and what each corruption makes of it."""

    clean: Rate
    rows: tuple[RobustnessRow, ...]


def robustness_card(
    images: Images, labels: NDArray[np.int64], logits_of: Callable[[Images], NDArray[np.float32]]
) -> RobustnessCard:
    """Grade a model on clean images and under every corruption in `CORRUPTIONS`.

    Args:
        images: (N, H, W, C) uint8.
        labels: (N,) int64.
        logits_of: from (N, H, W, C) uint8 to logits (N, K), plain view; called once per severity.

    Raises:
        UsageError: there is no image, or one without label.
    """
    if len(images) == 0 or (labels < 0).any():
        raise UsageError(f"A robustness card needs labelled images; of these {len(images)} some or all are not.")
    clean = logits_of(images).argmax(axis=1) == labels
    rows = tuple(
        RobustnessRow(
            corruption=name,
            severity=severity.label,
            change=paired_difference(clean, logits_of(severity.apply(images)).argmax(axis=1) == labels),
        )
        for name, severities in CORRUPTIONS.items()
        for severity in severities
    )
    return RobustnessCard(clean=Rate(int(clean.sum()), len(clean)), rows=rows)


def measure_robustness(
    run: Run,
    *,
    data: Path | Dataset | None = None,
    device: str = "auto",
    graded: Callable[[int], None] = lambda done: None,
) -> RobustnessCard:
    """Grade a run on its val images under every corruption, plain view, and write `robustness.json` into its folder.

    Args:
        run: finished, with a val split.
        data: where the data are, if not where they were.
        device: "auto", "cpu", "cuda" or "mps".
        graded: told after each grading how many of `GRADINGS` are done.

    Raises:
        RunError: the run is not finished, or kept no val split.
        DataError: the data are not the run's own.
        StorageError: the card could not be written.
    """
    run.require_finished()
    val = images_of(run, data).val
    if val is None:
        raise RunError(f"{run.folder} was trained with --final on train + val; no val images are left to try it on.")
    model, done = restore(run, choose_device(device)), 0

    def logits_of(images: Images) -> NDArray[np.float32]:
        nonlocal done
        answers = predict(model, replace(val, images=images), bf16=run.info["precision"] == "bf16").logits
        done += 1
        graded(done)
        return answers

    card = robustness_card(val.images, val.labels, logits_of)
    run.write("robustness.json", {"split": "val", "view": "plain", **to_json(card)})
    return card
