"""Many small pictures as one: a sheet that the page cuts up again.

Five thousand files of two kilobytes would each pay for their own header and their own palette; one lossless WebP of
all CIFAR-10 val images has 8.9 MB. The hardest setting saves 4 % of that and takes fifteen times as long.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

_LONGEST_SIDE = 16_383  # pixels; WebP can hold no more


@dataclass(frozen=True)
class Sprite:
    """A sheet of equally large pictures, row by row.

    Attributes:
        content: the encoded file.
        mime: its type.
        columns: pictures in a row.
        tile: (H, W) of one picture, pixels.
        count: N.
    """

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
