"""Pictures made to harm: each is refused in one sentence, skipped by name, or read as what it shows. At once."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from tests.fuzz.harness import watched

from mixed_pictures import read_picture
from snellen.data.folder_dataset import load_folder
from snellen.data.pictures import PictureForm, read_with_notes
from snellen.errors import DataError, NotAPicture


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def noise(side: int = 48) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, depth: int = 8, colours: int = 2, rows: bytes = b"", more: bytes = b"") -> bytes:
    """A PNG of any promise: `rows` are its pixels as they are before packing."""
    ihdr = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + ihdr + more + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


# Cut files


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("at_least", [None, 16], ids=["whole", "decoded small"])
def test_a_picture_cut_anywhere_is_refused_or_shows_every_pixel(form: str, at_least: int | None) -> None:
    whole = encoded(noise(), form)
    shown = np.asarray(read_picture(whole, at_least=at_least))
    read = 0
    for length in range(1, len(whole), max(1, len(whole) // 200)):
        try:
            cut = np.asarray(read_picture(whole[:length], at_least=at_least))
        except DataError:
            continue
        np.testing.assert_array_equal(cut, shown)
        read += 1
    assert read < 20  # only the last few bytes say nothing about pixels


@pytest.mark.parametrize("missing", [1, 2, 3, 10])
def test_a_jpeg_without_its_end_is_refused_or_whole(missing: int) -> None:
    whole = encoded(noise(), "JPEG", progressive=True)
    try:
        cut = read_picture(whole[:-missing])
    except DataError:
        return
    np.testing.assert_array_equal(np.asarray(cut), np.asarray(read_picture(whole)))


# Bombs


@pytest.mark.parametrize(("width", "height"), [(60_000, 1), (1, 60_000), (10_000, 1), (1, 1)])
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_a_line_of_60000_pixels_is_a_picture(width: int, height: int, fit: Any, tmp_path: Path) -> None:
    content = png(width, height, rows=(b"\0" + b"\xff\0\0" * width) * height)
    with watched(tmp_path):
        assert PictureForm(32, fit).pixels(content).shape == (32, 32, 3)


_GROWTH = """
import resource, sys
from pathlib import Path
from snellen.data.pictures import PictureForm
from snellen.errors import DataError
PictureForm(32).pixels(Path(sys.argv[2]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    PictureForm(32).pixels(Path(sys.argv[1]))
except DataError:
    pass
after = resource.getrusage(resource.RUSAGE_SELF)
print((after.ru_maxrss - before) // 1024)
"""


def growth_in_mib(content: bytes, tmp_path: Path) -> int:
    """By how much the memory of a process grows that reads this file after a small one."""
    (tmp_path / "bomb").write_bytes(content)
    (tmp_path / "small").write_bytes(encoded(noise(), "PNG"))
    code = [sys.executable, "-c", _GROWTH, str(tmp_path / "bomb"), str(tmp_path / "small")]
    done = subprocess.run(code, capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout)


@pytest.mark.processes
@pytest.mark.parametrize(
    "content",
    [
        png(60_000, 60_000),
        png(8_001, 8_000, rows=bytes(1_000)),
        png(2**31 - 1, 1),
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0) + b";",
    ],
    ids=["60,000x60,000", "one row too many", "a line", "bmp", "gif"],
)
def test_a_promise_of_too_many_pixels_takes_no_memory(content: bytes, tmp_path: Path) -> None:
    assert len(content) < 2_000
    assert growth_in_mib(content, tmp_path) < 20


@pytest.mark.slow
@pytest.mark.parametrize(
    ("colours", "depth", "most"), [(2, 8, 350), (6, 8, 700), (0, 16, 650)], ids=["rgb", "alpha", "16-bit"]
)
def test_the_largest_picture_that_is_read_takes_three_times_its_own_size_at_most(
    colours: int, depth: int, most: int, tmp_path: Path
) -> None:
    side, bytes_each = 8_000, {2: 3, 6: 4, 0: 2}[colours]
    content = png(side, side, depth=depth, colours=colours, rows=bytes((1 + side * bytes_each) * side))
    assert len(content) < 300_000
    assert growth_in_mib(content, tmp_path) < most


@pytest.mark.parametrize("kind", [b"zTXt", b"iCCP"])
def test_text_that_unfolds_without_end_is_refused_or_left_packed(kind: bytes, tmp_path: Path) -> None:
    bomb = chunk(kind, b"name\0\0" + zlib.compress(bytes(64 * 2**20), 9))
    with watched(tmp_path):
        try:
            assert read_picture(png(1, 1, rows=bytes(4), more=bomb)).size == (1, 1)
        except DataError:
            pass


def test_a_picture_of_ten_thousand_frames_is_its_first(tmp_path: Path) -> None:
    one = encoded(Image.new("P", (1, 1)), "GIF")
    frame = one[one.index(b",") : -1]
    with watched(tmp_path):
        read = read_with_notes(one[:-1] + frame * 10_000 + b";")
    assert read.notes[0] == "the first of several pictures in the file"


# Odd ones


@pytest.mark.parametrize(
    ("content", "size"),
    [
        (encoded(noise().convert("LAB"), "TIFF"), (48, 48)),
        (encoded(noise().convert("L").convert("I;16"), "TIFF"), (48, 48)),
        (encoded(noise().convert("L").convert("I"), "TIFF"), (48, 48)),
        (encoded(noise().convert("L").convert("F"), "TIFF"), (48, 48)),
        (encoded(noise().convert("LA"), "TIFF"), (48, 48)),
        (encoded(noise().convert("1"), "TIFF", compression="group4"), (48, 48)),
        (encoded(noise(), "WEBP", save_all=True, append_images=[noise()]), (48, 48)),
        (encoded(noise(), "PNG", save_all=True, append_images=[noise(40)]), (48, 48)),
        (encoded(noise(), "MPO", save_all=True, append_images=[noise()]), (48, 48)),
        (encoded(noise(), "JPEG") + b"<script>" * 1_000, (48, 48)),
        (encoded(noise(), "PNG", icc_profile=b"no profile"), (48, 48)),
    ],
    ids=["lab", "16-bit", "32-bit", "float", "grey-alpha", "fax", "webp", "apng", "mpo", "tail", "profile"],
)
def test_an_odd_picture_is_read_or_refused_in_a_sentence(content: bytes, size: tuple[int, int], tmp_path: Path) -> None:
    with watched(tmp_path):
        try:
            assert read_picture(content).size == size
        except DataError:
            pass  # such as a profile or a fax that this Pillow cannot decode


@pytest.mark.parametrize("form", ["EPS", "PDF", "PSD", "ICO", "TGA", "JPEG2000"])
def test_a_format_that_is_not_on_the_list_is_not_even_tried(form: str, tmp_path: Path) -> None:
    if form == "PSD":
        content = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 8, 8, 8, 3) + bytes(14)
    else:
        try:
            content = encoded(noise(), form)
        except (KeyError, OSError):
            pytest.skip(f"this Pillow does not write {form}")
    with pytest.raises(NotAPicture, match="is not a picture Snellen reads"), watched(tmp_path):
        read_picture(content)  # starts no Ghostscript: `watched` would say so


@pytest.mark.parametrize("orientation", [0, 9, 255, 65_535])
def test_an_orientation_that_there_is_not_turns_nothing(orientation: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read_picture(encoded(noise(), "PNG", exif=exif)).size == (48, 48)


def test_words_inside_a_picture_stay_words(tmp_path: Path) -> None:
    told = PngImagePlugin.PngInfo()
    told.add_text("file", "../../etc/passwd")
    with watched(tmp_path):
        assert "passwd" not in "".join(read_with_notes(encoded(noise(), "PNG", pnginfo=told)).notes)


# A whole folder of them

HOSTILE = {
    "empty.png": b"",
    "text.png": b"this is no picture",
    "page.jpg": b"<!doctype html><script>alert(1)</script>",
    "cut.jpg": encoded(noise(), "JPEG")[:600],
    "cut.png": encoded(noise(), "PNG")[:-100],
    "bomb.png": png(60_000, 60_000),
    "ghost.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "flipped.webp": encoded(noise(), "WEBP")[:20] + bytes(200),
    "zip.gif": b"PK\x03\x04" + bytes(60),
    "pickle.bmp": b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.",
    "a\nline.png": b"GIF89a",
    "x" * 250 + ".png": b"\x89PNG\r\n\x1a\n",
}


def test_in_a_folder_each_hostile_file_is_skipped_and_counted_and_the_others_are_read(
    tmp_path: Path, no_cache: None
) -> None:
    root = tmp_path / "letters"
    for label in ("one", "two"):
        (root / label).mkdir(parents=True)
        for number in range(12):
            # Lying endings: content decides.
            pixels = np.full((20, 20, 3), 10 * number + (5 if label == "two" else 0), dtype=np.uint8)
            (root / label / f"{number}.jpg").write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    for name, content in HOSTILE.items():
        (root / "one" / name).write_bytes(content)
    os.mkfifo(root / "one" / "pipe.png")
    (root / "one" / "loop.png").symlink_to("loop.png")
    (root / "one" / "out.png").symlink_to("/etc/passwd")
    with watched(tmp_path):
        dataset = load_folder(root)
    assert len(dataset.train) == 24
    said = "\n".join(dataset.about)
    assert f"{len(HOSTILE)} unreadable" in said
    assert "special files (pipes, devices, sockets) (1)" in said
    assert "lead out of the folder, to folders or nowhere (2)" in said
    assert "\nline" not in said
