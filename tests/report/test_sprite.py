"""A sheet of pictures gives every picture back to the pixel."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, features

from snellen.report.sprite import Sprite, make_sprite


def tile(sprite: Sprite, index: int) -> np.ndarray:
    """Cut as the page does."""
    sheet = np.asarray(Image.open(io.BytesIO(sprite.content)).convert("RGB"))
    height, width = sprite.tile
    top, left = index // sprite.columns * height, index % sprite.columns * width
    return sheet[top : top + height, left : left + width]


@pytest.mark.parametrize("count", [1, 2, 7, 60])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_picture_comes_back_to_the_pixel(count: int, channels: int, rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (count, 5, 9, channels), dtype=np.uint8)
    sprite = make_sprite(images)
    assert sprite.count == count
    for index in range(count):
        np.testing.assert_array_equal(tile(sprite, index), np.broadcast_to(images[index], (5, 9, 3)))


def test_without_webp_it_is_a_png(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)
    images = rng.integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    sprite = make_sprite(images)
    assert sprite.mime == "image/png"
    np.testing.assert_array_equal(tile(sprite, 3), images[3])


def test_pictures_that_need_not_be_exact_take_less_room() -> None:
    slope = np.linspace(0, 255, 32)
    image = (slope[:, None, None] * 0.5 + slope[None, :, None] * 0.5 + np.zeros(3)).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 9, (50, 32, 32, 3), dtype=np.uint8)
    images = np.minimum(image[None] // 2 + noise, 255).astype(np.uint8)
    exact, near = make_sprite(images), make_sprite(images, lossless=False)
    assert len(near.content) < len(exact.content) / 2
    assert abs(tile(near, 7).astype(int) - images[7]).mean() < 8
