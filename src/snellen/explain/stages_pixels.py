"""The first stops: from bytes on disk to what a network takes, and what training makes of the picture on the way."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.augment.batched import augment_batch, resize_side, to_device, to_float
from snellen.augment.draws import Draws, OneDraw, draw
from snellen.augment.randaugment import OPERATIONS
from snellen.augment.reference import augment_one, crop, mirror, reflect_pad, shrink
from snellen.data.cifar10 import stored_row
from snellen.explain.by_hand import as_fractions, from_pixels, from_planes, normalise, planes
from snellen.explain.context import Subject, folder_of
from snellen.explain.quoted import quote
from snellen.explain.stage import (
    Picture,
    Pixels,
    Stage,
    compare,
    numbers_of,
    show_bytes,
    show_fractions,
    show_signed,
)

_BY_HAND = "explain/by_hand.py"
_REFERENCE = "augment/reference.py"
_ROUNDING = 1e-6  # float32 has seven digits, and a factor more or less moves the last one
_OUTLINE = np.array([255, 70, 20], dtype=np.uint8)


def pixel_stages(subject: Subject) -> list[Stage]:
    """From the bytes to the normalised picture, in order; steps that the recipe does not have are left out."""
    stages = [*_bytes(subject), _fractions(subject)]
    if not subject.ground.recipe.augment.is_identity:
        stages.append(_augmented(subject))
    if subject.ground.side_in_epoch(subject.epoch) < min(subject.images.image_shape[:2]):
        stages.append(_resized(subject))
    return [*stages, _normalised(subject)]


def _bytes(subject: Subject) -> list[Stage]:
    """The row as it is stored, and the picture it unfolds to."""
    image, shape = subject.image, subject.images.image_shape
    side = "x".join(map(str, shape[:2]))
    folder = folder_of(subject)
    if folder is not None:
        file, place, row = stored_row(folder, subject.image_id)
        again = from_planes(row, shape)
        first = Stage(
            key="disk",
            title="Bytes on disk",
            says=f"Row {place} of {file}: {side} red values, then as many green and blue ones. The file's checksum was "
            "compared before a byte of it was believed, and nothing in it was run.",
            numbers=numbers_of(row, "one row: red plane, green plane, blue plane"),
            production=quote("data/cifar10.py", 'entries.get(b"data")'),
            by_hand=quote(_BY_HAND, "image.transpose(2, 0, 1)", within="planes"),
            check=compare(row, planes(image), relative=0),
            facts=(("file", file), ("row in it", str(place))),
            pictures=(Picture(f"{side} planes", _as_planes(row, shape)),),
        )
        production = quote("data/cifar10.py", "images[here] =")
        line = quote(_BY_HAND, "row[c * height", within="from_planes")
    else:
        row = image.reshape(-1)
        again = from_pixels(row, shape)
        first = Stage(
            key="disk",
            title="Bytes in memory",
            says=f"{subject.images.name} is {subject.ground.source} and not read from a disk. In memory the channels "
            "of a pixel lie side by side.",
            numbers=numbers_of(row, "one row: red, green, blue of each pixel" if shape[2] == 3 else "one row"),
            production=quote("data/eyechart.py", "images[..., channel] ="),
            by_hand=quote(_BY_HAND, "image.transpose(2, 0, 1)", within="planes"),
            check=compare(image, from_planes(planes(image), shape), relative=0),
            pictures=(Picture(f"{side} planes", _as_planes(planes(image), shape)),),
        )
        production = quote("data/labeled_images.py", "images=self.images[at]")
        line = quote(_BY_HAND, "row[(y * width + x)", within="from_pixels")
    second = Stage(
        key="picture",
        title="A picture",
        says="The same bytes with three axes. It stays uint8 until it is on the device: a quarter of the memory.",
        numbers=numbers_of(image, "H, W, C (a batch: NHWC)"),
        production=production,
        by_hand=line,
        check=compare(image, again, relative=0),
        facts=(("label", subject.images.class_names[subject.label]), ("id", str(subject.image_id))),
        pictures=(Picture(f"id {subject.image_id}", show_bytes(image)),),
    )
    return [first, second]


def _fractions(subject: Subject) -> Stage:
    made = plain_batch(subject)[0].numpy()
    return Stage(
        key="fractions",
        title="Numbers from 0 to 1",
        says="Channels first, as convolutions want it, though in memory they stay last. "
        "This function takes images and nothing else: no random evaluation can be written by mistake.",
        numbers=numbers_of(made, "C, H, W (a batch: NCHW, in channels_last memory)"),
        production=quote("augment/batched.py", "div_(255)"),
        by_hand=quote(_BY_HAND, "np.float32(255)", within="as_fractions"),
        check=compare(made, as_fractions(subject.image), relative=0),
        pictures=(Picture("in [0, 1]", show_fractions(made)),),
    )


def plain_batch(subject: Subject) -> torch.Tensor:
    """(1, C, H, W) float32: the picture as evaluation sees it."""
    return to_float(torch.from_numpy(subject.image[None]))


def _augmented(subject: Subject) -> Stage:
    drawn = _draws(subject)
    own = drawn[0]
    made = _augmented_batch(subject, drawn)[0].numpy()
    by_hand = augment_one(subject.image, own).transpose(2, 0, 1)
    said = _perhaps_left_out(subject) if subject.split == "train" else (
        " A val image is never augmented; this is what it would have met as training image number "
        f"{subject.row}."
    )  # fmt: skip
    return Stage(
        key="augmented",
        title=f"Augmented, epoch {subject.epoch}",
        says="In training the picture is cropped, mirrored or jittered, each epoch otherwise. What is drawn depends on "
        f"seed, epoch and the image's number alone.{said}",
        numbers=numbers_of(made, "C, H, W"),
        production=quote("augment/batched.py", "to_float(_crop_and_mirror"),
        by_hand=quote(_REFERENCE, "moved = crop(", within="augment_one"),
        check=compare(made, by_hand, relative=_ROUNDING),
        facts=_facts(subject, own),
        pictures=_augmentation_pictures(subject.image, own, made),
    )


def _perhaps_left_out(subject: Subject) -> str:
    recipe = subject.ground.recipe
    if recipe.prune is None or subject.epoch == 0 or not recipe.prune.active(subject.epoch / recipe.epochs):
        return ""
    easy = f"{recipe.prune.easiest:.0%}"
    return f" If it was among the easiest {easy} of its batch, it may have been left out of this epoch."


def _draws(subject: Subject) -> Draws:
    ground = subject.ground
    seed, count = int(ground.run.info["seed"]), max(len(ground.train), subject.row + 1)
    drawn = draw(ground.recipe.augment, seed=seed, epoch=subject.epoch, count=count)
    return drawn.at(np.array([subject.row]))


def _augmented_batch(subject: Subject, drawn: Draws) -> torch.Tensor:
    return augment_batch(torch.from_numpy(subject.image[None]), to_device(drawn, "cpu"))


def _facts(subject: Subject, own: OneDraw) -> tuple[tuple[str, str], ...]:
    far = 2 * own.pad
    rows = [("seed", str(subject.ground.run.info["seed"])), ("drawn for image number", str(subject.row))]
    if own.pad:
        rows.append(("window", f"row {own.down}, column {own.right} (each 0 to {far}; {own.pad} is the middle)"))
    if subject.ground.recipe.augment.flip != "none":
        rows.append(("mirrored", "yes" if own.flip else "no"))
    if own.operations is not None:
        names = list(OPERATIONS)
        drawn = ", ".join(f"{names[kind]} {'+' if sign > 0 else '-'}" for kind, sign in own.operations[0])
        rows.append((f"RandAugment at {own.operations[1]} of 30", drawn))
    if own.rectangle is not None:
        rows.append(("erased", f"a rectangle of about {100 * own.rectangle[0]:.0f} % of the picture"))
    if own.mix is not None:
        rows.append(("mixed", f"in a batch with another image; {100 * own.mix[0]:.0f} % is this one. Not shown here"))
    factors = (("brightness", own.brightness), ("contrast", own.contrast), ("saturation", own.saturation))
    return (*rows, *((name, f"x {factor:.3f}") for name, factor in factors if factor is not None))


def _augmentation_pictures(image: Pixels, own: OneDraw, made: NDArray[np.float32]) -> tuple[Picture, ...]:
    height, width, _ = image.shape
    pictures = []
    padded = reflect_pad(image, own.pad)
    window = crop(padded, own.down, own.right, height, width)
    if own.pad:
        outlined = show_bytes(padded).copy()
        bottom, right = own.down + height - 1, own.right + width - 1
        outlined[[own.down, bottom], own.right : right + 1] = _OUTLINE
        outlined[own.down : bottom + 1, [own.right, right]] = _OUTLINE
        pictures += [Picture(f"padded by {own.pad}", outlined), Picture("cropped", show_bytes(window))]
    if own.flip:
        pictures.append(Picture("mirrored", show_bytes(mirror(window))))
    if own.operations is not None or own.rectangle is not None:
        pictures.append(Picture("changed", show_fractions(made)))
    elif any(factor is not None for factor in (own.brightness, own.contrast, own.saturation)):
        pictures.append(Picture("jittered", show_fractions(made)))
    return tuple(pictures) or (Picture("unchanged this time", show_fractions(made)),)


def _resized(subject: Subject) -> Stage:
    drawn, side = _draws(subject), subject.ground.side_in_epoch(subject.epoch)
    made = resize_side(_augmented_batch(subject, drawn), side)[0].numpy()
    by_hand = shrink(augment_one(subject.image, drawn[0]), *made.shape[1:]).transpose(2, 0, 1)
    return Stage(
        key="resized",
        title=f"Shrunk to {side} pixels",
        says=f"This recipe begins on smaller pictures, which cost less; at the first step of epoch {subject.epoch} "
        f"they have {side} pixels a side.",
        numbers=numbers_of(made, "C, H, W"),
        production=quote("augment/batched.py", "functional.interpolate("),
        by_hand=quote(_REFERENCE, "np.einsum(", within="shrink"),
        check=compare(made, by_hand, relative=10 * _ROUNDING),
        pictures=(Picture(f"{side} px", show_fractions(made)),),
    )


def _normalised(subject: Subject) -> Stage:
    statistics = subject.ground.statistics
    plain = plain_batch(subject)
    with torch.inference_mode():
        made = subject.ground.model.normalize(plain)[0].numpy()
    # Measured again on the training images, not read from the model: wrong numbers in the weights are found here.
    mean, std = (np.array(values, dtype=np.float32) for values in (statistics.mean, statistics.std))
    again = normalise(plain[0].numpy(), mean, std)
    return Stage(
        key="normalised",
        title="Normalised",
        says="The training part ends here; the rest is the plain picture, as evaluation sees it. The model's first "
        f"layer holds mean and std of the {statistics.count:,} training images and of no others.",
        numbers=numbers_of(made, "C, H, W"),
        production=quote("models/normalized.py", "(images - self.mean"),
        by_hand=quote(_BY_HAND, "(image - mean", within="normalise"),
        check=compare(made, again, relative=_ROUNDING),
        facts=(
            ("mean of the channels", "  ".join(f"{value:.4f}" for value in statistics.mean)),
            ("std of the channels", "  ".join(f"{value:.4f}" for value in statistics.std)),
        ),
        pictures=(Picture("mid-grey is 0", show_signed(made)),),
    )


def _as_planes(row: NDArray[np.uint8], shape: tuple[int, int, int]) -> Pixels:
    """The planes side by side, each in grey: what the row looks like when it is only cut into lines."""
    height, width, channels = shape
    side_by_side = row.reshape(channels, height, width).transpose(1, 0, 2).reshape(height, channels * width, 1)
    return show_bytes(side_by_side)
