"""One stop of an image on its way through the pipeline, with what was found there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snellen.explain.quoted import Line

Pixels = NDArray[np.uint8]
"""(h, w, 3) uint8, ready to be shown."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A small picture with the words under it."""

    caption: str
    pixels: Pixels


@dataclass(frozen=True)
class Numbers:
    """What an array is and what its values are.

    Attributes:
        shape: as NumPy has it.
        dtype: name of the number format.
        layout: what the axes are, in order, such as "C, H, W".
        low: smallest value; `high`, `mean` and `std` likewise, in the array's own unit.
    """

    shape: tuple[int, ...]
    dtype: str
    layout: str
    low: float
    high: float
    mean: float
    std: float

    def to_json(self) -> dict[str, Any]:
        """All fields; the values are None where they are not finite."""
        values = {"min": self.low, "max": self.high, "mean": self.mean, "std": self.std}
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        return {"shape": list(self.shape), "dtype": self.dtype, "layout": self.layout, **finite}


@dataclass(frozen=True)
class Check:
    """Whether two ways to one result agree.

    Attributes:
        difference: the largest one between two entries, in their unit; NaN where the shapes differ.
        tolerance: the largest one that rounding explains.
    """

    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Within tolerance; NaN is not."""
        return self.difference <= self.tolerance

    def to_json(self) -> dict[str, Any]:
        """Both numbers and the verdict; a difference that is no number is None."""
        difference = self.difference if math.isfinite(self.difference) else None
        return {"difference": difference, "tolerance": self.tolerance, "passed": self.passed}


@dataclass(frozen=True, eq=False)
class Stage:
    """One stop.

    Attributes:
        key: short name, the same for every run.
        title: a few words.
        says: one or two sentences: what happens here.
        numbers: about the array that leaves this stop.
        production: the line that makes it in every training or evaluation.
        by_hand: the line, in NumPy, that makes it again.
        check: the largest difference between the two results.
        facts: names and values that belong to this image, such as what was drawn for it.
        pictures: how it looks here.
    """

    key: str
    title: str
    says: str
    numbers: Numbers
    production: Line
    by_hand: Line
    check: Check
    facts: tuple[tuple[str, str], ...] = ()
    pictures: tuple[Picture, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything but the pixels, of which only captions and sizes are told."""
        return {
            "key": self.key,
            "title": self.title,
            "says": self.says,
            **self.numbers.to_json(),
            "production": self.production.to_json(),
            "by_hand": self.by_hand.to_json(),
            "check": self.check.to_json(),
            "facts": dict(self.facts),
            "pictures": [{"caption": each.caption, "shape": list(each.pixels.shape)} for each in self.pictures],
        }


def numbers_of(values: NDArray[Any], layout: str) -> Numbers:
    """Shape, dtype, smallest, largest, mean and standard deviation of an array that is not empty."""
    exact = values.astype(np.float64)
    moments = float(exact.min()), float(exact.max()), float(exact.mean()), float(exact.std())
    return Numbers(values.shape, str(values.dtype), layout, *moments)


def compare(production: NDArray[Any], by_hand: NDArray[Any], *, relative: float) -> Check:
    """The largest difference, held against `relative` times the largest entry, and against `relative` at least."""
    if production.shape != by_hand.shape:
        return Check(math.nan, relative)
    exact, again = production.astype(np.float64), by_hand.astype(np.float64)
    size = float(np.abs(again).max(initial=0))
    return Check(float(np.abs(exact - again).max(initial=0)), relative * max(1.0, size))


def show_bytes(image: Pixels) -> Pixels:
    """(h, w, C) uint8 with one or three channels as (h, w, 3)."""
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def show_fractions(image: NDArray[np.float32]) -> Pixels:
    """(C, h, w) in [0, 1] as bytes."""
    return show_bytes(np.round(image.transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8))


def show_signed(image: NDArray[Any]) -> Pixels:
    """(C, h, w) about zero: 0 is mid-grey, the largest size is black or white."""
    largest = max(float(np.abs(image).max(initial=0)), 1e-12)
    return show_fractions((image / largest / 2 + 0.5).astype(np.float32))


def show_strongest(maps: NDArray[Any], count: int = 6) -> tuple[Picture, ...]:
    """The channels (h, w) of (C, h, w) maps with the most contrast, each stretched by itself from black to white."""
    order = np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:count]
    pictures = []
    for channel in order.tolist():
        own = maps[channel].astype(np.float32)
        spread = max(float(own.max() - own.min()), 1e-12)
        pictures.append(Picture(f"channel {channel}", show_fractions(((own - own.min()) / spread)[None])))
    return tuple(pictures)


def show_bars(values: NDArray[Any]) -> Pixels:
    """(n,) numbers as n bars on the dark, from the top down: ten at most, all from the column of 0."""
    width, thick, gap, most = 62, 4, 2, 10
    few = np.asarray(values, dtype=np.float64)[:most]
    low = min(0.0, float(few.min(initial=0)))
    span = max(float(few.max(initial=0)) - low, 1e-12)
    picture = np.full((most * (thick + gap) + gap, width, 3), 24, dtype=np.uint8)
    zero = round(-low / span * (width - 1))
    for n, value in enumerate(few.tolist()):
        end = round((value - low) / span * (width - 1))
        top = gap + n * (thick + gap)
        picture[top : top + thick, min(zero, end) : max(zero, end) + 1] = 225
    return picture
