"""Random words that belong to (seed, epoch, kind of draw, image) and to nothing else.

The words come from PCG64 as they are and not through `numpy.random.Generator`, whose methods may give other numbers in
another NumPy (NEP 19); a bit generator's words are fixed.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = TypeVar("Array", NDArray[Any], Tensor)
"""What draws are kept in: NumPy arrays as they are drawn, tensors on the device where they are applied."""


class Kind(IntEnum):
    """One stream per kind of draw, so that switching one kind on does not change the draws of another.

    The numbers are part of the result: a new kind takes a new number, none is ever used again.
    """

    SHIFT = 0
    FLIP = 1
    BRIGHTNESS = 2
    CONTRAST = 3
    SATURATION = 4
    FIRST_SIDE = 5
    OPERATION = 6
    ERASE = 7
    MIX = 8
    WINDOW = 9


def random_words(seed: int, epoch: int, kind: Kind, count: int) -> NDArray[np.uint64]:
    """(count,) uint64: the first words of the stream that belongs to this seed, epoch and kind of draw."""
    return np.random.PCG64(np.random.SeedSequence([seed, epoch, int(kind)])).random_raw(count)


def fractions(seed: int, epoch: int, kind: Kind, count: int, columns: int = 1) -> NDArray[np.float64]:
    """(count, columns) float64 in [0, 1): one word each, row after row."""
    drawn = random_words(seed, epoch, kind, count * columns).reshape(count, columns)
    return np.asarray((drawn >> np.uint64(11)) * 2.0**-53)


def below(limit: int, drawn: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Whole numbers in [0, limit) from words below 2**32.

    Multiply and keep the high half: no rejection, so image i always uses word i. The bias is below 1e-8.
    """
    return ((drawn * np.uint64(limit)) >> np.uint64(32)).astype(np.int64)
