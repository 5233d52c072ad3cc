"""One stop of a picture: the function that is called there, the same by hand in NumPy, and whether the two agree.

Name, place and statements of both are read from the very functions that were called, so they cannot name others.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(h, w, 3) uint8, ready to be shown."""

_SHORT = 800  # characters; of a longer function is shown only how it is called


@dataclass(frozen=True, eq=False)
class Picture:
    """A small picture with the words under it."""

    caption: str
    pixels: Pixels
    json_only: ClassVar = ("caption", "shape")

    @property
    def shape(self) -> tuple[int, ...]:
        """(h, w, 3)."""
        return self.pixels.shape


@dataclass(frozen=True, eq=False)
class Call:
    """A function that was called.

    Attributes:
        function: one written in Python.
        result: what came of it, or the part of that which is compared.
        calls: of its statements only those with this call are of interest, such as "self.conv1("; "" for all.
    """

    function: Callable[..., Any]
    result: Any
    calls: str = ""
    json_only: ClassVar = ("name", "place", "code")

    def part(self, of: Callable[[Any], Any]) -> Call:
        """The same call with a part of its result."""
        return replace(self, result=of(self.result))

    @property
    def name(self) -> str:
        """The function's, with its class."""
        return self.function.__qualname__

    @property
    def place(self) -> str:
        """File and line, such as "augment/batched.py:58"; of this package's files without its name."""
        module = self.function.__module__.removeprefix("snellen.").replace(".", "/")
        return f"{module}.py:{self.function.__code__.co_firstlineno}"

    @property
    def code(self) -> str:
        """Its statements without docstring, comments and annotations; of a long or foreign one how it is called."""
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(self.function))).body
        assert isinstance(definition, ast.FunctionDef), "what is called is a function"
        statements = [ast.unparse(each) for each in definition.body[1 if ast.get_docstring(definition) else 0 :]]
        asked = [each for each in statements if self.calls and self.calls in each]
        code = "\n".join(asked or statements)
        ours = self.function.__module__.startswith("snellen.")
        if len(code) > _SHORT or not (asked or ours):
            return f"{definition.name}({', '.join(inspect.signature(self.function).parameters)})"
        return re.sub(r"^(\s*\w+): [^=\n]+ = ", r"\1 = ", code, flags=re.MULTILINE)


def call(function: Callable[..., Any], *arguments: Any, **options: Any) -> Call:
    """Call it, and remember that it was it."""
    return Call(function, function(*arguments, **options))


@dataclass(frozen=True)
class Check:
    """Whether two ways to one result agree.

    Attributes:
        difference: the largest one between two entries, in their unit; NaN where the shapes differ.
        tolerance: the largest one that rounding explains.
    """

    difference: float
    tolerance: float
    json_also: ClassVar = ("passed",)

    @property
    def passed(self) -> bool:
        """Within tolerance; NaN is not."""
        return self.difference <= self.tolerance


@dataclass(frozen=True, eq=False)
class Stage:
    """One stop.

    Attributes:
        key: short name, the same for every run.
        title: a few words.
        says: one or two sentences: what happens here.
        layout: what the axes of the array are, in order, such as "C, H, W".
        production: the call that every training or evaluation makes.
        by_hand: the call, in NumPy, that makes the same again.
        relative: how far the two results may be apart, as a fraction of the largest entry or of 1.
        facts: names and values that belong to this picture, such as what was drawn for it.
        pictures: how it looks here.
        leaves: the array that leaves this stop, where the calls are compared in another form or in a part of it.
    """

    key: str
    title: str
    says: str
    layout: str
    production: Call
    by_hand: Call
    relative: float = 0.0
    facts: dict[str, str] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    leaves: NDArray[Any] | None = None
    json_only: ClassVar = (
        "key", "title", "says", "array", "production", "by_hand", "check", "facts", "pictures",
    )  # fmt: skip

    @property
    def values(self) -> NDArray[Any]:
        """The array that leaves this stop."""
        return np.asarray(self.production.result if self.leaves is None else self.leaves)

    @cached_property
    def array(self) -> dict[str, Any]:
        """What the array is, and its smallest and largest value, mean and standard deviation."""
        exact = self.values.astype(np.float64)
        numbers = {name: float(getattr(exact, name)()) for name in ("min", "max", "mean", "std")}
        return {"dtype": str(self.values.dtype), "shape": self.values.shape, "layout": self.layout, **numbers}

    @cached_property
    def check(self) -> Check:
        """Production against by hand."""
        return compare(self.production.result, self.by_hand.result, relative=self.relative)


def compare(production: Any, by_hand: Any, *, relative: float) -> Check:
    """The largest difference, held against `relative` times the largest entry, and against `relative` at least."""
    exact, again = (np.asarray(values).astype(np.float64) for values in (production, by_hand))
    if exact.shape != again.shape:
        return Check(math.nan, relative)
    size = float(np.abs(again).max(initial=0))
    return Check(float(np.abs(exact - again).max(initial=0)), relative * max(1.0, size))


def show_bytes(image: Pixels) -> Pixels:
    """(h, w, C) uint8 with one or three channels as (h, w, 3)."""
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def show_fractions(image: Any) -> Pixels:
    """(C, h, w) in [0, 1] as bytes."""
    return show_bytes(np.round(np.asarray(image).transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8))


def show_signed(image: Any) -> Pixels:
    """(C, h, w) about zero: 0 is mid-grey, the largest size is black or white."""
    signed = np.asarray(image)
    return show_fractions(signed / max(float(np.abs(signed).max(initial=0)), 1e-12) / 2 + 0.5)


def show_strongest(maps: NDArray[Any], count: int = 6) -> tuple[Picture, ...]:
    """The channels (h, w) of (C, h, w) maps with the most contrast, each stretched by itself from black to white."""
    order = np.argsort(-maps.std(axis=(1, 2)), kind="stable")[:count].tolist()
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    stretched = (maps - low) / np.maximum(high - low, 1e-12)
    return tuple(Picture(f"channel {channel}", show_fractions(stretched[channel][None])) for channel in order)


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
