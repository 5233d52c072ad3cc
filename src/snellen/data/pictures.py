"""Where a picture becomes a square: any picture, from wherever it is handed over, as (H, W, C) uint8 by one policy.

`PictureForm.pixels` serves training folders, the command line, Python, export checks and the page, so that a path, its
bytes, an open file and the Pillow image of it get one answer.

    format       by content, never by extension: JPEG, PNG, WebP, AVIF, GIF (first frame), BMP, TIFF, PPM
    orientation  EXIF rotation is applied
    16-bit grey  scaled to 8 bits by one number for all pictures of a folder (Pillow's own conversion clips to white)
    alpha        laid over white
    CMYK, HSV, LAB, palette, grey  converted to RGB
    size         refused above 64 megapixels, read from the header before anything is decoded; a large JPEG is
                 decoded at 1/2, 1/4 or 1/8 where that still leaves twice the pixels that are kept
    time         refused are files of which a few bytes would keep the decoder busy for minutes (`decode_limits.py`)
"""

from __future__ import annotations

import io
import os
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features
from PIL.ImageFile import ImageFile

from snellen.data.decode_limits import require_cheap
from snellen.data.listing import MAX_BYTES, read_bytes
from snellen.errors import DataError, InvalidSetting, NotAPicture, TooLarge
from snellen.paths import user_path

Picture = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[np.uint8]
"""One picture: a file by its path, its content, an open file, a Pillow image, or (H, W), (H, W, 1 or 3) uint8."""
Fit = Literal["squash", "crop", "pad"]
FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", *(("AVIF",) if features.check_module("avif") else ()),
)  # fmt: skip
DECODER = 2
"""Goes up whenever a file would give other pixels than before: cached pixels of an older one are made again."""
LARGEST_SIDE = 4_096
WHITE = 65_535
"""The brightest value of a 16-bit picture."""
_MAX_PIXELS = 64_000_000
_MAX_PYTHON_PIXELS = 1_000_000  # of formats that Pillow decodes in Python, a value at a time
_STRIP_PIXELS = 4_000_000
_ORIENTATION = 0x0112  # EXIF
_IN_WORDS = {"1": "black and white", "L": "grey", "LA": "grey", "P": "palette", "PA": "palette"}
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}  # and what Pillow can turn on from
_ALPHA_MODES = ("LA", "PA", "RGBA", *_PREMULTIPLIED)
# What decoders raise about bytes that are not what they promise to be.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, TypeError, LookupError, ArithmeticError,
           MemoryError)  # fmt: skip


@dataclass(frozen=True, eq=False)
class ReadPicture:
    """A picture with what its file said and what was done to it.

    Attributes:
        image: upright RGB, of any size.
        format: one of `FORMATS`, "MPO", a JPEG with more pictures behind the first, or "" where there was no file.
        mode: as stored, in Pillow's words: "RGB", "L", "P", "CMYK", "RGBA", "I;16" …
        size: (W, H) as stored, before it was turned upright; pixels.
        notes: each step of the policy that changed something, as a few words.
        peak: the largest grey value of a picture of more than 8 bits; None for all others.
    """

    image: Image.Image
    format: str
    mode: str
    size: tuple[int, int]
    notes: tuple[str, ...]
    peak: float | None


@dataclass(frozen=True)
class PictureForm:
    """How any picture becomes (H, W, C) uint8: chosen when a run is trained, and the same ever after.

    Attributes:
        side: H, pixels.
        fit: "crop" keeps the middle, "pad" adds grey bars, "squash" ignores the aspect ratio.
        channels: C, 3, or 1 for grey.
        width: W, pixels; None is a square. Only arrays in memory have another.
        white: which value of 16-bit grey is white, for all pictures alike; None takes 65,535, and refuses a picture
            that would be black from edge to edge by it.
    """

    side: int = 64
    fit: Fit = "crop"
    channels: int = 3
    width: int | None = None
    white: int | None = None

    def __post_init__(self) -> None:
        if not all(1 <= length <= LARGEST_SIDE for length in self.shape[:2]):
            raise InvalidSetting(f"Pictures of {self.side}x{self.width or self.side} pixels are not possible.")
        if self.fit not in get_args(Fit):
            raise InvalidSetting(f"--fit {self.fit} is not possible: {', '.join(get_args(Fit))}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return self.side, self.width or self.side, self.channels

    @staticmethod
    def of_run(data: dict[str, Any]) -> PictureForm:
        """The form of the pictures that a run was trained on: `run.json`'s entry "data".

        Raises:
            InvalidSetting: it names a form that there is not; a run folder may come from anywhere.
        """
        height, width, channels = data["image_shape"]
        loading = data.get("loading")
        told: dict[str, Any] = loading if isinstance(loading, dict) else {}
        white = told.get("white")
        if white is not None and not (isinstance(white, int) and 1 <= white <= WHITE):
            raise InvalidSetting(f"White is {white!r} in run.json; it must be 1 to {WHITE}.")
        form = PictureForm(height, told.get("fit", PictureForm.fit), channels, white=white)
        return form if width == height else replace(form, width=width)

    def pixels(self, source: Picture) -> NDArray[np.uint8]:
        """(H, W, C) uint8 of one picture; raises as `read_with_notes`. An array of this shape is returned as it is."""
        if isinstance(source, np.ndarray) and source.shape == self.shape and source.dtype == np.uint8:
            return source
        return self.read(source)[0]

    def read(self, source: Picture) -> tuple[NDArray[np.uint8], float | None]:
        """`pixels`, and the peak of a picture of more than 8 bits."""
        read = read_with_notes(source, at_least=2 * max(self.shape[:2]), white=self.white)
        return self.fitted(read.image), read.peak

    def fitted(self, image: Image.Image) -> NDArray[np.uint8]:
        """(H, W, C) uint8 of an RGB picture of any size; grey is ITU-R 601 luma."""
        height, width, channels = self.shape
        if self.fit == "crop":
            square = ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)
        elif self.fit == "pad":
            square = Image.new("RGB", (width, height), (128, 128, 128))
            scale = min(width / image.width, height / image.height)
            inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))  # a hair still shows
            shrunk = image.resize(inner, Image.Resampling.LANCZOS)
            square.paste(shrunk, ((width - inner[0]) // 2, (height - inner[1]) // 2))
        else:
            square = image.resize((width, height), Image.Resampling.LANCZOS)
        pixels = np.asarray(square if channels == 3 else square.convert("L"), dtype=np.uint8)
        return pixels.reshape(self.shape)


def read_with_notes(
    source: Picture,
    *,
    formats: tuple[str, ...] = FORMATS,
    max_pixels: int = _MAX_PIXELS,
    at_least: int | None = None,
    white: int | None = None,
) -> ReadPicture:
    """An upright RGB picture of any size, and how it became one.

    Args:
        source: a file, its content, an open file, a Pillow image, which is left as it is, or an array.
        formats: what is read, some of `FORMATS`.
        max_pixels: in the file; more are refused.
        at_least: pixels of the shorter side that are enough: a larger JPEG may be decoded smaller, four times faster.
        white: as in `PictureForm`.

    Raises:
        NotAPicture: of none of the formats.
        TooLarge: too many pixels or bytes.
        DataError: broken, empty or not there; the sentence names the file.
    """
    name = str(source) if isinstance(source, str | os.PathLike) else "The picture"
    try:
        with _quiet():
            image = _opened(source, name, formats)
            if image.width * image.height > max_pixels:
                raise TooLarge(f"{name} has {image.width}x{image.height} pixels; at most {max_pixels:,} are read.")
            several = getattr(image, "is_animated", False)
            stored = image.size
            if at_least is not None and image is not source:
                image.draft(None, (at_least, at_least))
            image.load()
            mode, notes = image.mode, _notes_on(image, several)
            upright = image
            if image is source:
                upright = ImageOps.exif_transpose(image)
            else:
                ImageOps.exif_transpose(image, in_place=True)  # a large picture is not there twice
            peak = _peak(upright) if _is_deep(upright) else None
            if white is None:
                _require_seen(peak, name)
            return ReadPicture(_to_rgb(upright, white or WHITE), image.format or "", mode, stored, notes, peak)
    except Image.DecompressionBombError:
        raise TooLarge(f"{name} has far more pixels than the {max_pixels:,} that are read at most.") from None
    except _BROKEN as error:
        raise DataError(f"{name} is broken and cannot be read ({error}).") from error


class Header(NamedTuple):
    """What a file says of its picture before anything is decoded: pixels as stored, and whether it has no colour."""

    width: int
    height: int
    grey: bool


def read_header(source: str | os.PathLike[str] | bytes) -> Header:
    """The header of a file, by its path or content; raises as `read_with_notes`."""
    name = str(source) if isinstance(source, str | os.PathLike) else "The picture"
    try:
        with _quiet():
            image = _opened(source, name, FORMATS)
            return Header(image.width, image.height, image.mode in ("1", "L", "LA", "La") or _is_deep(image))
    except Image.DecompressionBombError:
        raise TooLarge(f"{name} has far more pixels than the {_MAX_PIXELS:,} that are read at most.") from None
    except _BROKEN as error:
        raise DataError(f"{name} is broken and cannot be read ({error}).") from error


def _opened(source: Any, name: str, formats: tuple[str, ...]) -> Image.Image:
    """Any source as a Pillow image, not yet decoded where it is a file."""
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, str | os.PathLike):
        source = read_bytes(user_path(source))
    elif callable(getattr(source, "read", None)):
        source = source.read(MAX_BYTES + 1)
    elif hasattr(source, "__array__"):
        return _from_array(source)
    if not isinstance(source, bytes | bytearray | memoryview):
        raise DataError(
            f"A picture cannot be of type {type(source).__name__}. Give a path, its bytes, a file opened with 'rb', a "
            "Pillow image, or an array (H, W, C) uint8."
        )
    content = bytes(source)
    if not content:
        raise DataError(f"{name} is empty (0 bytes).")
    if len(content) > MAX_BYTES:
        raise TooLarge(f"{name} has more than {MAX_BYTES:,} bytes, the most that are read.")
    require_cheap(content, name)
    try:
        image = Image.open(io.BytesIO(content), formats=formats)
    except UnidentifiedImageError:
        raise NotAPicture(f"{name} is not a picture Snellen reads ({', '.join(formats)}).{_hint(content)}") from None
    decoder = str(image.tile[0][0]) if isinstance(image, ImageFile) and image.tile else ""
    if decoder.startswith("ppm") and image.width * image.height > _MAX_PYTHON_PIXELS:
        raise TooLarge(
            f"{name} is a PPM of {image.width}x{image.height} pixels in a rare form; at most {_MAX_PYTHON_PIXELS:,} "
            "are read of such. Save it with 255 levels, in binary."
        )
    return image


def _hint(content: bytes) -> str:
    """What else it is, where it often is."""
    if content.startswith(b"version https://git-lfs"):
        return " It is a Git LFS pointer: git lfs pull fetches the picture."
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        return " It is HEIC: save it as JPEG or PNG first."
    return ""


def _from_array(source: Any) -> Image.Image:
    try:
        array = np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor on a graphics card, or with a gradient
        raise DataError(f"The values of a {type(source).__name__} cannot be read ({error}).") from error
    shape = array.shape
    if array.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)) or 0 in shape:
        turn = " Channels first? Move them last: image.transpose(1, 2, 0)." if shape[:1] in ((1,), (3,)) else ""
        raise DataError(
            f"Pictures as arrays must be (H, W), (H, W, 1) or (H, W, 3) uint8, got {shape} {array.dtype}.{turn} "
            "From [0, 1]: (images * 255).round().astype('uint8')."
        )
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if shape[2:] == (1,) else array))


def square_of(size: tuple[int, int], fit: Fit, *, aspect: float = 1.0) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of what `fitted` makes its square of, in pixels of a picture of `size` (W, H).

    With "pad" it reaches beyond the picture, with "squash" it is the picture and no square. `aspect` is W / H of what
    is made, where that is none.
    """
    width, height = size
    if fit == "squash":
        return 0.0, 0.0, float(width), float(height)
    pick = min if fit == "crop" else max
    tall = pick(height, width / aspect)
    wide = tall * aspect
    return (width - wide) / 2, (height - tall) / 2, (width + wide) / 2, (height + tall) / 2


class _Quiet:
    """Pillow's own warnings kept away while any thread reads a picture: `catch_warnings` is not made for threads."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._caught: Any = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._caught = warnings.catch_warnings()
                self._caught.__enter__()
                warnings.simplefilter("ignore")  # about sizes too: our cap is stricter, and is an error
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._caught.__exit__()


_quiet = _Quiet()


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
    return image.mode in _ALPHA_MODES or "transparency" in image.info


def _to_rgb(image: Image.Image, white: int) -> Image.Image:
    if _is_deep(image):
        return _by_strips(image, lambda strip: _deep_to_rgb(strip, white))
    if _is_transparent(image):
        return _by_strips(image, _over_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """A few rows at a time with their first: what they need in between, several times a large picture, is small."""
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _by_strips(image: Image.Image, to_rgb: Callable[[Image.Image], Image.Image]) -> Image.Image:
    result = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        result.paste(to_rgb(strip), (0, top))
    return result


def _over_white(strip: Image.Image) -> Image.Image:
    plain = strip.convert(_PREMULTIPLIED.get(strip.mode, strip.mode)).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", strip.size, "white"), plain).convert("RGB")


def _peak(image: Image.Image) -> float:
    """The largest of the grey values, of which each must be 0 to 65535."""
    peak = 0.0
    for _, strip in _strips(image):
        values = np.asarray(strip)
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > WHITE:
            raise ValueError(f"grey values from {values.min()} to {values.max()}; 0 to {WHITE} are understood")
        peak = max(peak, float(values.max()))
    return peak


def _require_seen(peak: float | None, name: str) -> None:
    if peak is not None and peak <= WHITE // 257:
        raise DataError(
            f"{name} has 16-bit grey values up to {peak:g} only, of {WHITE:,}: it would be black. Scale them to 0 to "
            f"{WHITE}, or save it with 8 bits."
        )


def _deep_to_rgb(strip: Image.Image, white: int) -> Image.Image:
    values = np.asarray(strip, dtype=np.float64)
    if values.max() > white:
        raise ValueError(f"grey values up to {values.max():g}; in the pictures learned from, {white} is white")
    levels = np.round(values / (white / 255))  # 65535 = 257 * 255, so white stays white
    return Image.fromarray(levels.astype(np.uint8)).convert("RGB")
