"""What chance decides about each training image, before any pixel is touched.

The draws of image i in epoch e are a function of (seed, epoch, kind of draw, i) and of nothing else: not of the
order of the batches, the number of workers, the device, or where a run was resumed. That is why they are made
here, in NumPy, for the whole epoch at once, and only applied elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snellen.augment.erasing import Rectangles, draw_rectangles
from snellen.augment.mixing import Mixes, draw_mixes
from snellen.augment.randaugment import Operations, draw_operations
from snellen.augment.random_streams import Array, Kind, below, fractions, random_words
from snellen.augment.resized_crop import Windows, draw_windows
from snellen.recipes.recipe import Augment


class OneDraw(NamedTuple):
    """The draws of a single image, as plain numbers: what `reference.augment_one` applies.

    Attributes:
        pad: pixels of reflect padding on each side.
        down: top row of the window in the padded image, 0 to 2 * pad.
        right: left column of the window in the padded image, 0 to 2 * pad.
        flip: whether the window is mirrored left to right.
        brightness: factor, or None where off; `contrast` and `saturation` alike.
        operations: RandAugment's operations with their signs, and their magnitude; None where off.
        rectangle: area, aspect, down and right of what is painted over, as in `Rectangles`; None where nothing is.
        mix: own, cut, down and right as in `Mixes`; None where off. Not applied by `augment_one`, which has one image.
        window: area, aspect, down, right and side of what is cut out and enlarged, as in `Windows`; None where off.
    """

    pad: int
    down: int
    right: int
    flip: bool
    brightness: float | None
    contrast: float | None
    saturation: float | None
    operations: tuple[tuple[tuple[int, float], ...], int] | None = None
    rectangle: tuple[np.float32, np.float32, np.float32, np.float32] | None = None
    mix: tuple[np.float32, bool, np.float32, np.float32] | None = None
    window: tuple[np.float32, np.float32, np.float32, np.float32, float] | None = None


@dataclass(frozen=True)
class Draws(Generic[Array]):
    """The draws of N images, one row each, as NumPy arrays or as tensors on a device.

    Attributes:
        pad: pixels of reflect padding on each side, the same for all images.
        shift: (N, 2) int64 in [0, 2 * pad]: top row and left column of the window in the padded image.
        flip: (N,) bool, mirrored left to right or not.
        brightness: (N,) float32 factors, or None where the recipe has it off.
        contrast: (N,) float32 factors, or None where off.
        saturation: (N,) float32 factors, or None where off.
        operations: RandAugment's, or None where off.
        rectangles: of random erasing, or None where off.
        mixes: of mixup and CutMix, or None where off.
        windows: of the resized crop, or None where off.
    """

    pad: int
    shift: Array
    flip: Array
    brightness: Array | None
    contrast: Array | None
    saturation: Array | None
    operations: Operations[Array] | None = None
    rectangles: Rectangles[Array] | None = None
    mixes: Mixes[Array] | None = None
    windows: Windows[Array] | None = None

    def __len__(self) -> int:
        return len(self.flip)

    def __getitem__(self: Draws[NDArray[Any]], index: int) -> OneDraw:
        def factor(values: NDArray[Any] | None) -> float | None:
            return None if values is None else float(values[index])

        down, right = self.shift[index].tolist()
        factors = factor(self.brightness), factor(self.contrast), factor(self.saturation)
        one = OneDraw(self.pad, down, right, bool(self.flip[index]), *factors)
        if (drawn := self.operations) is not None:
            signed = zip(drawn.kind[index].tolist(), drawn.sign[index].tolist(), strict=True)
            one = one._replace(operations=(tuple(signed), drawn.magnitude))
        if (box := self.rectangles) is not None and box.on[index]:
            one = one._replace(rectangle=(box.area[index], box.aspect[index], box.down[index], box.right[index]))
        if (mixed := self.mixes) is not None:
            one = one._replace(mix=(mixed.own[index], bool(mixed.cut[index]), mixed.down[index], mixed.right[index]))
        if (seen := self.windows) is not None:
            area, aspect = seen.area[index], seen.aspect[index]
            one = one._replace(window=(area, aspect, seen.down[index], seen.right[index], seen.side))
        return one

    def at(self, positions: Array) -> Draws[Array]:
        """The rows at `positions` (B,) int64, in that order, on the same device."""
        return taken(self, lambda values: values[positions])  # type: ignore[no-any-return]


def taken(draws: Any, function: Callable[[Any], Any]) -> Any:
    """A copy of a dataclass of arrays with `function` applied to each array, also inside such dataclasses."""
    changed = {}
    for field in dataclasses.fields(draws):
        value = getattr(draws, field.name)
        if dataclasses.is_dataclass(value):
            changed[field.name] = taken(value, function)
        elif value is not None and not isinstance(value, int | float):
            changed[field.name] = function(value)
    return dataclasses.replace(draws, **changed)


def draw(augment: Augment, *, seed: int, epoch: int, count: int) -> Draws[NDArray[Any]]:
    """The draws of all images of one epoch, in index order; about 2 ms for 50,000 images.

    Args:
        augment: which kinds of change are on, and how strong.
        seed: of the run, 0 to 2**32 - 1.
        epoch: 0 to 2**32 - 1.
        count: number of training images. A larger count keeps the draws of the first images.
    """
    assert 0 <= min(seed, epoch) <= max(seed, epoch) < 2**32, "a larger one could meet another (seed, epoch)"

    def factors(kind: Kind, strength: float) -> NDArray[np.float32] | None:
        if strength == 0:
            return None
        fraction = fractions(seed, epoch, kind, count)[:, 0]
        return (1 - strength + 2 * strength * fraction).astype(np.float32)

    stream = {"seed": seed, "epoch": epoch, "count": count}
    rounds, magnitude = augment.randaugment, augment.randaugment_magnitude
    mixing = augment.mixup or augment.cutmix
    return Draws(
        pad=augment.crop_pixels,
        shift=_shifts(seed, epoch, augment.crop_pixels, count),
        flip=_flips(augment, seed, epoch, count),
        brightness=factors(Kind.BRIGHTNESS, augment.brightness),
        contrast=factors(Kind.CONTRAST, augment.contrast),
        saturation=factors(Kind.SATURATION, augment.saturation),
        operations=draw_operations(rounds, magnitude, **stream) if rounds else None,
        rectangles=draw_rectangles(augment.erase, **stream) if augment.erase else None,
        mixes=draw_mixes(augment.mixup, augment.cutmix, **stream) if mixing else None,
        windows=draw_windows(augment.resized_crop, augment.resized_crop_side, **stream)
        if augment.resized_crop
        else None,
    )


def _shifts(seed: int, epoch: int, pad: int, count: int) -> NDArray[np.int64]:
    """(count, 2) int64 in [0, 2 * pad]."""
    if pad == 0:
        return np.zeros((count, 2), dtype=np.int64)
    word, half = random_words(seed, epoch, Kind.SHIFT, count), np.uint64(32)
    return below(2 * pad + 1, np.stack([word >> half, word & np.uint64(2**32 - 1)], axis=1))


def _flips(augment: Augment, seed: int, epoch: int, count: int) -> NDArray[np.bool_]:
    """(count,) bool."""
    top_bit = np.uint64(63)
    if augment.flip == "random":
        return (random_words(seed, epoch, Kind.FLIP, count) >> top_bit).astype(bool)
    if augment.flip == "alternate":
        first_side = (random_words(seed, 0, Kind.FIRST_SIDE, count) >> top_bit).astype(bool)
        return first_side ^ (epoch % 2 == 1)
    return np.zeros(count, dtype=bool)
