"""Pictures as they lie on the disk, before anything of them was cut off: what a small square cannot show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snellen.data.pictures import PictureForm, read_with_notes, square_of
from snellen.errors import DataError, InvalidSetting
from snellen.report.encoding import Sprite, make_sprite


@dataclass(frozen=True)
class Original:
    """One picture, upright, shrunk at most.

    Attributes:
        pixels: (H, W, 3) uint8.
        square: left, top, right, bottom of what the network is given of it, as fractions of the picture.
        size: (W, H) in pixels before it was shrunk.
    """

    pixels: NDArray[np.uint8]
    square: tuple[float, ...]
    size: tuple[int, int]

    def sprite(self) -> Sprite:
        """A sheet of it alone, as of a photograph."""
        return make_sprite(self.pixels[None], lossless=False)

    def about(self) -> dict[str, Any]:
        """JSON-able: `square` and `size`."""
        return {"square": list(self.square), "size": list(self.size)}


def framed(image: Image.Image, form: PictureForm, most: int) -> Original:
    """An upright picture, which is shrunk to `most` pixels of the longer side, with what the network takes of it."""
    size = image.size
    square = square_of(size, form.fit, aspect=form.shape[1] / form.shape[0])
    image.thumbnail((most, most), reducing_gap=2.0)
    return Original(
        np.asarray(image), tuple(edge / length for edge, length in zip(square, size * 2, strict=True)), size
    )


@dataclass(frozen=True)
class Originals:
    """The files of one split's pictures.

    Attributes:
        folder: below which they lie.
        names: the file of each id that may be asked for.
        form: how the network takes pictures.
    """

    folder: Path
    names: dict[int, str]
    form: PictureForm

    def of(self, image_id: int, most: int) -> Original:
        """One picture, at most so many pixels a side.

        Raises:
            InvalidSetting: none has this id.
            DataError: its file is gone, or broken.
            TooLarge: it has too many pixels.
        """
        name = self.names.get(image_id)
        if name is None:
            raise InvalidSetting(f"id={image_id} is not possible: this page has no file of such a picture.")
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise DataError(f"{name} cannot be read any more: {error.strerror}.") from None
        return framed(read_with_notes(content, white=self.form.white).image, self.form, most)


def originals_of(source: str, names: dict[int, str], form: PictureForm) -> Originals | None:
    """The files with these names below a data set's source; None where it is read from something else, as from shards.

    A name that leads out of the folder is of no file of the data set, and is left out.
    """
    path = Path(source)
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        return None
    inside = folder.resolve()
    kept = {
        image_id: name
        for image_id, name in names.items()
        if (folder / name).is_file() and (folder / name).resolve().is_relative_to(inside)
    }
    return Originals(folder, kept, form) if kept else None
