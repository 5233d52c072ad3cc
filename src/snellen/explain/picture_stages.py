"""The first stops: from bytes on disk to what a network takes, and what training makes of the picture on the way."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from snellen.augment.batched import augment_batch, resize_side, to_device, to_float
from snellen.augment.draws import OneDraw
from snellen.augment.randaugment import OPERATIONS
from snellen.augment.reference import augment_one, crop, mirror, reflect_pad, shrink
from snellen.data.cifar10 import as_pictures, stored_row
from snellen.data.eyechart import draw_letters, seed_of
from snellen.data.labeled_images import LabeledImages
from snellen.data.pictures import Fit, PictureForm
from snellen.explain.by_hand import as_fractions, normalise, planes, side_by_side, unfold
from snellen.explain.context import TracedImage
from snellen.explain.stage import Call, Picture, Pixels, Stage, call, show_bytes, show_fractions, show_signed
from snellen.models.normalized import Normalized
from snellen.show.text import shortened

_ROUNDING = 1e-6  # float32 has seven digits, and a factor more or less moves the last one
_OUTLINE = np.array([255, 70, 20], dtype=np.uint8)
_SQUARE: dict[Fit, str] = {"crop": "cut to its middle square", "pad": "made square by grey bars", "squash": "squeezed"}
_first = itemgetter(0)  # the picture of a batch of one


def picture_stages(image: TracedImage) -> Iterator[Stage]:
    """From the bytes to the normalised picture, in order; steps that the recipe does not have are left out."""
    source = _row_on_disk(image) if image.is_cifar10 else _made_again(image)
    if source is not None:
        yield source
    yield _picture(image, source)
    yield _fractions(image)
    if not image.augment.is_identity:
        yield _augmented(image)
    if image.context.side_in_epoch(image.epoch) < min(image.images.image_shape[:2]):
        yield _resized(image)
    yield _normalised(image)


def _row_on_disk(image: TracedImage) -> Stage:
    """One of CIFAR-10's files."""
    stored = call(stored_row, image.source, image.image_id)
    file, row, _ = stored.result
    return Stage(
        key="disk",
        title="Bytes on disk",
        says=f"Row {row} of {file}: 32x32 red values, then as many green and blue ones. The file's checksum was "
        "compared before a byte of it was believed, and nothing in it was run.",
        layout="one row: red plane, green plane, blue plane",
        production=stored.part(itemgetter(2)),
        by_hand=call(planes, image.pixels),
        facts={"file": file, "row in it": str(row)},
        pictures=(_in_planes(image.pixels),),
    )


def _made_again(image: TracedImage) -> Stage | None:
    """A file decoded or a letter drawn; None for pictures that cannot be had once more, one by one."""
    file, path = image.file
    seed = seed_of(image.context.images.dataset.source)
    facts: dict[str, str]
    if path is not None:
        form = PictureForm.of_run(image.context.run.info["data"])
        made, title, facts = call(PictureForm.pixels, form, path), "Decoded file", {"made square by": form.fit}
        says = (
            f"{file} was decoded, {_SQUARE[form.fit]}, scaled to {form.side} pixels and kept like that in the cache, "
        )
        says += "from which training reads it. Here it is decoded once more."
    elif seed is not None:
        made = call(draw_letters, seed, "train", image.image_id, image.image_id + 1).part(_first)
        title, facts = "Drawn letter", {"seed": str(seed)}
        says = "Seed and number decide all of a letter, so this one can be drawn once more without the others."
    else:
        return None
    return Stage(
        key="disk",
        title=title,
        says=f"{says} In memory the channels of a pixel lie side by side.",
        layout="one row: red, green, blue of each pixel" if image.pixels.shape[2] == 3 else "one row",
        production=made.part(lambda pixels: pixels.reshape(-1)),
        by_hand=call(side_by_side, image.pixels),
        facts=facts,
        pictures=(_in_planes(image.pixels),),
    )


def _in_planes(image: Pixels) -> Picture:
    """The planes, each in grey: what the row looks like when it is only cut into lines."""
    height, width, channels = image.shape
    return Picture(
        f"{height}x{width} planes", show_bytes(image.transpose(0, 2, 1).reshape(height, channels * width, 1))
    )


def _picture(image: TracedImage, source: Stage | None) -> Stage:
    row = side_by_side(image.images.images[image.row]) if source is None else source.values
    if image.is_cifar10:
        says, made = "The same bytes with three axes.", call(as_pictures, row[None]).part(_first)
    else:
        says = "Taken out of the data set by its place, as one of its split: the same bytes with three axes."
        taken = call(LabeledImages.take, image.images, np.array([image.row]), image.images.role)
        made = taken.part(lambda one: one.images[0])
    file = image.file[0]
    return Stage(
        key="picture",
        title="A picture",
        says=f"{says} It stays uint8 until it is on the device: a quarter of the memory.",
        layout="H, W, C (a batch: NHWC)",
        production=made,
        by_hand=call(unfold, row, image.pixels.shape, planes=image.is_cifar10),
        facts={"label": image.label, "id": str(image.image_id)} | ({"file": file} if file else {}),
        pictures=(Picture(shortened(image.name, 24), show_bytes(image.pixels)),),
    )


def _fractions(image: TracedImage) -> Stage:
    made = call(to_float, image.batch).part(_first)
    return Stage(
        key="fractions",
        title="Numbers from 0 to 1",
        says="Channels first, as convolutions want it, though in memory they stay last. "
        "This function takes images and nothing else: no random evaluation can be written by mistake.",
        layout="C, H, W (a batch: NCHW, in channels_last memory)",
        production=made,
        by_hand=call(as_fractions, image.pixels),
        pictures=(Picture("in [0, 1]", show_fractions(made.result)),),
    )


def _augment(image: TracedImage) -> Call:
    return call(augment_batch, image.batch, to_device(image.draws, "cpu"))


def _augmented(image: TracedImage) -> Stage:
    own, made = image.draws[0], _augment(image).part(_first)
    said = _perhaps_left_out(image)
    if image.version_of:
        said += f" Of each picture {image.version_of} versions are kept; this is number {image.version}, 0 is plain."
    if own_transforms := (*image.augment.before, *image.augment.after):
        said += f" The recipe's own {', '.join(own_transforms)} are called in training besides, and are not shown here."
    if image.images.role == "val":
        said = f" A val image is never augmented; this is what it would have met as training image number {image.row}."
    return Stage(
        key="augmented",
        title=f"Augmented, epoch {image.epoch}",
        says="In training the picture is cropped, mirrored or jittered, each epoch otherwise. What is drawn depends on "
        f"seed, epoch and the image's number alone.{said}",
        layout="C, H, W",
        production=made,
        by_hand=call(augment_one, image.pixels, own).part(_channels_first),
        relative=_ROUNDING,
        facts=_drawn(image, own),
        pictures=_augmentation_pictures(image.pixels, own, made.result),
    )


def _resized(image: TracedImage) -> Stage:
    side = image.context.side_in_epoch(image.epoch)
    by = image.context.recipe.resized_by(image.context.done_before(image.epoch))
    made = call(resize_side, _augment(image).result, side, by).part(_first)
    whole, size = augment_one(image.pixels, image.draws[0]), made.result.shape[1:]
    corner = [(outer - inner) // 2 for outer, inner in zip(whole.shape[:2], size, strict=True)]
    again = call(crop, whole, *corner, *size) if by == "crop" else call(shrink, whole, *size)
    return Stage(
        key="resized",
        title=f"{'Cropped' if by == 'crop' else 'Shrunk'} to {side} pixels",
        says=f"This recipe begins on smaller pictures, which cost less; at the first step of epoch {image.epoch} "
        f"they have {side} pixels a side.",
        layout="C, H, W",
        production=made,
        by_hand=again.part(_channels_first),
        relative=10 * _ROUNDING,
        pictures=(Picture(f"{side} px", show_fractions(made.result)),),
    )


def _normalised(image: TracedImage) -> Stage:
    statistics, plain = image.context.statistics, to_float(image.batch)
    with torch.inference_mode():
        made = call(Normalized.forward, image.context.model.normalize, plain).part(_first)
    # Measured again on the training images, not read from the model: wrong numbers in the weights are found here.
    mean, std = (np.array(values, dtype=np.float32) for values in (statistics.mean, statistics.std))
    whose = (
        "those that its pretrained weights were made with, of other pictures"
        if statistics.source == "published"
        else f"of the {statistics.count:,} training images and of no others"
    )
    return Stage(
        key="normalised",
        title="Normalised",
        says="The training part ends here; the rest is the plain picture, as evaluation sees it. The model's first "
        f"layer holds mean and std, {whose}.",
        layout="C, H, W",
        production=made,
        by_hand=call(normalise, plain[0].numpy(), mean, std),
        relative=_ROUNDING,
        facts={
            "mean of the channels": "  ".join(f"{value:.4f}" for value in statistics.mean),
            "std of the channels": "  ".join(f"{value:.4f}" for value in statistics.std),
        },
        pictures=(Picture("mid-grey is 0", show_signed(made.result)),),
    )


def _channels_first(image: NDArray[Any]) -> NDArray[Any]:
    return image.transpose(2, 0, 1)


def _perhaps_left_out(image: TracedImage) -> str:
    pruning = image.context.recipe.data_pruning
    if pruning is None or image.epoch == 0 or not pruning.active(image.context.done_before(image.epoch)):
        return ""
    return f" If it was among the easiest {pruning.easiest:.0%} of its batch, it may have been left out of this epoch."


def _drawn(image: TracedImage, own: OneDraw) -> dict[str, str]:
    facts = {"seed": str(image.context.run.info["seed"]), "drawn for image number": str(image.row)}
    if own.pad:
        facts["window"] = f"row {own.down}, column {own.right} (each 0 to {2 * own.pad}; {own.pad} is the middle)"
    if own.window is not None:
        facts["cut out"] = f"{100 * own.window[0]:.0f} % of the picture, enlarged to {own.window[4]:.4g} of its side"
    if image.context.recipe.augment.flip != "none":
        facts["mirrored"] = "yes" if own.flip else "no"
    if own.operations is not None:
        names = list(OPERATIONS)
        drawn = ", ".join(f"{names[kind]} {'+' if sign > 0 else '-'}" for kind, sign in own.operations[0])
        facts[f"RandAugment at {own.operations[1]} of 30"] = drawn
    if own.rectangle is not None:
        facts["erased"] = f"a rectangle of about {100 * own.rectangle[0]:.0f} % of the picture"
    if own.mix is not None:
        facts["mixed"] = f"in a batch with another image; {100 * own.mix[0]:.0f} % is this one. Not shown here"
    factors = {"brightness": own.brightness, "contrast": own.contrast, "saturation": own.saturation}
    return facts | {name: f"x {factor:.3f}" for name, factor in factors.items() if factor is not None}


def _augmentation_pictures(image: Pixels, own: OneDraw, made: Any) -> tuple[Picture, ...]:
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
    elif own.window is not None:
        pictures.append(Picture("cut out and enlarged", show_fractions(made)))
    return tuple(pictures) or (Picture("unchanged this time", show_fractions(made)),)
