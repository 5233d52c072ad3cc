"""Guards that look at labelled images alone: the order of pixels, the labels, the classes, the statistics.

All of them see samples where samples are enough, so that 50,000 images take well under a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from snellen.data.labeled_images import LabeledImages
from snellen.data.pixel_statistics import channel_moments
from snellen.guards.copies import directions
from snellen.guards.guard import GuardResult, judged, unjudged

_SAMPLE, _LEAST_SAMPLE, _SAMPLE_PIXELS = 1_000, 50, 1_000 * 32 * 32
_MOST_IMBALANCE = 3.0  # largest class over smallest; below it, plain and balanced accuracy say much the same
_QUERIES, _REFERENCES, _FEWEST = 600, 3_000, 600
_STATISTICS_SAMPLE = 5_000  # the mean of so many is good to 0.002, a tenth of what is tolerated
_TOLERANCE = 0.02
_KNOWN_CONSTANTS = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "the common placeholder 0.5": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "CIFAR-10's with the mean of each image's own deviation": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
}


def pixel_order(images: LabeledImages) -> GuardResult:
    """Whether neighbours on the picture are neighbours in the world.

    Two signs: the same bytes read channels first are smoother than as they are given (someone reshaped instead of
    transposing), or neighbours differ as much as pixels far apart (the pixels are shuffled, or there is only noise).
    Pictures turned or mirrored as a whole, or with red and blue exchanged, are not seen.
    """
    name = "pixel-order"
    if len(images) == 0:
        return unjudged(name, "There are no images.")
    height, width, channels = images.image_shape
    given = images.images[images.evenly(min(_SAMPLE, max(_LEAST_SAMPLE, _SAMPLE_PIXELS // (height * width))))]
    here = _roughness(given)
    far = _distant_difference(given)
    reread = _roughness(given.reshape(-1, channels, height, width).transpose(0, 2, 3, 1))
    if reread < 0.75 * here:
        return GuardResult(
            name, False,
            f"Neighbouring pixels differ by {here:.0f} of 255 as given, by {reread:.0f} if the same bytes are read "
            "channels first.",
            f"The pictures were reshaped where they should be transposed: images.reshape(-1, {channels}, {height}, "
            f"{width}).transpose(0, 2, 3, 1) makes (N, H, W, C).",
            "error",
        )  # fmt: skip
    if here > 0.75 * far:
        return GuardResult(
            name, False,
            f"Neighbouring pixels differ by {here:.0f} of 255, pixels far apart by {far:.0f}: nothing is drawn here.",
            "Look at them (snellen data info NAME writes a contact sheet): the pixels are shuffled, or it is noise.",
            "error",
        )  # fmt: skip
    return GuardResult(name, True, f"Neighbouring pixels differ by {here:.0f} of 255, pixels far apart by {far:.0f}.")


def _roughness(images: NDArray[np.uint8]) -> float:
    """Mean difference between neighbours, the rougher of the two directions: a false order is smooth in one only."""
    wide = images.astype(np.int16)
    return float(max(np.abs(np.diff(wide, axis=axis)).mean() for axis in (1, 2) if images.shape[axis] > 1))


def _distant_difference(images: NDArray[np.uint8]) -> float:
    pixels = images.reshape(len(images), -1, images.shape[3]).astype(np.int16)
    one, other = np.random.default_rng(0).integers(0, pixels.shape[1], (2, 200))
    return float(np.abs(pixels[:, one] - pixels[:, other]).mean())


def class_balance(images: LabeledImages) -> GuardResult:
    """Whether the largest class has at most three times as many pictures as the smallest."""
    name, counts = "class-balance", images.counts
    most, least = int(counts.argmax()), int(counts.argmin())
    share = counts[most] / max(1, counts.sum())
    if counts[most] == counts[least]:
        return GuardResult(name, True, f"Each of the {images.num_classes} classes has {counts[most]:,} images.")
    evidence = (
        f"'{images.class_names[least]}' has {counts[least]:,} images, '{images.class_names[most]}' {counts[most]:,}; "
        f"always answering '{images.class_names[most]}' is right for {100 * share:.1f} %."
    )
    weights = images.balanced_weights
    shown = ", ".join(f"{images.class_names[k]} {weights[k]:.3g}" for k in np.argsort(-weights)[:5])
    return judged(
        name, counts[most] <= _MOST_IMBALANCE * counts[least], evidence,
        "Read balanced accuracy and recall per class, not accuracy: snellen evaluate RUN --per-class. Collect more of "
        "the rare classes, or give each class the same say: --set class_weights=balanced (in the loss; largest first: "
        f"{shown}) or --set sampling=balanced (shown equally often).",
    )  # fmt: skip


def labels_match_images(images: LabeledImages) -> GuardResult:
    """Whether the nearest picture (8x8 thumbnail, colour and brightness removed) shares the label more than by chance.

    A whole shift or shuffle of the labels is seen; a few wrong ones among many are not.
    """
    name = "labels-match-images"
    order = np.random.default_rng(0).permutation(len(images))[: _QUERIES + _REFERENCES]
    if len(order) < _FEWEST:
        return unjudged(name, f"{len(images)} images are too few to tell; it takes {_FEWEST}.")
    queries = order[:_QUERIES]
    seen = directions(images.images[order])
    likeness = seen[: len(queries)] @ seen.T
    np.fill_diagonal(likeness, -np.inf)  # each is like itself
    nearest = images.labels[order[likeness.argmax(axis=1)]]
    agreement = float((nearest == images.labels[queries]).mean())
    shares = images.counts / len(images)
    chance = float((shares**2).sum())
    spread = sqrt(chance * (1 - chance) / len(queries))
    evidence = (
        f"The nearest of {len(order):,} pictures has the same label for {100 * agreement:.1f} % of "
        f"{len(queries):,} (chance: {100 * chance:.1f} %)."
    )
    if chance + 2 * spread < agreement <= chance + 4 * spread:
        return unjudged(name, f"{evidence} That may be more than chance; more images would tell.")
    return judged(
        name, agreement > chance + 4 * spread, evidence,
        "Were images and labels sorted or shuffled apart from each other? Look at pictures under their labels: snellen "
        "data info NAME writes a contact sheet. If the labels are right, raw pixels say nothing about these classes.",
        "error",
    )  # fmt: skip


def pixel_statistics(
    mean: Sequence[float], std: Sequence[float], *, measured_on: str, train: LabeledImages
) -> GuardResult:
    """Whether a model's normalisation fits the images it was trained on.

    Args:
        mean: per channel, fractions, as in the model's first layer.
        std: likewise.
        measured_on: role of the images they are said to come from.
        train: the training images.
    """
    name, train_again = "pixel-statistics", "Train again and let them be measured: snellen train DATA does, on train."
    text = f"mean {figures(mean)}, std {figures(std)}"
    if measured_on not in ("train", "train+val") or (measured_on == "train+val" and train.role == "train"):
        return GuardResult(
            name, False, f"{text} come from {measured_on!r}; the model was trained on {train.role!r}.", train_again,
            "error",
        )  # fmt: skip
    own_mean, own_std = channel_moments(train.images[train.evenly(_STATISTICS_SAMPLE)])
    away = float(np.abs(np.subtract([own_mean, own_std], [mean, std])).max())
    own = f"the training images have mean {figures(own_mean)}, std {figures(own_std)}"
    for whose, (known_mean, known_std) in _KNOWN_CONSTANTS.items():
        if len(mean) == 3 and _within(mean, known_mean) and _within(std, known_std) and away > 1e-3:
            return GuardResult(name, False, f"These are {whose}: {text}; {own}.", train_again)
    if away > _TOLERANCE:
        return GuardResult(name, False, f"{text}; {own}: up to {away:.3f} apart.", train_again)
    return GuardResult(name, True, f"{text}, measured on {measured_on}; at most {away:.3f} from a recount.")


def _within(given: Sequence[float], known: Sequence[float]) -> bool:
    return bool(np.abs(np.subtract(given, known)).max() < 1e-3)


def figures(values: Sequence[float]) -> str:
    """Numbers of the channels side by side, to three digits."""
    return " ".join(f"{value:.3f}" for value in values)
