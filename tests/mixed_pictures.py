"""A folder of pictures as people have them: every format, every mode, some of them turned by the camera.

Run as a script: `python tests/mixed_pictures.py FOLDER [IMAGES]`, from the built-in letters.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from snellen.data.eyechart import make_eyechart
from snellen.data.labeled_images import LabeledImages
from snellen.data.pictures import Picture, read_with_notes

KINDS = (
    "rgb.jpg", "rgb.png", "rgb.webp", "palette.gif", "rgb.bmp", "rgb.tiff", "grey.png", "alpha.png", "cmyk.jpg",
    "16-bit.png", "turned.jpg",
)  # fmt: skip


def read_picture(source: Picture, **options: int) -> Image.Image:
    """The picture alone; arguments as those of `read_with_notes`."""
    return read_with_notes(source, **options).image  # type: ignore[arg-type]


def save_as(pixels: np.ndarray, folder: Path, number: int, kind: str) -> Path:
    """Write one (H, W, 3) uint8 picture in the form that `kind` names."""
    image = Image.fromarray(pixels)
    path = folder / f"{number:05d}-{kind}"
    mode = kind.partition(".")[0]
    quality = {"quality": 95} if kind.endswith((".jpg", ".webp")) else {}
    if mode == "16-bit":
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        Image.fromarray(grey).save(path)
    elif mode == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise by whoever shows it
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, **quality)
    elif mode == "alpha":
        image.putalpha(255)
        image.save(path)
    else:
        image.convert({"palette": "P", "grey": "L", "cmyk": "CMYK"}.get(mode, "RGB")).save(path, **quality)
    return path


def write_folder(images: LabeledImages, root: Path, *, first: int = 0, kinds: tuple[str, ...] = KINDS) -> None:
    """One folder per class, the formats in turn."""
    for number, (pixels, label) in enumerate(zip(images.images, images.labels.tolist(), strict=True), start=first):
        folder = root / images.class_names[label]
        folder.mkdir(parents=True, exist_ok=True)
        # Another step than one: a format must not belong to a class.
        save_as(pixels, folder, number, kinds[(number * 7 + number // len(images.class_names)) % len(kinds)])


if __name__ == "__main__":
    write_folder(make_eyechart(train=int((sys.argv[2:] or ["330"])[0]), test=0).train, Path(sys.argv[1]))
