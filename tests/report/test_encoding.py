"""Numbers come out of the page as they went in, pictures to the pixel, and no text ends its own element."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image, features

from snellen.paths import visible
from snellen.report import encoding
from snellen.report.encoding import Sprite, json_for_html, make_sprite, packed, packed_fractions, packed_map


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i4", "f4"])
def test_a_column_comes_back_as_it_was(kind: str, rng: np.random.Generator) -> None:
    values = rng.integers(0, 250, (7, 3)).astype(np.float64)
    column = packed(values, kind)
    back = np.frombuffer(base64.b64decode(column["data"]), dtype=f"<{column['type']}")
    np.testing.assert_array_equal(back.reshape(7, 3), values)


def test_a_number_that_does_not_fit_is_refused_instead_of_wrapped() -> None:
    with pytest.raises(AssertionError, match="beyond u1"):
        packed(np.array([256]), "u1")


def test_fractions_are_kept_to_a_hundred_thousandth(rng: np.random.Generator) -> None:
    values = rng.random(1000)
    back = np.frombuffer(base64.b64decode(packed_fractions(values)["data"]), dtype="<u2") / 65_535
    assert abs(back - values).max() < 1e-5


def test_a_map_reaches_255_and_an_empty_one_stays_dark() -> None:
    values = np.array([[0.0, 0.5], [-1.0, 2.0]])
    levels = np.frombuffer(base64.b64decode(packed_map(values)["data"]), dtype="u1")
    assert levels.tolist() == [0, 64, 0, 255]
    assert packed_map(np.zeros((2, 2)))["top"] == 0


@pytest.mark.parametrize(
    "text", ["</script><script>alert(1)</script>", "<!--", "a & b", "\u2028 \u2029", "\u202eleft", "caf\udce9"]
)
def test_json_in_html_holds_the_text_and_none_of_its_dangerous_characters(text: str) -> None:
    written = json_for_html({text: [text]})
    assert not set("<>&\u2028\u2029\u202e\udce9") & set(written)
    assert json.loads(written) == {visible(text): [visible(text)]}


def tile(sprite: Sprite, index: int) -> np.ndarray:
    """Cut as the page does."""
    part, index = divmod(index, sprite.per)
    sheet = np.asarray(Image.open(io.BytesIO(sprite.sheets[part])).convert("RGB"))
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
    assert near.bytes < exact.bytes / 2
    assert abs(tile(near, 7).astype(int) - images[7]).mean() < 8


@pytest.mark.parametrize("shape", [(32, 32), (63, 40), (40, 63), (64, 32), (32, 64)])
def test_only_pictures_whose_longer_side_is_small_are_kept_to_the_pixel(
    shape: tuple[int, int], rng: np.random.Generator
) -> None:
    images = rng.integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    assert np.array_equal(tile(make_sprite(images), 1), images[1]) == (max(shape) < 64)


def test_photographs_are_shrunk_where_asked_and_spread_over_sheets_that_a_phone_decodes(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(encoding, "_SHEET_PIXELS", 5 * 64 * 32)
    colours = rng.integers(0, 256, (12, 1, 1, 3), dtype=np.uint8)
    sprite = make_sprite(np.broadcast_to(colours, (12, 128, 64, 3)).copy(), most=64)
    assert (sprite.tile, sprite.per, len(sprite.sheets)) == ((64, 32), 5, 3)
    assert Image.open(io.BytesIO(sprite.sheets[0])).info.get("lossless") is None
    for index in range(12):
        assert abs(tile(sprite, index).astype(int) - colours[index]).mean() < 4


def test_photographs_cost_a_fraction_of_what_they_would_to_the_pixel(rng: np.random.Generator) -> None:
    coarse = rng.integers(0, 256, (8, 12, 12, 3), dtype=np.uint8)
    images = np.stack([np.asarray(Image.fromarray(each).resize((96, 96))) for each in coarse])
    assert make_sprite(images).bytes < make_sprite(images, lossless=True).bytes / 4


@pytest.mark.parametrize(("longest", "mime"), [(16, "image/webp"), (15, "image/png")])
def test_a_sheet_is_webp_as_long_as_webp_can_hold_it(monkeypatch: pytest.MonkeyPatch, longest: int, mime: str) -> None:
    monkeypatch.setattr(encoding, "_LONGEST_SIDE", longest)
    assert make_sprite(np.zeros((4, 8, 8, 3), dtype=np.uint8)).mime == mime  # two by two pictures of 8 pixels
