"""How columns of numbers and pictures travel inside the page.

Numbers are little-endian bytes in base64, a quarter of their size as JSON. Many small pictures are one sheet, a sprite,
that the page cuts up again: five thousand files of two kilobytes would each pay for their own header and their own
palette; one lossless WebP of all CIFAR-10 val images has 8.9 MB. The hardest setting saves 4 % of that and takes
fifteen times as long.
"""

from __future__ import annotations

import base64
import io
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

_TYPES = ("u1", "u2", "u4", "i4", "f4")
_STEPS = 65_535
_LONGEST_SIDE = 16_383  # pixels; WebP can hold no more


def packed(values: NDArray[Any], kind: str) -> dict[str, str]:
    """An array as `{"type", "data"}`; the page turns it back into a typed array, row by row.

    Args:
        values: of any shape; the page knows the shape from what it is.
        kind: "u1", "u2", "u4", "i4" or "f4".
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

    "<", ">" and "&" are written as escapes, so no text in it can end the element or begin a comment; the two line
    separators that JSON allows and older JavaScript does not are escaped as well.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


@dataclass(frozen=True)
class Sprite:
    """A file that holds `count` equally large pictures of `tile` (H, W) pixels, row by row, `columns` in each."""

    content: bytes
    mime: str
    columns: int
    tile: tuple[int, int]
    count: int

    def about(self) -> dict[str, Any]:
        """What the page must know to cut it up."""
        return {"mime": self.mime, "columns": self.columns, "tile": list(self.tile), "count": self.count}

    @property
    def base64(self) -> str:
        """The file as text."""
        return base64.b64encode(self.content).decode("ascii")


def make_sprite(images: NDArray[np.uint8], *, lossless: bool = True) -> Sprite:
    """A sheet of pictures: WebP where Pillow has it, else PNG.

    Args:
        images: (N, H, W, C) uint8, C is 1 or 3.
        lossless: False where pictures are only there to be compared with others: a third of the size.
    """
    count, height, width, channels = images.shape
    columns = max(1, math.ceil(math.sqrt(count * height / max(width, 1))))
    rows = max(1, math.ceil(count / columns))
    sheet = np.zeros((rows * columns, height, width, channels), dtype=np.uint8)
    sheet[:count] = images
    sheet = sheet.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    sheet = sheet.reshape(rows * height, columns * width, channels)
    picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    buffer = io.BytesIO()
    if features.check("webp") and max(picture.size) <= _LONGEST_SIDE:
        if lossless:
            picture.save(buffer, "WEBP", lossless=True, method=0, quality=0)
        else:
            picture.save(buffer, "WEBP", quality=92, use_sharp_yuv=True)
        mime = "image/webp"
    else:
        picture.save(buffer, "PNG", optimize=True)
        mime = "image/png"
    return Sprite(buffer.getvalue(), mime, columns, (height, width), count)
