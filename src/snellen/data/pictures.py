"""One picture from a file or an upload, turned into (side, side, C) uint8 by one stated policy.

The same function serves training folders, `predict`, export checks and the viewer, so they cannot disagree.

    format       by content, never by extension: JPEG, PNG, WebP, GIF (first frame), BMP, TIFF
    orientation  EXIF rotation is applied
    16-bit grey  scaled to 8 bits (Pillow's own conversion clips 99.6 % of the values to white)
    alpha        laid over white
    CMYK, palette, grey  converted to RGB
    size         refused above 64 megapixels, read from the header before anything is decoded
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from snellen.errors import DataError

Fit = Literal["squash", "crop", "pad"]
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
_MAX_PIXELS = 64_000_000
_MAX_BYTES = 256 * 2**20


def read_picture(source: Path | bytes, *, max_pixels: int = _MAX_PIXELS) -> Image.Image:
    """An upright RGB picture of any size.

    Raises:
        DataError: not one of the formats, broken, or too large; the sentence names the file.
    """
    name = str(source) if isinstance(source, Path) else "the picture"
    content = _read_bytes(source) if isinstance(source, Path) else source
    if not content:
        raise DataError(f"{name} is empty (0 bytes).")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning: the cap below is stricter and is an error
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height > max_pixels:
                raise DataError(f"{name} has {image.width}x{image.height} pixels; at most {max_pixels:,} are read.")
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise DataError(f"{name} is not a picture Snellen reads ({', '.join(FORMATS)}).") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, MemoryError) as error:
        raise DataError(f"{name} is broken and cannot be read ({error}).") from error


def resize(image: Image.Image, *, side: int, channels: int, fit: Fit = "crop") -> NDArray[np.uint8]:
    """The picture as (side, side, C) uint8.

    Args:
        image: RGB.
        side: pixels.
        channels: 3, or 1 for grey (ITU-R 601 luma).
        fit: "crop" keeps the middle square, "pad" adds grey bars, "squash" ignores the aspect ratio.
    """
    size = (side, side)
    if fit == "crop":
        square = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    elif fit == "pad":
        square = Image.new("RGB", size, (128, 128, 128))
        scale = side / max(image.size)
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))  # a hair still shows
        shrunk = image.resize(inner, Image.Resampling.LANCZOS)
        square.paste(shrunk, ((side - inner[0]) // 2, (side - inner[1]) // 2))
    else:
        square = image.resize(size, Image.Resampling.LANCZOS)
    pixels = np.asarray(square if channels == 3 else square.convert("L"), dtype=np.uint8)
    return pixels.reshape(side, side, channels)


def _read_bytes(path: Path) -> bytes:
    try:
        if not path.is_file():  # also keeps away from pipes and devices, which would block
            raise DataError(f"{path} is not a file." if path.exists() else f"There is no picture at {path}.")
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; at most {_MAX_BYTES:,} are read.")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _grey_16_to_rgb(image)
    if "A" in image.getbands() or "transparency" in image.info:
        over_white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(over_white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _grey_16_to_rgb(image: Image.Image) -> Image.Image:
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65_535:
        raise ValueError(f"grey values from {values.min()} to {values.max()}; 0 to 65535 are understood")
    # 65535 = 257 * 255, so white stays white.
    return Image.fromarray(np.round(values / 257).astype(np.uint8)).convert("RGB")
