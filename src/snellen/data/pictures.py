"""One picture from a file or an upload, turned into (side, side, C) uint8 by one stated policy.

`PictureForm.pixels` serves training folders, `predict`, export checks and the viewer, so they cannot disagree.

    format       by content, never by extension: JPEG, PNG, WebP, GIF (first frame), BMP, TIFF
    orientation  EXIF rotation is applied
    16-bit grey  scaled to 8 bits (Pillow's own conversion clips 99.6 % of the values to white)
    alpha        laid over white
    CMYK, palette, grey  converted to RGB
    size         refused above 64 megapixels, read from the header before anything is decoded; a large JPEG is
                 decoded at 1/2, 1/4 or 1/8 where that still leaves twice the pixels that are kept
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from snellen.errors import DataError, InvalidSetting

Fit = Literal["squash", "crop", "pad"]
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
DECODER = 1
"""Goes up whenever a file would give other pixels than before: cached pixels of an older one are made again."""
SMALLEST_SIDE, LARGEST_SIDE = 16, 512
_MAX_PIXELS = 64_000_000
_MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class PictureForm:
    """How any picture becomes (side, side, C) uint8: chosen when a run is trained, and the same ever after.

    Attributes:
        side: pixels.
        fit: "crop" keeps the middle square, "pad" adds grey bars, "squash" ignores the aspect ratio.
        channels: 3, or 1 for grey.
    """

    side: int = 64
    fit: Fit = "crop"
    channels: int = 3

    def __post_init__(self) -> None:
        if not SMALLEST_SIDE <= self.side <= LARGEST_SIDE:
            raise InvalidSetting(f"--size {self.side} is not possible: {SMALLEST_SIDE} to {LARGEST_SIDE} pixels.")
        if self.fit not in get_args(Fit):
            raise InvalidSetting(f"--fit {self.fit} is not possible: {', '.join(get_args(Fit))}.")

    @staticmethod
    def of_run(data: dict[str, Any]) -> PictureForm:
        """The form of the pictures that a run was trained on: `run.json`'s entry "data".

        Raises:
            InvalidSetting: it names a form that there is not; a run folder may come from anywhere.
        """
        side, _, channels = data["image_shape"]
        loading = data.get("loading")
        fit: Any = loading.get("fit") if isinstance(loading, dict) else PictureForm.fit
        return PictureForm(side, fit, channels)

    def pixels(self, source: Path | bytes) -> NDArray[np.uint8]:
        """(side, side, C) uint8 of one picture; raises as `read_picture`."""
        image = read_picture(source, at_least=2 * self.side)
        return resize(image, side=self.side, channels=self.channels, fit=self.fit)


def read_picture(source: Path | bytes, *, max_pixels: int = _MAX_PIXELS, at_least: int | None = None) -> Image.Image:
    """An upright RGB picture of any size.

    Args:
        source: a file, or its content.
        max_pixels: in the file; more are refused.
        at_least: pixels of the shorter side that are enough: a larger JPEG may be decoded smaller, four times faster.

    Raises:
        DataError: not one of the formats, broken, or too large; the sentence names the file.
    """
    name = str(source) if isinstance(source, Path) else "the picture"
    content = read_bytes(source) if isinstance(source, Path) else source
    if not content:
        raise DataError(f"{name} is empty (0 bytes).")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning: the cap below is stricter and is an error
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if image.width * image.height > max_pixels:
                raise DataError(f"{name} has {image.width}x{image.height} pixels; at most {max_pixels:,} are read.")
            if at_least is not None:
                image.draft(None, (at_least, at_least))
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


def read_bytes(path: Path) -> bytes:
    """The content of a regular file of at most 256 MiB; nothing else is opened.

    Raises:
        DataError: there is none, or it cannot be read.
    """
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
