"""A ledger's looks, for the tests of it: made, and tampered with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snellen.data.labeled_images import LabeledImages
from snellen.data.ledger import Candidate, Ledger, TestSet


def letters(count: int, *, seed: int = 0, name: str = "letters") -> LabeledImages:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % 2
    return LabeledImages(pixels, labels, ("C", "D"), np.arange(count, dtype=np.int64), "all", name)


LETTERS = TestSet.of(letters(200))


def look(
    ledger: Ledger, weights: str | Sequence[str], test_set: TestSet = LETTERS, *, tta: str = "none", reason: str = "why"
) -> str:
    """Intent and result of one look; returns the intent's hash."""
    hashes = [weights] if isinstance(weights, str) else list(weights)
    candidates = [Candidate(f"run-{each}", each, "tiny", seed, "beef") for seed, each in enumerate(hashes)]
    intent = ledger.intend(test_set, candidates, tta=tta, reason=reason, version="0")
    ledger.record(intent, [{"weights": each, "n": 200, "hits": 190, "hits_tta": 191} for each in hashes])
    return intent


def edit(ledger: Ledger, number: int, old: str, new: str) -> None:
    lines = ledger.path.read_text().splitlines()
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new)
    ledger.path.write_text("\n".join(lines) + "\n")
