"""What the page shows of a network's inside is of the class that it says."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from snellen.report import layer_views


def test_a_wrong_answer_has_a_map_of_the_answer_and_one_of_the_label(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_class(model: Any, pixels: torch.Tensor, classes: torch.Tensor, layers: Any) -> dict[str, np.ndarray]:
        """A map of 2 x 3 for each picture, of which every value tells picture and class."""
        told = pixels[:, 0, 0, 0].numpy() * 255 * 100 + classes.numpy() + 1
        return {"last": np.repeat(told, 6).reshape(-1, 2, 3).astype(np.float32)}

    @contextmanager
    def recorded(*_: Any) -> Iterator[dict[str, torch.Tensor]]:
        yield {"last": torch.zeros(3, 1, 2, 2)}

    monkeypatch.setattr(layer_views, "grad_cam", of_class)
    monkeypatch.setattr(layer_views, "recorded", recorded)
    images = np.zeros((9, 4, 4, 3), dtype=np.uint8) + np.arange(9, dtype=np.uint8)[:, None, None, None]
    answers, labels = np.array([0, 1, 2, 3, 4, 0, 0, 0, 0]), np.array([0, 1, 2, 0, 4, 1, 0, 0, 2])
    inspected = SimpleNamespace(
        model=torch.nn.Conv2d(3, 2, 1), layers=(SimpleNamespace(key="last"),), images=SimpleNamespace(images=images),
        predictions=SimpleNamespace(predicted=answers, labels=labels), bf16=False,
    )  # fmt: skip
    shown = layer_views._maps(inspected, [3, 4, 8])  # type: ignore[arg-type]
    tops = [[(cam["class"], round(cam["maps"][0]["top"])) for cam in each["cams"]] for each in shown]
    assert tops == [[(3, 304), (0, 301)], [(4, 405)], [(0, 801), (2, 803)]]
    assert {len(base64.b64decode(shown[0]["cams"][0]["maps"][0]["data"]))} == {6}


def test_the_six_channels_with_the_most_contrast_are_shown_the_strongest_first_at_sixteen_rows_at_most() -> None:
    maps = np.zeros((9, 40, 60), dtype=np.float32)
    maps[:, ::2] = np.array([3, 8, 0, 5, 1, 7, 2, 6, 4], dtype=np.float32)[:, None, None]  # contrast, not brightness
    maps += 20 * np.arange(9, 0, -1, dtype=np.float32)[:, None, None]
    shown = layer_views._strongest(maps)
    assert [each["channel"] for each in shown] == [1, 5, 7, 3, 8, 0]
    assert shown[0]["shape"] == [13, 20]  # thirds
    assert layer_views._strongest(maps[:, :16, :20])[0]["shape"] == [16, 20]
    assert len(layer_views._strongest(maps[:2])) == 2
