"""A data set at a glance: one row per class, its name beside it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from snellen.data.labeled_images import LabeledImages
from snellen.paths import visible
from snellen.show.text import shortened

PAPER, INK, FAINT = (252, 251, 248), (38, 38, 40), (140, 138, 134)
_LONGEST_NAME = 40


def contact_sheet(images: LabeledImages, per_class: int = 10, scale: int = 2) -> Image.Image:
    """The first pictures of each class as one RGB image.

    Args:
        images: any role; grey pictures are shown grey.
        per_class: pictures in a row; a smaller class leaves the rest of its row empty.
        scale: screen pixels per picture pixel, without smoothing, so that what is there is what is seen.
    """
    height, width = images.image_shape[0] * scale, images.image_shape[1] * scale
    gap, margin = max(2, width // 16), width // 2
    names = [shortened(visible(name), _LONGEST_NAME) for name in images.class_names]
    size = max(10.0, height / 4.5)
    fonts = [ImageFont.load_default(size) if name.isascii() else _font(name, size) for name in names]
    label_width = int(max(font.getlength(name) for font, name in zip(fonts, names, strict=True))) + margin // 2
    left = margin + label_width
    sheet = Image.new(
        "RGB",
        (left + per_class * (width + gap) - gap + margin, 2 * margin + images.num_classes * (height + gap) - gap),
        PAPER,
    )
    pen = ImageDraw.Draw(sheet)
    for label, name in enumerate(names):
        top = margin + label * (height + gap)
        pen.text((left - margin // 2, top + height / 2), name, fill=INK, font=fonts[label], anchor="rm")
        for place, position in enumerate(np.flatnonzero(images.labels == label)[:per_class]):
            sheet.paste(_picture(images.images[position], scale), (left + place * (width + gap), top))
    return sheet


def _font(name: str, size: float) -> ImageFont.FreeTypeFont:
    from snellen.show.figures import font_file

    return ImageFont.truetype(font_file(name), size)


def _picture(pixels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], scale: int) -> Image.Image:
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
