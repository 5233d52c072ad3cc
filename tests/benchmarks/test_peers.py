"""Other libraries beside ours, where they are at hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmarks import peers
from snellen.bench.catalog import Settings
from snellen.recipes.recipe import Recipe

CPU, QUICK = torch.device("cpu"), Settings(device="cpu", quick=True)


def test_a_peer_that_is_not_at_hand_is_not_measured(tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("benchmarks.peers.import_module", missing)
    lines = list(peers.measure(tiny_recipe, device=CPU, settings=QUICK))
    assert [line.note for line in lines] == ["torchvision is not installed here.", "kornia is not installed here."]
    assert {value for line in lines for value in line.figures.values()} == {None}


def test_a_peer_that_is_at_hand_takes_turns_with_ours(tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    peer = {"other": lambda *_: (lambda: calls.append("theirs"), "other 1.0")}
    monkeypatch.setattr("benchmarks.peers.AUGMENTATIONS", peer)
    (line,) = peers.measure(tiny_recipe, device=CPU, settings=QUICK)
    assert len(calls) == 2 + QUICK.repeats
    assert line.comparison is not None
    assert line.figures["ours is × as fast"] == line.comparison.ratio
    assert line.note == "other 1.0"
