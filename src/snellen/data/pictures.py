"""One picture from a file or an upload, turned into (side, side, C) uint8 by one stated policy.

`PictureForm.pixels` serves training folders, `predict`, export checks and the viewer, so they cannot disagree.

    format       by content, never by extension: JPEG, PNG, WebP, GIF (first frame), BMP, TIFF
    orientation  EXIF rotation is applied
    16-bit grey  scaled to 8 bits (Pillow's own conversion clips 99.6 % of the values to white)
    alpha        laid over white
    CMYK, palette, grey  converted to RGB
    size         refused above 64 megapixels, read from the header before anything is decoded; a large JPEG is
                 decoded at 1/2, 1/4 or 1/8 where that still leaves twice the pixels that are kept
    time         refused are the files of `costly.py`, of which a few bytes would keep the decoder busy for minutes
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from snellen.data.decode_limits import require_cheap
from snellen.errors import DataError, InvalidSetting, NotAPicture, TooLarge

Fit = Literal["squash", "crop", "pad"]
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
DECODER = 1
"""Goes up whenever a file would give other pixels than before: cached pixels of an older one are made again."""
SMALLEST_SIDE, LARGEST_SIDE = 16, 512
_MAX_PIXELS = 64_000_000
MAX_BYTES = 256 * 2**20
"""Of one encoded picture; more are not read."""
_STRIP_PIXELS = 4_000_000
_ORIENTATION = 0x0112  # EXIF
_IN_WORDS = {"1": "black and white", "L": "grey", "LA": "grey", "P": "palette", "PA": "palette"}
# What decoders raise about bytes that are not what they promise to be.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, TypeError, LookupError, ArithmeticError,
           MemoryError)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ReadPicture:
    """A picture with what its file said and what was done to it.

    Attributes:
        image: upright RGB, of any size.
        format: one of `FORMATS`, or "MPO", a JPEG with more pictures behind the first.
        mode: as stored, in Pillow's words: "RGB", "L", "P", "CMYK", "RGBA", "I;16" …
        size: (W, H) as stored, before it was turned upright; pixels.
        notes: each step of the policy that changed something, as a few words.
    """

    image: Image.Image
    format: str
    mode: str
    size: tuple[int, int]
    notes: tuple[str, ...]


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
    """An upright RGB picture of any size; arguments and errors as those of `read_with_notes`."""
    return read_with_notes(source, max_pixels=max_pixels, at_least=at_least).image


def read_with_notes(
    source: Path | bytes,
    *,
    formats: tuple[str, ...] = FORMATS,
    max_pixels: int = _MAX_PIXELS,
    at_least: int | None = None,
) -> ReadPicture:
    """An upright RGB picture of any size, and how it became one.

    Args:
        source: a file, or its content.
        formats: what is read, some of `FORMATS`.
        max_pixels: in the file; more are refused.
        at_least: pixels of the shorter side that are enough: a larger JPEG may be decoded smaller, four times faster.

    Raises:
        NotAPicture: of none of the formats.
        TooLarge: too many pixels or bytes.
        DataError: broken, empty or not there; the sentence names the file.
    """
    name = str(source) if isinstance(source, Path) else "The picture"
    content = read_bytes(source) if isinstance(source, Path) else source
    if not content:
        raise DataError(f"{name} is empty (0 bytes).")
    require_cheap(content, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own size warning: the cap below is stricter and is an error
            image = Image.open(io.BytesIO(content), formats=formats)
            if image.width * image.height > max_pixels:
                raise TooLarge(f"{name} has {image.width}x{image.height} pixels; at most {max_pixels:,} are read.")
            several = getattr(image, "is_animated", False)
            stored = image.size
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            image.load()
            mode, notes = image.mode, _notes_on(image, several)
            ImageOps.exif_transpose(image, in_place=True)
            return ReadPicture(_to_rgb(image), image.format or "", mode, stored, notes)
    except UnidentifiedImageError:
        raise NotAPicture(f"{name} is not a picture Snellen reads ({', '.join(formats)}).") from None
    except Image.DecompressionBombError:
        raise TooLarge(f"{name} has far more pixels than the {max_pixels:,} that are read at most.") from None
    except _BROKEN as error:
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


def square_of(size: tuple[int, int], fit: Fit) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of what `resize` makes its square of, in pixels of a picture of `size` (W, H).

    With "pad" it reaches beyond the picture, with "squash" it is the picture and no square.
    """
    width, height = size
    if fit == "squash":
        return 0.0, 0.0, float(width), float(height)
    side = min(size) if fit == "crop" else max(size)
    return (width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2


def read_bytes(path: Path) -> bytes:
    """The content of a regular file of at most 256 MiB; nothing else is opened.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    try:
        if not path.is_file():  # also keeps away from pipes and devices, which would block
            raise DataError(f"{path} is not a file." if path.exists() else f"There is no picture at {path}.")
        if path.stat().st_size > MAX_BYTES:
            raise TooLarge(f"{path} has {path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read.")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _notes_on(image: Image.Image, several: bool) -> tuple[str, ...]:
    orientation = image.getexif().get(_ORIENTATION, 1)
    found = {
        "the first of several pictures in the file": several,
        f"turned upright (EXIF orientation {orientation})": orientation in range(2, 9),
        "16-bit grey scaled to 8 bits": _is_deep(image),
        "transparent parts laid over white": _is_transparent(image),
        f"{_IN_WORDS.get(image.mode, image.mode)} turned into RGB": image.mode not in ("RGB", "RGBA"),
        "its colour profile is not applied: colours are taken as sRGB": "icc_profile" in image.info,
    }
    return tuple(note for note, applies in found.items() if applies)


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def _is_transparent(image: Image.Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


def _to_rgb(image: Image.Image) -> Image.Image:
    if _is_deep(image):
        return _by_strips(image, _grey_16_to_rgb)
    if _is_transparent(image):
        return _by_strips(image, _over_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _by_strips(image: Image.Image, to_rgb: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """`to_rgb` of a few rows at a time: what it needs in between, several times a large picture, is small then."""
    rows, result = max(1, _STRIP_PIXELS // image.width), Image.new("RGB", image.size)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        result.paste(to_rgb(strip), (0, top))
    return result


def _over_white(strip: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip.convert("RGBA")).convert("RGB")


def _grey_16_to_rgb(strip: Image.Image) -> Image.Image:
    values = np.asarray(strip, dtype=np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65_535:
        raise ValueError(f"grey values from {values.min()} to {values.max()}; 0 to 65535 are understood")
    # 65535 = 257 * 255, so white stays white.
    return Image.fromarray(np.round(values / 257).astype(np.uint8)).convert("RGB")
