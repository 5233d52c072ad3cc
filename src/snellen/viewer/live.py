"""What the live page asks: one picture in, one JSON-able answer out. Nothing is kept between two questions.

`answer` is quick and tells what the network says; `explain` takes the small picture that `answer` gave back, so that
the large one is sent and decoded once.
"""

from __future__ import annotations

import base64
import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from snellen.data.labeled_images import LabeledImages
from snellen.data.pictures import FORMATS, Fit, PictureForm, read_with_notes
from snellen.errors import InvalidSetting
from snellen.inspect.features import Features, features_of
from snellen.inspect.layers import Layer, layers_of
from snellen.models.device import answers_in_bf16, choose_device
from snellen.models.fuse import made_fast
from snellen.models.normalized import Classifier
from snellen.models.weights import restore
from snellen.predict import own_pictures
from snellen.predict.familiarity import Familiarity, stored_familiarity
from snellen.predict.own_pictures import most_probable, unlabeled
from snellen.predict.predict import predict
from snellen.report.encoding import png
from snellen.report.layer_views import InspectedModel, views_of_pictures
from snellen.report.originals import Originals, framed
from snellen.report.page import learned_pictures
from snellen.runs.run import Run

UPLOADED = tuple(name for name in FORMATS if name not in ("TIFF", "PPM"))
"""Formats taken from a browser, where none writes PPM; TIFF, which may hold almost anything, is read from disk only."""
MAX_PIXELS = 16_000_000
_TOP = 5
_WHOLE_SCREEN = 2_048  # pixels of the longer side of an original
_PREVIEW = 480  # pixels of the longer side of what the page shows again


@dataclass(frozen=True, eq=False)
class Loaded:
    """One run, ready to answer.

    Attributes:
        model: in eval mode, on its device.
        layers: where to look, from early to late.
        class_names: the K names, in label order.
        form: how a picture becomes what the network takes.
        learned: training pictures among which the nearest are sought.
        features: theirs, with all layers.
        bf16: whether it is asked in bf16, as `snellen predict` would.
        familiarity: of the run's own pictures, where it knows it.
        lock: held while the model is asked: the hooks of one question must not hear the pass of another.
    """

    model: Classifier
    layers: tuple[Layer, ...]
    class_names: tuple[str, ...]
    form: PictureForm
    learned: LabeledImages
    features: Features
    bf16: bool
    familiarity: Familiarity | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def fast(self) -> nn.Module:
        """The model folded once, not for each question; itself where its last linear layer is another one then."""
        fast = made_fast(self.model)
        ends = [
            [name for name, each in one.named_modules() if isinstance(each, nn.Linear)][-1:]
            for one in (self.model, fast)
        ]
        return fast if ends[0] == ends[1] else self.model


def load_run(run: Run, train: LabeledImages, device: str, seen: InspectedModel | None = None) -> Loaded:
    """Read a run's model, look at some of its training pictures, where the page has not `seen` them, and warm it up.

    Raises:
        RunError: the weights are missing or do not fit.
        InvalidSetting: no such device.
    """
    info = run.info["data"]
    layers, where = layers_of(run.recipe.model), choose_device(device)
    bf16 = answers_in_bf16(run, where)
    if seen is None:
        model, learned = restore(run, where), learned_pictures(train)
        features = features_of(model, learned, layers, bf16=bf16)
    else:
        model, learned, features = seen.model, seen.learned, seen.learned_features
    loaded = Loaded(
        model=model,
        layers=layers,
        class_names=tuple(info["class_names"]),
        form=PictureForm.of_run(info),
        learned=learned,
        features=features,
        bf16=bf16,
        familiarity=stored_familiarity(run),
    )
    warm = png(np.full(loaded.form.shape, 128, dtype=np.uint8))  # a grey picture is spared to the slow first answer
    answer(loaded, warm)
    explain(loaded, warm)
    return loaded


def answer(loaded: Loaded, content: bytes, fit: Fit | None = None) -> dict[str, Any]:
    """What the network says about a picture, and what it was shown of it.

    Args:
        loaded: whom to ask.
        content: a picture file of one of the `UPLOADED` formats.
        fit: how it becomes square; None is as in training.

    Returns:
        `picture` (format, mode, stored size and notes), `shown` (the picture as it was read, smaller), `square`
        (left, top, right, bottom of what the network got, as fractions of the picture), `input` (the network's own
        pixels), `top` (rows of class number and probability, a fraction) and `unlike` (how the picture is unlike those
        of the training, in words; empty where it is not, None where the run does not know). Pictures are sheets of one
        tile.

    Raises:
        NotAPicture: of none of the formats.
        TooLarge: more than `MAX_PIXELS`.
        DataError: broken or empty.
        RunError: the model's answer is no number.
    """
    read = read_with_notes(content, formats=UPLOADED, max_pixels=MAX_PIXELS, white=loaded.form.white)
    form = loaded.form if fit is None else replace(loaded.form, fit=fit)
    pixels = form.pixels(content)  # as `snellen predict` does
    with loaded.lock:
        answers, (told,) = own_pictures.answer(
            loaded.fast, [pixels], loaded.class_names, familiarity=loaded.familiarity, bf16=loaded.bf16
        )
    probabilities = answers.probabilities[0]
    small = framed(read.image, form, _PREVIEW)
    return {
        "picture": {"format": read.format, "mode": read.mode, "size": list(read.size), "notes": list(read.notes)},
        "shown": _sheet(small.pixels),
        "square": list(small.square),
        "input": _sheet(pixels),
        "top": [[name, float(probabilities[name])] for name in most_probable(probabilities, _TOP)],
        "unlike": told and told["words"],
    }


def original(originals: Originals, image_id: int) -> dict[str, Any]:
    """A picture of the run's own data as it lies on the disk: `shown`, a sheet of it alone, `square` and `size`.

    Raises:
        InvalidSetting, DataError, TooLarge: as `Originals.of`.
    """
    found = originals.of(image_id, _WHOLE_SCREEN)
    sprite = found.sprite()
    return {"shown": {**sprite.about(), "data": sprite.texts[0]}, **found.about()}


def explain(loaded: Loaded, content: bytes) -> dict[str, Any]:
    """Where the evidence lies for the answer and for the runner-up, at each layer, and the nearest training pictures.

    The content is a PNG of exactly the network's size, as `input` of `answer` holds it. Returned are the fields of one
    of the report's pictures (`cams`, `activations`, `neighbours`), with `layers` and `learned`, the neighbours' sheet.

    Raises:
        InvalidSetting: a picture of another size.
        DataError: no picture.
    """
    height, width, _ = loaded.form.shape
    image = read_with_notes(content, formats=("PNG",), max_pixels=MAX_PIXELS).image
    if image.size != (width, height):
        raise InvalidSetting(
            f"The picture has {image.width}x{image.height} pixels; the network takes {width}x{height}."
        )
    images = unlabeled([loaded.form.fitted(image)], loaded.class_names)
    with loaded.lock:
        answers = predict(loaded.fast, images, bf16=loaded.bf16)
        # The second class stands as label: the report's maps are for the answer and for the label.
        _, second = most_probable(answers.probabilities[0], 2)
        answers = replace(answers, labels=np.array([second], dtype=np.int64))
        own = features_of(loaded.model, images, loaded.layers, bf16=loaded.bf16)
        known = loaded.learned, loaded.features
        inspected = InspectedModel(loaded.model, loaded.layers, images, answers, own, *known, loaded.bf16)
        (seen,), near = views_of_pictures(inspected, [0])
    layers = [
        {"key": layer.key, "path": layer.path.removeprefix("net."), "map": list(own.peaks[layer.key].map_shape)}
        for layer in loaded.layers
    ]
    return {**seen, "layers": layers, "learned": {**near.about(), "data": near.texts[0]}}


def _sheet(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """One picture as the page's sheets are described; what was uploaded leaves only like this."""
    data = base64.b64encode(png(pixels, level=1)).decode("ascii")  # it travels no further than this machine
    return {"mime": "image/png", "columns": 1, "tile": list(pixels.shape[:2]), "count": 1, "data": data}
