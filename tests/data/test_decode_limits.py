"""Small files that would keep a decoder busy for minutes are refused at once; real ones of every kind are read."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from mixed_pictures import read_picture
from snellen.data.decode_limits import MAX_CHUNKS, MAX_RUN_LENGTH_PIXELS, MAX_SCANS, MAX_SEGMENTS, require_cheap
from snellen.errors import DataError, TooLarge


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def many_scans(count: int, side: int = 16) -> bytes:
    """A grey progressive JPEG whose last scan is repeated until there are `count`."""
    whole = encoded(Image.new("L", (side, side)), "JPEG", progressive=True)
    last, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    return whole[:end] + whole[last:end] * (count - whole.count(b"\xff\xda")) + whole[end:]


def many_segments(segment: bytes, count: int) -> bytes:
    whole = encoded(Image.new("RGB", (8, 8)), "JPEG")
    return whole[:2] + segment * count + whole[2:]


def many_chunks(count: int) -> bytes:
    whole = encoded(Image.new("RGB", (8, 8)), "PNG")
    at = whole.index(b"IDAT") - 4
    return whole[:at] + (struct.pack(">I", 0) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))) * count + whole[at:]


def run_lengths(width: int, height: int, body: bytes = b"\1\0\0\0", compression: int = 1) -> bytes:
    """A run-length coded BMP: one pixel, then the end of the line."""
    about = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(body), 0, 0, 256, 0)
    start = 14 + len(about) + 1024
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + about + bytes(1024) + body


COSTLY = {
    "scans": many_scans(MAX_SCANS + 1),
    "EXIF": many_segments(b"\xff\xe1\0\x0aExif\0\0ab", MAX_SEGMENTS + 1),
    "comments": many_segments(b"\xff\xfe\0\2", MAX_SEGMENTS + 1),
    "fill bytes": many_segments(b"\xff", 1_000_000),
    "chunks": many_chunks(MAX_CHUNKS + 1),
    "runs": run_lengths(4000, 4000, b"\1\0\0\0" * 4000),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_a_small_file_that_would_take_long_is_refused_at_once(kind: str) -> None:
    began = time.monotonic()
    with pytest.raises(TooLarge if kind == "runs" else DataError, match="The picture is a (JPEG|PNG|run-length)"):
        read_picture(COSTLY[kind])
    assert time.monotonic() - began < 2


def test_what_is_just_within_the_caps_is_read() -> None:
    assert read_picture(many_scans(MAX_SCANS)).size == (16, 16)
    assert read_picture(many_segments(b"\xff\xfe\0\2", MAX_SEGMENTS - 10)).size == (8, 8)
    side = int(MAX_RUN_LENGTH_PIXELS**0.5)
    assert read_picture(run_lengths(side, 8, b"\1\0\0\0" * 8)).size == (side, 8)


COMMENT, PNG, CHUNK = b"\xff\xfe\0\2", b"\x89PNG\r\n\x1a\n", b"\0\0\0\0abCd\0\0\0\0"
LARGE = run_lengths(4000, 3000)
CAPS = {
    "segments": (b"\xff\xd8" + COMMENT * MAX_SEGMENTS, b"\xff\xd8" + COMMENT * (MAX_SEGMENTS + 1)),
    "gaps": (b"\xff\xd8" + bytes(4_096) + COMMENT, b"\xff\xd8" + bytes(4_097) + COMMENT),
    "chunks": (PNG + CHUNK * MAX_CHUNKS, PNG + CHUNK * MAX_CHUNKS + CHUNK[:8]),
    "run-length coded BMP of 1001x1000": (run_lengths(1000, 1000), run_lengths(1001, 1000)),
    "run-length coded BMP of 1000x1001": (run_lengths(-1000, 1000, compression=2), run_lengths(1000, -1001, b"", 2)),
    "run-length coded BMP of 4000x3000": (LARGE[:33], LARGE[:34]),
    "4000x3000": (LARGE[:14] + b"\x0c" + LARGE[15:], LARGE),  # an older header has other fields
}


@pytest.mark.parametrize("cap", CAPS)
def test_every_cap_is_met_exactly(cap: str) -> None:
    within, beyond = CAPS[cap]
    require_cheap(within, "The picture")
    with pytest.raises(DataError, match=f"The picture is a .*{cap}"):
        require_cheap(beyond, "The picture")


def test_bytes_that_only_look_like_scans_are_not_counted() -> None:
    motion = encoded(Image.new("RGB", (16, 16)), "JPEG") + b"\xff\xda" * 1_000  # a film behind the photograph
    thumbnail = many_segments(b"\xff\xe2\x08\x00" + b"\xff\xda" * 1_023, 1)
    for content in (motion, thumbnail):
        assert read_picture(content).width > 0
    assert read_picture(encoded(Image.new("RGB", (8, 8)), "PNG") + bytes(2_000_000)).size == (8, 8)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_real_pictures_of_every_format_are_cheap(format: str, rng: np.random.Generator) -> None:
    picture = Image.fromarray(rng.integers(0, 256, (300, 400, 3), dtype=np.uint8))
    require_cheap(encoded(picture, format), "The picture")
    if format == "JPEG":
        require_cheap(encoded(picture, format, progressive=True, icc_profile=bytes(200_000)), "The picture")


def test_a_plain_bmp_may_be_as_large_as_any_picture() -> None:
    require_cheap(encoded(Image.new("P", (2000, 2000)), "BMP"), "The picture")
    require_cheap(b"BM", "The picture")
