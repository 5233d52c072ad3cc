"""The robustness card: accuracy when the pictures get worse, beside accuracy without, on the same images.

Ten changes at stated severities, the same pixels on every machine. Each is a plain function from (N, H, W, C) uint8 to
a new array of the same shape. None depends on the other images of the batch or on its order, so a card computed in
batches equals one computed at once.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from snellen.data.dataset import Dataset
from snellen.data.run_images import images_of
from snellen.errors import RunError
from snellen.metrics.compare import PairedDifference, paired_difference
from snellen.metrics.intervals import Rate
from snellen.models.device import choose_device
from snellen.models.fuse import made_fast
from snellen.models.weights import restore
from snellen.predict.predict import predict
from snellen.runs.run import Run
from snellen.serialize import to_json

Images = NDArray[np.uint8]


def mirror(images: Images) -> Images:
    """Left and right exchanged."""
    return images[:, :, ::-1].copy()


def rotate180(images: Images) -> Images:
    """Upside down, not mirrored."""
    return images[:, ::-1, ::-1].copy()


def shift(images: Images, down: int, right: int) -> Images:
    """Moved by whole pixels; the uncovered border reflects the picture (the edge pixel is not repeated).

    Args:
        images: (N, H, W, C) uint8.
        down: pixels, negative for up; less than H in size.
        right: pixels, negative for left; less than W in size.
    """
    height, width = images.shape[1:3]
    reach = ((0, 0), (abs(down), abs(down)), (abs(right), abs(right)), (0, 0))
    padded = np.pad(images, reach, mode="reflect")
    top, left = abs(down) - down, abs(right) - right
    return padded[:, top : top + height, left : left + width].copy()


def brightness(images: Images, factor: float) -> Images:
    """Every value times `factor`, clipped at 255."""
    return _to_bytes(images * np.float32(factor))


def contrast(images: Images, factor: float) -> Images:
    """Every value's distance from its own picture's mean grey times `factor`, clipped."""
    grey = images.mean(axis=(1, 2, 3), dtype=np.float64, keepdims=True).astype(np.float32)
    return _to_bytes(grey + (images - grey) * np.float32(factor))


def blur(images: Images, sigma: float) -> Images:
    """Gaussian blur of `sigma` pixels, cut at 3 sigma, borders reflected."""
    radius = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    blurred = images.astype(np.float32)
    for axis in (1, 2):
        size = images.shape[axis]
        padding = [(0, 0)] * 4
        padding[axis] = (radius, radius)
        padded = np.pad(blurred, padding, mode="reflect")
        blurred = sum(
            (weight * np.take(padded, range(k, k + size), axis=axis) for k, weight in enumerate(weights)),
            start=np.zeros_like(blurred),
        )
    return _to_bytes(blurred)


def noise(images: Images, sd: float, seed: int = 0) -> Images:
    """Independent Gaussian noise of standard deviation `sd` (in steps of 0 to 255) on every value, clipped.

    Each picture gets one of 64 fixed noise fields, chosen by the sum of its own bytes, so that the result does not
    depend on its place in the array.
    """
    fields = np.random.default_rng(seed).standard_normal((64, *images.shape[1:]), dtype=np.float32)
    which = images.reshape(len(images), -1).sum(axis=1, dtype=np.int64) % len(fields)
    return _to_bytes(images + np.float32(sd) * fields[which])


def jpeg(images: Images, quality: int) -> Images:
    """Through JPEG and back at Pillow's `quality` (1 to 95), with its default chroma subsampling."""
    result = np.empty_like(images)
    for source, target in zip(images, result, strict=True):
        buffer = io.BytesIO()
        Image.fromarray(source.squeeze(-1) if source.shape[-1] == 1 else source).save(buffer, "JPEG", quality=quality)
        target[:] = np.asarray(Image.open(buffer)).reshape(source.shape)
    return result


def _to_bytes(values: NDArray[np.float32]) -> Images:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


CORRUPTIONS: Mapping[str, Mapping[str, Callable[[Images], Images]]] = MappingProxyType(
    {
        "flip": {"mirrored": mirror},
        "shift": {
            "4 px left": partial(shift, down=0, right=-4),
            "4 px right": partial(shift, down=0, right=4),
            "4 px up": partial(shift, down=-4, right=0),
            "4 px down": partial(shift, down=4, right=0),
        },
        "brightness": {f"x {f:.2f}": partial(brightness, factor=f) for f in (0.5, 0.75, 1.25, 1.5)},
        "contrast": {f"x {f:.2f}": partial(contrast, factor=f) for f in (0.25, 0.5, 1.5)},
        "blur": {f"sigma {s} px": partial(blur, sigma=s) for s in (0.5, 1.0, 1.5)},
        "noise": {f"sd {sd} of 255": partial(noise, sd=sd) for sd in (8, 16, 32)},
        "jpeg": {f"quality {q}": partial(jpeg, quality=q) for q in (80, 50, 20)},
        "rotate180": {"upside down": rotate180},
    }
)
"""Every corruption by name, each strength in words with what applies it. Shift reflects, as training's crop does."""


GRADINGS = 1 + sum(len(severities) for severities in CORRUPTIONS.values())
"""How often all images are graded: once as they are, then once per corruption and severity."""


@dataclass(frozen=True)
class RobustnessRow:
    """One corruption at one severity, named as in `CORRUPTIONS`; `change` is accuracy under it minus clean accuracy."""

    json_only: ClassVar[tuple[str, ...]] = ("corruption", "severity", "accuracy", "change")

    corruption: str
    severity: str
    change: PairedDifference

    @property
    def accuracy(self) -> Rate:
        """Accuracy under the corruption."""
        return self.change.second


@dataclass(frozen=True)
class RobustnessCard:
    """Clean accuracy and what each corruption makes of it."""

    clean: Rate
    rows: tuple[RobustnessRow, ...]


def robustness_card(
    images: Images, labels: NDArray[np.int64], logits_of: Callable[[Images], NDArray[np.float32]], *, best_of: int = 1
) -> RobustnessCard:
    """Grade a model on clean images and under every corruption in `CORRUPTIONS`.

    Args:
        images: (N, H, W, C) uint8.
        labels: (N,) int64.
        logits_of: from (N, H, W, C) uint8 to logits (N, K), plain view; called once per severity.
        best_of: how many epochs were compared on the clean images, of which this model is the best.
    """
    clean = logits_of(images).argmax(axis=1) == labels
    rows = tuple(
        RobustnessRow(name, severity, paired_difference(clean, logits_of(corrupt(images)).argmax(axis=1) == labels))
        for name, severities in CORRUPTIONS.items()
        for severity, corrupt in severities.items()
    )
    return RobustnessCard(clean=Rate(int(clean.sum()), len(clean), best_of), rows=rows)


def measure_robustness(
    run: Run,
    *,
    data: Path | Dataset | None = None,
    device: str = "auto",
    graded: Callable[[int], None] = lambda done: None,
) -> RobustnessCard:
    """Grade a run on its val images under every corruption, plain view, and write `robustness.json` into its folder.

    Args:
        run: finished, with a val split.
        data: where the data are, if not where they were.
        device: "auto", "cpu", "cuda" or "mps".
        graded: told after each grading how many of `GRADINGS` are done.

    Raises:
        RunError: the run is not finished, or kept no val split.
        DataError: the data are not the run's own.
    """
    run.require_finished()
    val = images_of(run, data).val
    if val is None:
        raise RunError(f"{run.folder} was trained with --final on train + val; no val images are left to try it on.")
    model, done = made_fast(restore(run, choose_device(device))), itertools.count(1)

    def logits_of(images: Images) -> NDArray[np.float32]:
        answers = predict(model, replace(val, images=images), bf16=run.info["precision"] == "bf16").logits
        graded(next(done))
        return answers

    card = robustness_card(val.images, val.labels, logits_of, best_of=max(1, len(run.val_looks)))
    run.write_found("robustness.json", {"split": "val", "view": "plain", **to_json(card)})
    return card
