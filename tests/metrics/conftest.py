"""Predictions made to measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from tests.metrics.made import simulated_answers

from snellen.predict.predictions import Predictions

Build = Callable[..., Predictions]


@pytest.fixture(scope="session")
def answers() -> Build:
    """Predictions from probabilities (N, K) and labels (N,)."""

    def build(probabilities: object, labels: Sequence[int], split: str = "val", **fields: object) -> Predictions:
        table = np.asarray(probabilities, dtype=np.float64)
        names = tuple("abcdefghijklmnop"[: table.shape[1]])
        defaults: dict[str, object] = {"class_names": names, "ids": np.arange(len(table)), "data": "made"}
        return Predictions(
            logits=np.log(np.maximum(table, 1e-30)).astype(np.float32),
            labels=np.asarray(labels, dtype=np.int64),
            split=split,
            **{**defaults, **fields},  # type: ignore[arg-type]
        )

    return build


@pytest.fixture(scope="session")
def votes() -> Build:
    """Predictions that answer `predicted` where the truth is `labels`, nine times surer of it than of the rest."""

    def build(predicted: Sequence[int], labels: Sequence[int], classes: int, **fields: object) -> Predictions:
        logits = np.zeros((len(predicted), classes), dtype=np.float32)
        logits[np.arange(len(predicted)), predicted] = np.log(9.0)
        defaults: dict[str, object] = {
            "class_names": tuple("abcdefghijklmnop"[:classes]),
            "ids": np.arange(len(predicted)),
            "split": "val",
            "data": "made",
        }
        return Predictions(logits=logits, labels=np.asarray(labels, dtype=np.int64), **{**defaults, **fields})  # type: ignore[arg-type]

    return build


@pytest.fixture(scope="session")
def simulated() -> Build:
    """A model whose confidences are exactly true, with all its logits then multiplied by `overconfidence`."""
    return simulated_answers
