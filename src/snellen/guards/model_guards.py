"""Guards that let a model answer a few images: the only ones that need torch."""

from __future__ import annotations

from math import log

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from snellen.augment.batched import to_float
from snellen.data.labeled_images import LabeledImages
from snellen.errors import SnellenError
from snellen.guards.data_guards import figures
from snellen.guards.guard import GuardResult, judged, unjudged
from snellen.models.catalog import ModelSpec, build, pixel_range
from snellen.models.normalized import Classifier
from snellen.models.summary import describe_layers
from snellen.predict.predict import predict
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import Recipe

_ASKED = 32
_ALONE = 4
_SMALL_SIDE = 64  # pixels; from here on a 7x7 stem with a pool is what networks were made for
_BLIND_TOLERANCE = 0.5  # nats; batch norm alone moves a fresh small_cnn by up to 0.25, a wrong scale by whole nats
_WHITENING_IMAGES = 500


def repeatable_evaluation(
    model: nn.Module, images: LabeledImages, *, stored: Predictions | None = None, bf16: bool = False
) -> GuardResult:
    """Whether a model gives the same image the same logits: twice, alone as in a batch, and as it was graded.

    Chance in the forward pass (dropout left on, augmentation inside the model) breaks the first; batch statistics the
    second; grading on augmented images, or with other weights, the third.

    Args:
        model: on its device.
        images: at least one; 32 are asked.
        stored: answers on file to the same images, compared by id.
        bf16: as the grading ran.
    """
    name = "repeatable-evaluation"
    few = images.take(np.arange(min(_ASKED, len(images)), dtype=np.int64), images.role)
    first, second = (predict(model, few, bf16=bf16, finite=False).logits for _ in range(2))
    one = few.take(np.arange(min(_ALONE, len(few)), dtype=np.int64), few.role)
    alone = predict(model, one, bf16=bf16, finite=False, batch_size=1).logits
    # Another batch size may choose another order of sums; bf16 has three digits. On a CPU the same call is the same.
    rounding = (0.1 if bf16 else 0.01) * float(np.abs(first).max())
    on_cpu = next(model.parameters()).device.type == "cpu"
    apart = float(np.abs(first - second).max())
    if not apart <= (0.0 if on_cpu else rounding):
        return GuardResult(
            name, False, f"The same {len(few)} images asked twice: logits up to {apart:.3g} apart.",
            "Something in the model draws numbers: dropout that ignores model.eval(), or augmentation in forward(). "
            "Random changes belong into the recipe's augment, which evaluation never sees.",
            "error",
        )  # fmt: skip
    apart = float(np.abs(first[: len(one)] - alone).max())
    if not apart <= rounding:
        return GuardResult(
            name, False, f"An image alone and in a batch of {len(few)}: logits up to {apart:.3g} apart.",
            "An answer depends on the other images of its batch: batch norm without running statistics. Build it with "
            "track_running_stats=True.",
            "error",
        )  # fmt: skip
    where = _rows(stored, few)
    if stored is not None and len(where):
        apart = float(np.abs(first - stored.logits[where]).max())
        if not apart <= rounding:
            return GuardResult(
                name, False, f"Logits on file are up to {apart:.3g} from what the weights answer now.",
                "The grades are of other weights, another network or other (augmented?) images. Give those back, or "
                "remove predictions_val.npz, then grade again: snellen evaluate RUN",
                "error",
            )  # fmt: skip
    filed = ", and as on file" if len(where) else ""
    return GuardResult(name, True, f"{len(few)} images asked twice: equal logits; alone as in a batch{filed}.")


def _rows(stored: Predictions | None, images: LabeledImages) -> np.ndarray:
    """Rows of `stored` with the ids of `images`, in that order; none unless all are there."""
    if stored is None:
        return np.empty(0, dtype=np.int64)
    row_of = {int(number): row for row, number in enumerate(stored.ids)}
    found = [row_of[int(number)] for number in images.ids if int(number) in row_of]
    return np.array(found if len(found) == len(images) else [], dtype=np.int64)


def small_image_stem(model: nn.Module, image_shape: tuple[int, int, int]) -> GuardResult:
    """Whether a network keeps enough positions of a picture under 64 pixels.

    It fails if the second convolution already sees a quarter of the side or less, or the last one a single position.
    """
    name = "small-image-stem"
    side = min(image_shape[:2])
    maps = [min(row.output_shape[1:]) for row in describe_layers(model, image_shape) if row.kind == "Conv2d"]
    if not maps:
        return unjudged(name, "The model has no convolutions.")
    early = maps[min(1, len(maps) - 1)]
    evidence = (
        f"{side} px a side become {maps[0]}, then {early}, after the first convolutions and {maps[-1]} in the end."
    )
    return judged(
        name, side >= _SMALL_SIDE or (maps[-1] > 1 and early > side / 4), evidence,
        "This network is made for larger pictures. Let its first layers keep more positions (3x3, stride 1, no pool), "
        "or enlarge the pictures: twice the side is four times the arithmetic.",
    )  # fmt: skip


def published_statistics(model: Classifier, name: str) -> GuardResult:
    """Whether a model that began with published weights normalises as those were made with.

    Args:
        model: that was trained from them.
        name: of the network, as in `models.catalog`.
    """
    try:
        expected = pixel_range(name)
    except SnellenError as error:  # the library that publishes them is not installed here
        return unjudged("pixel-statistics", str(error))
    mean, std = model.normalize.mean.tolist(), model.normalize.std.tolist()
    away = float(np.abs(np.subtract([mean, std], expected)).max())
    text = f"mean {figures(mean)}, std {figures(std)}"
    return judged(
        "pixel-statistics", away <= 1e-4, f"{text}: those that the pretrained weights of {name} were made with have "
        f"mean {figures(expected[0])}, std {figures(expected[1])}.",
        "Train again from the pretrained weights: --weights pretrained brings their own normalisation.", "error",
    )  # fmt: skip


def untrained(recipe: Recipe, images: LabeledImages, *, mean: list[float], std: list[float], seed: int) -> Classifier:
    """The model as it was before the first step, on the CPU; whitening is set from a sample of `images`."""
    spec = ModelSpec(recipe.model, images.image_shape, images.num_classes, mean, std, recipe.model_options)
    model = build(spec, seed=seed)
    initialise = getattr(model.net, "init_whitening", None)
    if initialise is not None:
        initialise(model.normalize(to_float(torch.from_numpy(images.images[images.evenly(_WHITENING_IMAGES)]))))
    return model


def initial_loss(model: nn.Module, images: LabeledImages) -> GuardResult:
    """Whether an untrained model's loss is ln K: it knows nothing yet, and should not be sure of anything.

    The loss is that of the first step, in train mode and without smoothing, on 32 images. The model's batch statistics
    are moved by it: ask a fresh one. Labels do not matter here; shuffled ones are found by `labels-match-images`.
    """
    name = "initial-loss"
    at = images.evenly(_ASKED)
    if len(at) < 2:
        return unjudged(name, "It takes two images.")
    device = next(model.parameters()).device
    with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(0)  # dropout draws: the verdict is the same each time, and a caller's own draws go on
        logits = model.train()(to_float(torch.from_numpy(images.images[at]).to(device))).float()
        loss = float(functional.cross_entropy(logits, torch.from_numpy(images.labels[at]).to(device)))
    blind = log(images.num_classes)
    evidence = f"Loss before the first step {loss:.2f}; a blind guess has ln {images.num_classes} = {blind:.2f}."
    return judged(
        name, abs(loss - blind) <= _BLIND_TOLERANCE, evidence,  # NaN is not
        "Are the images normalised (0 to 1, then mean and deviation), and is the last layer's scale that of a fresh "
        "layer? A net that begins sure of itself spends its first epoch unlearning.",
    )  # fmt: skip
