"""A model's answers to images, and the fixed views they are averaged over: the only place where evaluation meets torch.

No random operation can happen here: images are turned into floats by `to_float`, which takes nothing else, and the
model is in eval mode, which is asserted.

The views of test-time augmentation are declared before the look: `flip` is 2, `shift` is 6 (as in airbench: whole and
shifted by one pixel both ways along the diagonal, each with its mirror image, the unshifted pair counting half),
`ten_crop` is 10 (the centre and four corner windows of the image padded by four pixels, each with its mirror image).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from snellen.augment.batched import to_float
from snellen.data.labeled_images import LabeledImages
from snellen.errors import RunError
from snellen.models.fuse import made_fast
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import TTA

_MOST_IMAGES, _MOST_PIXELS = 500, 500 * 32 * 32


def images_at_once(image_shape: tuple[int, ...]) -> int:
    """How many of (H, W, C) one forward pass takes, for the same memory whatever their size: 500 of 32 px."""
    return min(_MOST_IMAGES, max(1, _MOST_PIXELS // (image_shape[0] * image_shape[1])))


@contextlib.contextmanager
def evaluating(model: nn.Module, *, gradients: bool = False) -> Iterator[None]:
    """Eval mode inside, and no gradients unless they are wanted; the mode before is restored."""
    was_training = model.training
    model.eval()  # first: in train mode batch norm would learn from the images it is graded on
    try:
        with torch.enable_grad() if gradients else torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def predict(
    model: nn.Module,
    images: LabeledImages,
    *,
    tta: TTA = "none",
    tta_fraction: float = 1.0,
    bf16: bool = False,
    batch_size: int | None = None,
    finite: bool = True,
) -> Predictions:
    """Logits of every image, plain and averaged over test-time views. Every image is counted exactly once.

    Args:
        model: on its device; its mode is left as it was.
        images: N pictures of the size the model was trained on.
        tta: the views; with "none" there is only the plain answer.
        tta_fraction: fraction of images, least confident first, that get all views; the others keep the plain one.
        bf16: run convolutions and matrix products in bf16.
        batch_size: images per forward pass, None: 500 of 32 px, fewer larger ones; the result differs in rounding only.
        finite: refuse logits that are no numbers. Only a training, which says itself that it diverged, takes them.

    Raises:
        RunError: the model answers an image with something that is no finite number.
    """
    device, pixels = next(model.parameters()).device, torch.from_numpy(images.images)
    batch_size = batch_size or images_at_once(images.image_shape)
    with evaluating(model), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        assert not model.training
        model = made_fast(model)
        plain = (
            torch.cat([model(_on(device, batch)).float() for batch in torch.split(pixels, batch_size)]).cpu().numpy()
        )
        if finite:
            _require_finite(plain)
        averaged = None
        if tta != "none":
            averaged = plain.copy()
            for at in torch.split(torch.from_numpy(_least_confident(plain, tta_fraction)), batch_size):
                known = torch.from_numpy(plain)[at].to(device)
                averaged[at.numpy()] = averaged_logits(model, _on(device, pixels[at]), tta, known).cpu().numpy()
    if finite and averaged is not None:
        _require_finite(averaged)
    return Predictions.of(images, plain, tta=tta, tta_logits=averaged)


def _on(device: torch.device, batch: torch.Tensor) -> torch.Tensor:
    return to_float(batch.to(device))


def averaged_logits(model: nn.Module, images: torch.Tensor, tta: TTA, plain: torch.Tensor) -> torch.Tensor:
    """The model's logits averaged over the views, the first of which is the plain one.

    Args:
        model: in eval mode.
        images: (B, C, H, W) float32 in [0, 1].
        tta: the views.
        plain: (B, K) float32, the logits of the images as they are.
    """
    (weight, _), *others = views(images, tta)
    averaged = weight * plain
    for share, view in others:
        averaged += share * model(view).float()
    return averaged


def _require_finite(logits: NDArray[np.float32]) -> None:
    broken = int((~np.isfinite(logits).all(axis=1)).sum())
    if broken:
        raise RunError(
            f"The model's answers to {broken:,} of {len(logits):,} images are no finite numbers: its weights are "
            "damaged. Train it again."
        )


def _least_confident(logits: NDArray[np.float32], fraction: float) -> NDArray[np.int64]:
    """Positions, ascending, of the given fraction of rows with the smallest top-1 probability."""
    top = logits.max(axis=1)
    spread = np.log(np.exp(logits - top[:, None]).sum(axis=1))  # minus the log of the top-1 probability
    count = math.ceil(fraction * len(logits))
    return np.sort(np.argsort(-spread, kind="stable")[:count]).astype(np.int64)


_PAD = {"shift": 1, "ten_crop": 4}


def views(images: torch.Tensor, tta: TTA) -> Iterator[tuple[float, torch.Tensor]]:
    """The views of a batch, with weights that sum to 1; the first one is the plain images.

    Args:
        images: (B, C, H, W) float32.
        tta: which set of views.

    Yields:
        Weight and images of the same shape.
    """
    if tta == "none":
        yield 1.0, images
        return
    windows = list(_windows(images, tta))
    for weight, window in windows:
        yield weight / 2, window
        yield weight / 2, window.flip(-1)


def _windows(images: torch.Tensor, tta: TTA) -> Iterator[tuple[float, torch.Tensor]]:
    if tta == "flip":
        yield 1.0, images
        return
    height, width = images.shape[-2:]
    pad = _PAD[tta]
    padded = functional.pad(images, (pad,) * 4, mode="reflect")
    far = 2 * pad
    if tta == "shift":
        yield 0.5, images
        corners, weight = [(0, 0), (far, far)], 0.25
    else:
        yield 0.2, images
        corners, weight = [(0, 0), (0, far), (far, 0), (far, far)], 0.2
    for top, left in corners:
        yield weight, padded[..., top : top + height, left : left + width]
