"""Pictures whose decoding would take far longer than their bytes and pixels say, told by their bytes alone.

Pixels are capped from the header, but time is not memory. Measured with Pillow 13 on files of at most 8 MB:

    a JPEG in 1,000 scans, each a pass over 16 megapixels for 31 bytes of the file       53 s (94 kB)
    a JPEG of 660,000 EXIF segments, each appended to a copy of those before             56 s
    a JPEG of fill bytes, read one by one                                                15 s
    a PNG of 660,000 empty chunks                                                        10 s
    a run-length coded BMP of 16 megapixels, decoded in Python                           10 s (21 kB)

Real files are far from these caps, so that nothing has to be decoded in another process only to be stopped there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from snellen.errors import DataError, TooLarge

MAX_SCANS = 64
"""Of a JPEG; a progressive photograph has about ten."""
MAX_SEGMENTS = 2_000
"""Of a JPEG before its first scan: a colour profile or a depth map takes one for each 64 kB."""
MAX_CHUNKS = 100_000
"""Of a PNG; libpng writes one for each 8 kB."""
MAX_RUN_LENGTH_PIXELS = 1_000_000
"""Of a run-length coded BMP."""
_END, _SCAN, _PARAMETERLESS = 0xD9, 0xDA, (0x01, 0xD8)
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")  # not a stuffed byte, a restart or a fill byte
_LONGEST_GAP = 4_096  # bytes before a segment that belong to none


def require_cheap(content: bytes, name: str) -> None:
    """Raise for a file of which a few bytes keep a decoder busy for a long time; other faults are not looked for.

    Args:
        content: of the file; of any kind, most are passed over.
        name: as which an error speaks of it.

    Raises:
        TooLarge: a run-length coded BMP of more than `MAX_RUN_LENGTH_PIXELS`.
        DataError: a JPEG or PNG in far too many pieces.
    """
    if content.startswith(b"\xff\xd8"):
        fault = _costly_jpeg(content)
    elif content.startswith(b"\x89PNG\r\n\x1a\n"):
        chunks = sum(1 for _ in islice(_png_chunks(content), MAX_CHUNKS + 1))
        fault = f"a PNG of more than {MAX_CHUNKS:,} chunks" if chunks > MAX_CHUNKS else None
    else:
        fault = None
        _require_short_runs(content, name)
    if fault:
        raise DataError(f"{name} is {fault}, which no program writes; it is not read.")


def _costly_jpeg(content: bytes) -> str | None:
    scans, before = 0, 0
    for kind, gap in _jpeg_segments(content):
        scans += kind == _SCAN
        before += scans == 0
        if scans == 0 and (before > MAX_SEGMENTS or gap > _LONGEST_GAP):
            return f"a JPEG of more than {MAX_SEGMENTS:,} segments, or with long gaps between them"
        if scans > MAX_SCANS:
            return f"a JPEG in more than {MAX_SCANS} scans"
        if scans == 1 and content.count(b"\xff\xda") <= MAX_SCANS:
            return None  # not more scans than there are such bytes: a large photograph need not be walked through
    return None


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Each one's kind and the bytes skipped before it, up to the end of the first picture, as a decoder meets them."""
    at = 2
    while found := _MARKER.search(content, at):
        kind = found[1][0]
        if kind == _END:
            return
        yield kind, found.start() - at
        at = found.end()
        if kind not in _PARAMETERLESS:
            at += max(2, int.from_bytes(content[at : at + 2], "big"))


def _png_chunks(content: bytes) -> Iterator[int]:
    """Where each begins."""
    at = 8
    while at + 8 <= len(content):
        yield at
        if content[at + 4 : at + 8] == b"IEND":
            return
        at += 12 + int.from_bytes(content[at : at + 4], "big")


def _require_short_runs(content: bytes, name: str) -> None:
    run_length = content.startswith(b"BM") and len(content) >= 34 and content[30:34] in (b"\1\0\0\0", b"\2\0\0\0")
    if run_length and int.from_bytes(content[14:18], "little") >= 40:  # an older header has no such field
        width, height = (int.from_bytes(content[at : at + 4], "little", signed=True) for at in (18, 22))
        if abs(width * height) > MAX_RUN_LENGTH_PIXELS:
            size, most = f"{abs(width)}x{abs(height)}", f"{MAX_RUN_LENGTH_PIXELS:,}"
            raise TooLarge(f"{name} is a run-length coded BMP of {size} pixels; at most {most} are read of such.")
