"""One policy for every picture, whatever it says it is."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mixed_pictures import read_picture
from snellen.data import pictures
from snellen.data.pictures import read_header, read_with_notes
from snellen.errors import DataError, NotAPicture, TooLarge

RED, WHITE = (255, 0, 0), (255, 255, 255)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=format, **options)
    return buffer.getvalue()


def corner() -> Image.Image:
    """40x20, white, with a red left upper quarter: shows every turn and mirror."""
    image = Image.new("RGB", (40, 20), WHITE)
    ImageDraw.Draw(image).rectangle((0, 0, 19, 9), fill=RED)
    return image


def gradient(mode: str = "RGB", size: tuple[int, int] = (64, 64)) -> Image.Image:
    ramp = np.linspace(0, 255, size[0] * size[1], dtype=np.uint8).reshape(size[1], size[0])
    return Image.fromarray(ramp).convert(mode)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_is_known_by_its_content_not_by_its_name(tmp_path: Path, format: str) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(encoded(corner(), format))
    image = read_picture(path)
    assert (image.mode, image.size) == ("RGB", (40, 20))
    assert np.abs(np.asarray(image.getpixel((2, 2))) - RED).max() < 30


@pytest.mark.parametrize(
    ("mode", "format"),
    [("L", "PNG"), ("1", "PNG"), ("P", "PNG"), ("P", "GIF"), ("LA", "PNG"), ("RGBA", "PNG"), ("CMYK", "JPEG")],
)
def test_every_mode_becomes_the_colours_it_shows(mode: str, format: str) -> None:
    image = read_picture(encoded(Image.new("RGB", (8, 8), WHITE).convert(mode), format))
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), 255)


def test_cmyk_red_is_red() -> None:
    image = read_picture(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"))
    np.testing.assert_array_equal(np.asarray(image)[0, 0], RED)


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_what_is_transparent_lies_over_white(alpha: int) -> None:
    image = read_picture(encoded(Image.new("RGBA", (4, 4), (255, 0, 0, alpha)), "PNG"))
    expected = [255, 255 - alpha, 255 - alpha]
    assert np.abs(np.asarray(image)[0, 0].astype(int) - expected).max() <= 1


def test_a_transparent_palette_colour_lies_over_white() -> None:
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    np.testing.assert_array_equal(np.asarray(read_picture(encoded(palette, "PNG", transparency=1))), 255)


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_an_array_is_a_picture(rng: np.random.Generator, channels: tuple[int, ...]) -> None:
    array = rng.integers(0, 256, (5, 7, *channels), dtype=np.uint8)
    expected = np.broadcast_to(array.reshape(5, 7, -1), (5, 7, 3))
    np.testing.assert_array_equal(np.asarray(read_picture(array)), expected)


@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 5, 7), (5, 7, 4), (0, 7, 3), (2, 5, 7, 3), (5,)])
def test_an_array_of_another_shape_or_kind_is_refused_and_channels_first_are_seen(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"must be \(H, W\), \(H, W, 1\) or \(H, W, 3\) uint8") as refused:
        read_picture(np.zeros(shape, dtype=np.uint8))
    assert f"got {shape} uint8" in str(refused.value)
    assert ("Channels first?" in str(refused.value)) is (shape in ((3, 5, 7), (1, 5, 7)))
    with pytest.raises(DataError, match="float32"):
        read_picture(np.zeros((5, 7, 3), dtype=np.float32))


def test_16_bit_grey_keeps_its_range() -> None:
    values = np.linspace(0, 65_535, 256).astype(np.uint16).reshape(16, 16)
    pixels = np.asarray(read_picture(encoded(Image.fromarray(values), "PNG")))
    np.testing.assert_array_equal(pixels[..., 0], np.round(values / 257.0).astype(np.uint8))
    assert len(np.unique(pixels)) > 200


@pytest.mark.parametrize("value", [-1.0, 70_000.0, float("nan"), float("inf")])
def test_grey_values_without_a_meaning_are_refused(value: float) -> None:
    image = Image.fromarray(np.full((4, 4), value, dtype=np.float32))
    with pytest.raises(DataError, match="broken"):
        read_picture(encoded(image, "TIFF"))


@pytest.mark.parametrize(("peak", "seen"), [(255, False), (256, True)])
def test_a_picture_that_would_be_black_is_refused_where_nobody_says_what_is_white(peak: int, seen: bool) -> None:
    content = encoded(Image.fromarray(np.full((4, 4), peak, dtype=np.uint16)), "PNG")
    assert np.asarray(read_with_notes(content, white=256).image)[0, 0, 0] == round(peak / 256 * 255)
    if seen:
        assert read_with_notes(content).peak == peak
    else:
        with pytest.raises(DataError, match="16-bit grey values up to 255 only, of 65,535: it would be black"):
            read_with_notes(content)


@pytest.mark.parametrize("strip", [100, 10])  # four rows of 23 pixels; less than one
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16"])
def test_a_picture_turned_into_rgb_by_strips_has_no_seams(
    mode: str, strip: int, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = Image.fromarray(rng.integers(0, 256, (37, 23, 4), dtype=np.uint8))
    image = Image.fromarray(rng.integers(0, 65_536, (37, 23), dtype=np.uint16)) if mode == "I;16" else pixels
    content = encoded(image.convert(mode), "PNG", **({"transparency": 3} if mode == "P" else {}))
    whole = np.asarray(read_picture(content))
    monkeypatch.setattr(pictures, "_STRIP_PIXELS", strip)
    np.testing.assert_array_equal(np.asarray(read_picture(content)), whole)
    assert whole.std() > 10


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_camera_gives_the_upright_picture(orientation: int) -> None:
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # the inverse of what the viewer must do
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = corner().transpose(turn[orientation]) if orientation > 1 else corner()
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(np.asarray(read_picture(encoded(stored, "PNG", exif=exif))), np.asarray(corner()))


def test_of_a_moving_picture_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, WHITE)]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(np.asarray(read_picture(moving))[0, 0], RED)


# What is no picture


@pytest.mark.parametrize(
    "content",
    [
        b"just some text",
        b"<!DOCTYPE html><html></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"8BPS\x00\x01" + bytes(40),
        b"SIMPLE  =                    T" + b" " * 2_850,
        b"\x00" * 100,
        b"PK\x03\x04",
    ],
)
def test_what_is_no_picture_or_of_a_format_that_runs_code_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cat\.png is not a picture Snellen reads"):
        read_picture(path)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "cat.png").touch()
    with pytest.raises(DataError, match=r"cat\.png is empty \(0 bytes\)"):
        read_picture(tmp_path / "cat.png")


def test_a_missing_file_a_folder_and_a_pipe_are_named_and_never_waited_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no picture at"):
        read_picture(tmp_path / "gone.png")
    with pytest.raises(DataError, match="is not a file"):
        read_picture(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="is not a file"):
        read_picture(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="is not a file"):
        read_picture(Path("/dev/zero"))


def test_a_link_that_leads_to_itself_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with pytest.raises(DataError, match=r"loop\.png"):
        read_picture(tmp_path / "loop.png")


def test_a_file_of_more_than_256_megabytes_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(256 * 2**20 + 1)  # a hole: nothing is written
    with pytest.raises(DataError, match="268,435,457 bytes; at most 268,435,456"):
        read_picture(tmp_path / "huge.png")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_cut_anywhere_is_refused_or_read_and_never_another_error(format: str) -> None:
    whole = encoded(gradient(), format)
    refused = 0
    for length in range(1, len(whole), max(1, len(whole) // 60)):
        try:
            read_picture(whole[:length])
        except DataError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_with_wrong_bytes_is_refused_or_read_and_never_another_error(
    format: str, rng: np.random.Generator
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {} if format in ("GIF", "BMP") else {"exif": exif}
    whole = np.frombuffer(encoded(gradient(size=(16, 16)), format, **options), dtype=np.uint8)
    for _ in range(250):
        broken = whole.copy()
        at = rng.integers(0, min(len(broken), 400), 4)
        broken[at] = rng.integers(0, 256, 4)
        try:
            assert read_picture(broken.tobytes(), max_pixels=10_000).mode == "RGB"
        except DataError:
            pass


# Size


def header_only(width: int, height: int) -> bytes:
    """A PNG that promises width x height pixels and holds none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(8_001, 8_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (64_000_001, 1)]
)
def test_a_promise_of_too_many_pixels_is_refused_before_anything_is_decoded(
    monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    def decoded(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decoded)
    with pytest.raises(DataError, match="pixels"):
        read_picture(header_only(width, height))


def test_bytes_and_open_files_are_held_to_one_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(corner(), "PNG")
    for most, refused in ((len(content), False), (len(content) - 1, True)):
        monkeypatch.setattr(pictures, "MAX_BYTES", most)
        for source in (content, io.BytesIO(content)):
            if refused:
                with pytest.raises(TooLarge, match=f"The picture has more than {most:,} bytes"):
                    read_picture(source)
            else:
                assert read_picture(source).size == (40, 20)


@pytest.mark.parametrize("cap", [800, 799])
def test_a_ppm_of_text_has_a_cap_of_its_own(cap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_MAX_PYTHON_PIXELS", cap)
    for content, slow in ((encoded(corner(), "PPM"), False), (b"P2 40 20 255\n" + b"7 " * 800, True)):
        if slow and cap < 800:
            with pytest.raises(TooLarge, match="PPM of 40x20 pixels in a rare form; at most 799"):
                read_picture(content)
        else:
            assert read_picture(content).size == (40, 20)


def test_a_film_is_no_heic() -> None:
    for content in (b"\0\0\0\x18ftypqt  \0\0\0\0", b"\0\0\0\x18freeheic\0\0\0\0"):
        with pytest.raises(NotAPicture) as refused:
            read_picture(content)
        assert "HEIC" not in str(refused.value)


def test_the_cap_is_the_callers_to_lower() -> None:
    content = encoded(corner(), "PNG")
    assert read_picture(content, max_pixels=800).size == (40, 20)
    with pytest.raises(DataError, match="The picture has 40x20 pixels; at most 799 are read"):
        read_picture(content, max_pixels=799)


def test_the_cap_is_64_megapixels() -> None:
    assert pictures._MAX_PIXELS == 64_000_000


def test_what_was_done_to_a_picture_is_noted() -> None:
    plain = Image.new("RGB", (8, 6), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    moving = encoded(plain, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 6), "blue")])
    deep = Image.fromarray(np.full((6, 8), 40_000, dtype=np.uint16))
    for content, words in (
        (encoded(plain, "PNG"), []),
        (encoded(plain, "JPEG", exif=exif), ["turned upright (EXIF orientation 6)"]),
        (encoded(plain.convert("CMYK"), "JPEG"), ["CMYK turned into RGB"]),
        (encoded(Image.new("RGBA", (8, 6)), "PNG"), ["transparent parts laid over white"]),
        (encoded(deep, "PNG"), ["16-bit grey scaled to 8 bits", "I;16 turned into RGB"]),
        (encoded(plain, "PNG", icc_profile=b"anything"), ["its colour profile is not applied"]),
        (moving, ["the first of several pictures", "palette turned into RGB"]),
    ):
        notes = read_with_notes(content).notes
        assert len(notes) == len(words), notes
        assert all(note.startswith(start) for note, start in zip(notes, words, strict=True)), notes


def test_the_size_noted_is_the_stored_one_and_the_picture_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    read = read_with_notes(encoded(Image.new("RGB", (8, 6)), "JPEG", exif=exif))
    assert (read.format, read.mode, read.size, read.image.size) == ("JPEG", "RGB", (8, 6), (6, 8))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "I", "F", "P", "RGB", "RGBA", "CMYK"])
def test_a_header_tells_the_sides_and_whether_there_is_colour(mode: str) -> None:
    header = read_header(encoded(Image.new(mode, (8, 6)), "PNG" if mode in ("LA", "P", "RGBA") else "TIFF"))
    assert header == (8, 6, mode not in ("P", "RGB", "RGBA", "CMYK"))


def test_a_format_that_was_not_asked_for_is_no_picture() -> None:
    with pytest.raises(NotAPicture, match=r"\(JPEG\)"):
        read_with_notes(encoded(Image.new("RGB", (8, 6)), "PNG"), formats=("JPEG",))


def test_too_many_pixels_are_an_error_of_their_own() -> None:
    with pytest.raises(TooLarge):
        read_with_notes(encoded(Image.new("RGB", (8, 6)), "PNG"), max_pixels=47)
