"""How columns of numbers and pictures travel inside the page.

Numbers are little-endian bytes in base64, a quarter of their size as JSON. Many small pictures are one sheet, a sprite,
that the page cuts up again: five thousand files of two kilobytes would each pay for their own header and their own
palette; one lossless WebP of all CIFAR-10 val images has 8.9 MB. The hardest setting saves 4 % of that and takes
fifteen times as long. Photographs, of which nobody counts the pixels, are not lossless: 12 kB each at 224 pixels a
side, where it would be 100.
"""

from __future__ import annotations

import base64
import io
import json
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from snellen.paths import STEERING, visible

_TYPES = ("u1", "u2", "u4", "u8", "i4", "f4")
_STEPS = 65_535
_LONGEST_SIDE = 16_383  # pixels; WebP can hold no more
_SHEET_PIXELS = 4096 * 4096  # more is not decoded by every phone
_PHOTOGRAPH = 64  # pixels a side from which on a picture is looked at as a whole
_QUALITY = 77


def packed(values: NDArray[Any], kind: str) -> dict[str, str]:
    """An array as `{"type", "data"}`; the page turns it back into a typed array, row by row.

    Args:
        values: of any shape; the page knows the shape from what it is.
        kind: "u1", "u2", "u4", "u8", "i4" or "f4".
    """
    assert kind in _TYPES, f"the page has no {kind}"
    if kind[0] in "ui":
        limits = np.iinfo(kind)
        assert values.size == 0 or (values.min() >= limits.min and values.max() <= limits.max), f"beyond {kind}"
    content = np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()
    return {"type": kind, "data": base64.b64encode(content).decode("ascii")}


def packed_fractions(values: NDArray[Any]) -> dict[str, str]:
    """Fractions in [0, 1] in steps of 1/65535: fine enough for a hundredth of a percent."""
    return packed(np.round(np.clip(values, 0, 1) * _STEPS), "u2")


def packed_map(values: NDArray[Any]) -> dict[str, Any]:
    """A map (h, w) of values from 0 up, stretched so that its largest is 255, with its shape and that largest value."""
    top = float(values.max(initial=0))
    levels = np.round(np.clip(values, 0, None) / top * 255) if top > 0 else np.zeros(values.shape)
    return {"shape": list(values.shape), "top": top, **packed(levels, "u1")}


def png(pixels: NDArray[np.uint8], *, level: int = 6) -> bytes:
    """(H, W, C) uint8 with one or three channels as a file; level 1 is the quickest, 9 the smallest."""
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def json_for_html(content: Any) -> str:
    """JSON that can stand inside a `<script>` element whatever names it holds.

    "<", ">" and "&" are written as escapes, so no text in it can end the element or begin a comment. What would turn
    the reading direction, or is not seen, is spelled out for the reader.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return re.sub(f"[{STEERING}]", lambda found: json.dumps(visible(found[0]))[1:-1], text)


@dataclass(frozen=True)
class Sprite:
    """`count` equally large pictures of `tile` (H, W) pixels on sheets of at most `per` pictures.

    Each sheet is a file: row by row, `columns` pictures in each. Several, because a phone decodes no sheet of 40
    million pixels, and because the page reads only those that it shows.
    """

    sheets: tuple[bytes, ...]
    mime: str
    columns: int
    per: int
    tile: tuple[int, int]
    count: int

    def about(self) -> dict[str, Any]:
        """What the page must know to cut it up."""
        about = {"mime": self.mime, "columns": self.columns, "per": self.per, "tile": list(self.tile)}
        return {**about, "count": self.count}

    @property
    def texts(self) -> tuple[str, ...]:
        """The files as text."""
        return tuple(base64.b64encode(sheet).decode("ascii") for sheet in self.sheets)

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(map(len, self.sheets))


def make_sprite(images: NDArray[np.uint8], *, most: int | None = None, lossless: bool | None = None) -> Sprite:
    """Sheets of pictures: WebP where Pillow has it, else PNG.

    Args:
        images: (N, H, W, C) uint8, C is 1 or 3.
        most: pixels of the longer side; larger pictures are shrunk.
        lossless: None: up to 64 pixels, where single pixels are to be seen. A photograph's bytes are an eighth of it.
    """
    height, width, _ = images.shape[1:]
    if most is not None and max(height, width) > most:
        height, width = (max(1, round(most * side / max(height, width))) for side in (height, width))
    per = max(1, min(len(images), _SHEET_PIXELS // (height * width)))
    columns = math.ceil(math.sqrt(per * height / width))
    lossless = max(height, width) < _PHOTOGRAPH if lossless is None else lossless
    fits = max(columns * width, math.ceil(per / columns) * height) <= _LONGEST_SIDE
    webp = bool(features.check("webp")) and fits
    sheets = [
        _file(_sheet(images[start : start + per], columns, (height, width)), webp, lossless)
        for start in range(0, max(1, len(images)), per)
    ]
    return Sprite(tuple(sheets), "image/webp" if webp else "image/png", columns, per, (height, width), len(images))


def _sheet(images: NDArray[np.uint8], columns: int, tile: tuple[int, int]) -> Image.Image:
    """The pictures on one sheet, each shrunk to the tile where it is larger."""
    height, width = tile
    rows = max(1, math.ceil(len(images) / columns))
    sheet = Image.new("L" if images.shape[3] == 1 else "RGB", (columns * width, rows * height))
    for at, pixels in enumerate(images):
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        if picture.size != (width, height):
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (at % columns * width, at // columns * height))
    return sheet


def _file(sheet: Image.Image, webp: bool, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    if not webp:
        sheet.save(buffer, "PNG", optimize=True)
    elif lossless:
        sheet.save(buffer, "WEBP", lossless=True, method=0, quality=0)
    else:
        sheet.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
