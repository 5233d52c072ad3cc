"""The robustness card of a run: its val images made worse in ten ways, and graded again each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snellen.data.catalog import load_again
from snellen.data.splits import split
from snellen.errors import RunError
from snellen.evaluate.corruptions import CORRUPTIONS, Images
from snellen.evaluate.robustness import RobustnessCard, robustness_card
from snellen.models.device import choose_device
from snellen.models.restore import restore
from snellen.predict.predict import predict
from snellen.runs.run import Run

GRADINGS = 1 + sum(len(severities) for severities in CORRUPTIONS.values())
"""How often all images are graded: once as they are, then once per corruption and severity."""


def measure_robustness(
    run: Run, *, data: Path | None = None, device: str = "auto", graded: Callable[[int], None] = lambda done: None
) -> RobustnessCard:
    """Grade a run on its val images under every corruption, plain view, and write `robustness.json` into its folder.

    Args:
        run: finished, with a val split.
        data: where the data are, if not where they were.
        device: "auto", "cpu", "cuda" or "mps".
        graded: told after each grading how many of `GRADINGS` are done.

    Raises:
        RunError: the run kept no val split, or has no weights.
        StorageError: the card could not be written.
    """
    if run.info["final"]:
        raise RunError(f"{run.folder} was trained with --final on train + val; no val images are left to try it on.")
    val = split(load_again(run.info["data"], data=data)).val
    assert val is not None
    model, done = restore(run, choose_device(device)), 0

    def logits_of(images: Images) -> NDArray[np.float32]:
        nonlocal done
        answers = predict(model, replace(val, images=images), bf16=run.info["precision"] == "bf16").logits
        done += 1
        graded(done)
        return answers

    card = robustness_card(val.images, val.labels, logits_of)
    run.write("robustness.json", {"split": "val", "view": "plain", **card.to_json()})
    return card
