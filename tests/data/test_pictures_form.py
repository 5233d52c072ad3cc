"""The form that every picture takes: as large as asked for, of enough pixels, and cut, padded or bent as asked for."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mixed_pictures import read_picture
from snellen.data.pictures import PictureForm, square_of
from snellen.errors import DataError, InvalidSetting

RED, WHITE = (255, 0, 0), (255, 255, 255)


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def wave(side: int) -> Image.Image:
    down, right = np.mgrid[:side, :side] / side
    levels = [127 + 120 * np.sin(4 * down + 6 * right + phase) for phase in (0, 2, 4)]
    return Image.fromarray(np.stack(levels, axis=2).astype(np.uint8))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_decoded_small_is_the_same_picture(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = jpeg(wave(1_600), quality=95, exif=exif)
    whole = PictureForm(64).fitted(read_picture(content))
    assert read_picture(content, at_least=128).size == (200, 200)
    assert np.abs(PictureForm(64).pixels(content).astype(int) - whole).max() <= 3


def test_a_wide_form_takes_enough_of_a_large_jpeg_for_its_longer_side() -> None:
    content = jpeg(wave(1_024).resize((1_024, 256)), quality=95)
    form = PictureForm(16, "squash", width=128)
    assert np.array_equal(form.pixels(content), form.fitted(read_picture(content)))


@pytest.mark.parametrize("sides", [(0, 8), (8, -1), (5_000, 8), (8, 5_000)])
def test_neither_side_of_a_form_may_be_one_that_no_picture_has(sides: tuple[int, int]) -> None:
    with pytest.raises(InvalidSetting, match=f"Pictures of {sides[0]}x{sides[1]} pixels are not possible"):
        PictureForm(sides[0], width=sides[1])
    assert PictureForm(1, width=4_096).shape == (1, 4_096, 3)


@pytest.mark.parametrize("size", [(129, 4_000), (4_000, 129), (128, 128), (90, 100)])
def test_decoding_small_leaves_twice_the_pixels_that_are_kept(size: tuple[int, int]) -> None:
    image = read_picture(jpeg(wave(64).resize(size)), at_least=128)
    assert min(image.size) >= min(128, *size)


@pytest.mark.parametrize(
    ("data", "form"),
    [
        ({"image_shape": [32, 32, 3]}, PictureForm(32, "crop", 3)),
        ({"image_shape": [48, 48, 1], "loading": {"fit": "pad"}}, PictureForm(48, "pad", 1)),
        ({"image_shape": [48, 32, 3], "loading": [1]}, PictureForm(48, width=32)),
        ({"image_shape": [48, 48, 3], "loading": {"white": 255}}, PictureForm(48, white=255)),
    ],
)
def test_a_runs_own_form_is_used_again(data: dict[str, Any], form: PictureForm) -> None:
    assert PictureForm.of_run(data) == form


def test_a_form_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="--fit melt is not possible"):
        PictureForm.of_run({"image_shape": [32, 32, 3], "loading": {"fit": "melt"}})
    for white in (0, 65_536, "255", 1.5):
        with pytest.raises(InvalidSetting, match=r"White is .* in run\.json; it must be 1 to 65535"):
            PictureForm.of_run({"image_shape": [32, 32, 3], "loading": {"white": white}})


def test_an_array_of_the_forms_own_shape_is_a_picture_only_where_it_holds_bytes() -> None:
    with pytest.raises(DataError, match="float64"):
        PictureForm(5, width=7).pixels(np.zeros((5, 7, 3)))  # type: ignore[arg-type]


def test_a_large_jpeg_that_is_open_is_not_made_smaller_for_whoever_opened_it() -> None:
    source = Image.open(io.BytesIO(jpeg(wave(600))))
    assert PictureForm(16).pixels(source).shape == (16, 16, 3)
    assert source.size == (600, 600)


# Making it square


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("size", [(32, 32), (40, 20), (20, 40), (1, 1), (3_000, 1), (1, 3_000)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_picture_becomes_a_square_of_bytes(fit: str, size: tuple[int, int], channels: int) -> None:
    pixels = PictureForm(32, fit, channels).fitted(Image.new("RGB", size, RED))  # type: ignore[arg-type]
    assert (pixels.shape, pixels.dtype) == ((32, 32, channels), np.uint8)
    assert (pixels[15:17, 15:17] != 128).any()  # of a hair, too, something shows, and in the middle


@pytest.mark.parametrize(
    ("size", "bars"), [((64, 8), (6, 0)), ((32, 32), (0, 8)), ((32, 16), (0, 0)), ((16, 8), (0, 0))]
)
def test_bars_of_a_form_that_is_no_square_are_as_wide_on_either_side(
    size: tuple[int, int], bars: tuple[int, int]
) -> None:
    pixels = PictureForm(16, "pad", width=32).fitted(Image.new("RGB", size, RED))
    expected = np.zeros((16, 32), dtype=bool)
    expected[bars[0] : 16 - bars[0], bars[1] : 32 - bars[1]] = True
    np.testing.assert_array_equal((pixels == RED).all(axis=2), expected)


def test_a_square_of_the_right_size_is_left_as_it_is(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    for fit in ("crop", "pad", "squash"):
        np.testing.assert_array_equal(PictureForm(32, fit).fitted(Image.fromarray(pixels)), pixels)  # type: ignore[arg-type]


def test_cropping_keeps_the_middle_padding_keeps_all_squashing_bends() -> None:
    banner = Image.new("RGB", (96, 32), WHITE)
    ImageDraw.Draw(banner).rectangle((0, 0, 15, 31), fill=RED)  # the leftmost sixth
    cropped, padded, squashed = (
        PictureForm(32, fit).fitted(banner)
        for fit in ("crop", "pad", "squash")  # type: ignore[arg-type]
    )
    np.testing.assert_array_equal(cropped, 255)
    np.testing.assert_array_equal(padded[:10], 128)
    np.testing.assert_array_equal(padded[-10:], 128)
    np.testing.assert_array_equal(padded[16, 1], RED)
    np.testing.assert_array_equal(padded[16, -2], WHITE)
    np.testing.assert_array_equal(squashed[16, 1], RED)
    np.testing.assert_array_equal(squashed[16, -2], WHITE)


def test_grey_is_the_luma_of_the_colours() -> None:
    pixels = PictureForm(8, channels=1).fitted(Image.new("RGB", (8, 8), RED))
    np.testing.assert_array_equal(pixels, round(0.299 * 255))


@pytest.mark.parametrize("size", [(96, 32), (32, 96), (60, 60)])
def test_the_square_named_is_the_square_taken(rng: np.random.Generator, size: tuple[int, int]) -> None:
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    left, top, right, bottom = square_of(size, "crop")
    cut = image.crop((round(left), round(top), round(right), round(bottom)))
    inner = np.s_[4:-4, 4:-4]  # nearer to the edge the filter sees pixels outside the square, where there are some
    one, other = PictureForm(16).fitted(cut), PictureForm(16).fitted(image)
    assert np.abs(one[inner].astype(int) - other[inner]).max() <= 8  # of noise: one pixel beside it would be tens


def test_bars_lie_outside_the_picture_and_bending_takes_all_of_it() -> None:
    assert square_of((96, 32), "pad") == (0, -32, 96, 64)
    assert square_of((96, 32), "squash") == (0, 0, 96, 32)
