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
from snellen.report.encoding import Sprite, json_for_html, make_sprite, packed, packed_fractions, packed_map, png


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
    modes = [Image.open(io.BytesIO(make_sprite(each).sheets[0])).mode for each in (images, images[..., :1])]
    assert modes == ["RGB", "L"]  # grey has one channel


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
    colours = rng.integers(0, 256, (12, 1, 2, 3), dtype=np.uint8)  # a left and a right one
    sprite = make_sprite(np.broadcast_to(colours.repeat(32, axis=2), (12, 128, 64, 3)).copy(), most=64)
    assert (sprite.tile, sprite.per, len(sprite.sheets)) == ((64, 32), 5, 3)
    assert Image.open(io.BytesIO(sprite.sheets[0])).info.get("lossless") is None
    for index in range(12):
        halves = tile(sprite, index).astype(int)
        for half, colour in ((halves[:, :12], colours[index, 0, 0]), (halves[:, 20:], colours[index, 0, 1])):
            assert abs(half - colour).mean() < 6


def test_photographs_cost_a_fraction_of_what_they_would_to_the_pixel(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = rng.integers(0, 256, (8, 12, 12, 3), dtype=np.uint8)
    images = np.stack([np.asarray(Image.fromarray(each).resize((96, 96))) for each in coarse])
    usual = make_sprite(images).bytes
    assert usual < make_sprite(images, lossless=True).bytes / 4
    monkeypatch.setattr(encoding, "_QUALITY", 10)
    assert make_sprite(images).bytes < usual / 2


@pytest.mark.parametrize(("longest", "mime"), [(20, "image/webp"), (19, "image/png")])
@pytest.mark.parametrize("tile", [(5, 9), (9, 5)])  # two columns of four rows, 18 x 20 pixels; or four of two, 20 x 18
def test_a_sheet_is_webp_as_long_as_webp_can_hold_it(
    monkeypatch: pytest.MonkeyPatch, longest: int, mime: str, tile: tuple[int, int]
) -> None:
    monkeypatch.setattr(encoding, "_LONGEST_SIDE", longest)
    sprite = make_sprite(np.zeros((7, *tile, 3), dtype=np.uint8))
    assert (sprite.mime, sprite.columns) == (mime, 2 if tile == (5, 9) else 4)


def test_of_no_pictures_there_is_a_sheet_all_the_same() -> None:
    sprite = make_sprite(np.zeros((0, 5, 9, 3), dtype=np.uint8))
    assert (sprite.count, len(sprite.sheets), sprite.tile) == (0, 1, (5, 9))
    assert sprite.bytes == len(sprite.sheets[0]) > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_is_the_picture_at_every_level_and_the_quickest_is_larger(channels: int) -> None:
    image = np.random.default_rng(1).integers(0, 4, (20, 30, channels), dtype=np.uint8)
    quick, usual, small = (png(image, level=level) for level in (1, 6, 9))
    for file in (quick, usual, small):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(file))).reshape(image.shape), image)
    assert png(image) == usual
    assert len(quick) > len(small)


def test_json_is_as_short_as_it_can_be_and_holds_only_numbers_that_json_has() -> None:
    assert json_for_html({"a": [1, 2], "b": "é"}) == '{"a":[1,2],"b":"é"}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_for_html([float("nan")])
