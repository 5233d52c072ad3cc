"""Pictures in any form a notebook has them, and the answers beside them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from snellen.data.labeled_images import LabeledImages
from snellen.data.pictures import PictureForm
from snellen.errors import DataError
from snellen.models.normalized import Classifier
from snellen.predict.own_pictures import unlabeled
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import TTA
from snellen.show import notebook

Picture = str | Path | Image.Image | NDArray[np.uint8]
Pictures = Picture | LabeledImages | Sequence[Picture]

_SHOWN, _TOP = 12, 3
_SIDE = 48
"""Pixels of a picture in a notebook's table."""


@dataclass(frozen=True, repr=False)
class Answers:
    """What a model says about some pictures.

    Attributes:
        predictions: logits, one row per picture, averaged over views where that was asked for; labels are -1.
        images: (N, H, W, C) uint8, the pictures as the model saw them.
        names: the files' names, or the pictures' numbers.
    """

    predictions: Predictions
    images: NDArray[np.uint8]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, K) float64."""
        return self.predictions.probabilities

    @property
    def classes(self) -> list[str]:
        """The most probable class of each picture."""
        return [self.predictions.class_names[answer] for answer in self.predictions.predicted]

    def top(self, k: int = _TOP) -> list[list[tuple[str, float]]]:
        """For each picture the k most probable classes with their probabilities, the most probable first."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :k]
        names = self.predictions.class_names
        return [
            [(names[at], float(row[at])) for at in best]
            for row, best in zip(self.probabilities, order.tolist(), strict=True)
        ]

    def __repr__(self) -> str:
        width = max(map(len, self.names), default=0)
        lines = [
            f"{name:<{width}}  " + ", ".join(f"{label} {100 * value:.1f} %" for label, value in best)
            for name, best in zip(self.names[:_SHOWN], self.top(), strict=False)
        ]
        rest = len(self) - len(lines)
        return "\n".join([*lines, *([f"and {rest:,} more"] if rest else [])])

    def _repr_html_(self) -> str:
        """For notebooks: each picture as the model saw it, beside its three most probable classes."""
        rows = [self._row(at, best) for at, best in enumerate(self.top()[:_SHOWN])]
        rest = len(self) - len(rows)
        more = [notebook.line(f"and {rest:,} more")] if rest else []
        return notebook.block(notebook.table(("", "picture", "class", "", "sure"), rows, left=4), *more)

    def _row(self, at: int, best: list[tuple[str, float]]) -> tuple[notebook.Text, ...]:
        names = notebook.lines([label for label, _ in best])
        bars = notebook.lines([notebook.bar(value) for _, value in best])
        values = notebook.lines([f"{100 * value:.1f} %" for _, value in best])
        shown = notebook.Markup(notebook.picture(_png(self.images[at]), width=_SIDE))
        return shown, self.names[at], names, bars, values


def answers(
    model: Classifier,
    pictures: Pictures,
    *,
    form: PictureForm,
    class_names: tuple[str, ...],
    tta: TTA = "none",
) -> Answers:
    """A model's answers to pictures in any form.

    Args:
        model: on its device.
        pictures: as `TrainedRun.predict` takes them.
        form: that the model was trained on; pictures of another are made so.
        class_names: in logit order.
        tta: views to average over.

    Raises:
        DataError: a picture cannot be read, or an array is not uint8.
    """
    named = list(_each(pictures))
    if not named:
        raise DataError("There is no picture to answer.")
    images = [_pixels(picture, form) for _, picture in named]
    found = predict(model, unlabeled(images, class_names), tta=tta).with_tta()
    unknown = np.full(len(images), -1, dtype=np.int64)
    return Answers(replace(found, labels=unknown), np.stack(images), tuple(name for name, _ in named))


def _each(pictures: Pictures) -> Iterator[tuple[str, Picture]]:
    if isinstance(pictures, LabeledImages):
        yield from zip(map(str, pictures.ids), pictures.images, strict=True)
    elif isinstance(pictures, str | Path):
        path = Path(pictures)
        inside = sorted(child for child in path.iterdir() if child.is_file()) if path.is_dir() else [path]
        yield from ((child.name, child) for child in inside)
    elif isinstance(pictures, Image.Image) or (isinstance(pictures, np.ndarray) and pictures.ndim < 4):
        yield "0", pictures
    else:
        for at, one in enumerate(pictures):
            yield (Path(one).name if isinstance(one, str | Path) else str(at)), one


def _pixels(picture: Picture, form: PictureForm) -> NDArray[np.uint8]:
    if isinstance(picture, np.ndarray):
        shape = picture.shape
        if picture.dtype != np.uint8 or len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3)):
            raise DataError(
                f"Pictures as arrays must be (H, W), (H, W, 1) or (H, W, 3) uint8, got {shape} {picture.dtype}. "
                "From [0, 1]: (images * 255).round().astype('uint8')."
            )
        if shape == (form.side, form.side, form.channels):
            return picture
        picture = Image.fromarray(picture[..., 0] if len(shape) == 3 and shape[2] == 1 else picture)
    return form.pixels(_encoded(picture) if isinstance(picture, Image.Image) else Path(picture))


def _encoded(picture: Image.Image) -> bytes:
    """A Pillow image as a file, which is read by the same policy as all others: alpha, palettes, 16-bit grey."""
    buffer = io.BytesIO()
    ImageOps.exif_transpose(picture).save(buffer, format="TIFF")
    return buffer.getvalue()


def _png(pixels: NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
