"""Answers of a model that does not exist, with a truth that is known."""

from __future__ import annotations

import numpy as np

from snellen.predict.predictions import Predictions


def simulated_answers(
    n: int, classes: int = 10, seed: int = 0, overconfidence: float = 1.0, split: str = "val"
) -> Predictions:
    """A model whose confidences are exactly true, with all its logits then multiplied by `overconfidence`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), rng.integers(0, classes, n)] += rng.normal(4.0, 1.5, n)
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = np.cumsum(weights / weights.sum(axis=1, keepdims=True), axis=1)
    labels = np.minimum((shares <= rng.random((n, 1))).sum(axis=1), classes - 1)
    return Predictions(
        logits=(logits * overconfidence).astype(np.float32),
        labels=labels.astype(np.int64),
        ids=np.arange(n),
        class_names=tuple(f"class {i}" for i in range(classes)),
        split=split,
        data="made",
    )
