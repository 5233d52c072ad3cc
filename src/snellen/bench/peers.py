"""What others offer for the same work, used only where it is installed and never needed.

A peer gets the same pictures and does the same kinds of change with the same strength. It runs as its own
documentation shows it: torchvision image by image, because on a batch it makes one draw for all; kornia on batches.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from PIL import Image

from snellen.bench.noise import MEAN, STD
from snellen.data.labeled_images import LabeledImages
from snellen.recipes.recipe import Augment


class Missing(Exception):
    """The peer is not installed here, or does not import; the message is a sentence."""


Made = tuple[Callable[[], object], str]
"""Augments all images once; the peer's name and version."""


def torchvision_v2(augment: Augment, images: LabeledImages, device: torch.device) -> Made:
    """torchvision.transforms.v2 on tensors, one image after the other, on the CPU as in a loader without workers.

    Raises:
        Missing: torchvision is not installed or does not import.
    """
    torchvision = _imported("torchvision")
    v2 = _imported("torchvision.transforms.v2")
    steps = [v2.RandomCrop(images.image_shape[:2], padding=augment.crop_pixels, padding_mode="reflect")]
    if augment.flip != "none":
        steps.append(v2.RandomHorizontalFlip())
    steps.append(v2.ToDtype(torch.float32, scale=True))
    if augment.brightness or augment.contrast or augment.saturation:
        steps.append(v2.ColorJitter(augment.brightness, augment.contrast, augment.saturation))
    transform = v2.Compose(steps)
    pixels = torch.from_numpy(images.images).permute(0, 3, 1, 2).contiguous()
    work = lambda: torch.stack([transform(image) for image in pixels]).to(device)  # noqa: E731 - one expression
    return work, f"torchvision {torchvision.__version__}, one process"


def kornia_batched(augment: Augment, images: LabeledImages, device: torch.device) -> Made:
    """kornia.augmentation on the whole batch, on the device.

    Raises:
        Missing: kornia is not installed or does not import.
    """
    kornia = _imported("kornia")
    k = _imported("kornia.augmentation")
    steps = [k.RandomCrop(images.image_shape[:2], padding=augment.crop_pixels, padding_mode="reflect", p=1.0)]
    if augment.flip != "none":
        steps.append(k.RandomHorizontalFlip(p=0.5))
    if augment.brightness or augment.contrast or augment.saturation:
        steps.append(k.ColorJitter(augment.brightness, augment.contrast, augment.saturation, p=1.0))
    transform = k.AugmentationSequential(*steps, data_keys=["input"])
    pixels = torch.from_numpy(images.images).to(device)

    def work() -> object:
        return transform(pixels.permute(0, 3, 1, 2).float() / 255)

    return work, f"kornia {kornia.__version__}"


AUGMENTATIONS: dict[str, Callable[[Augment, LabeledImages, torch.device], Made]] = {
    "torchvision v2": torchvision_v2,
    "kornia": kornia_batched,
}


class LessonImages(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Pictures as the lesson's script feeds them: one Pillow image after the other through torchvision.

    Args:
        images: (N, H, W, C) uint8 with labels.

    Raises:
        Missing: torchvision is not installed or does not import.
    """

    def __init__(self, images: LabeledImages) -> None:
        transforms = _imported("torchvision.transforms")
        self._images = images
        self._transform = transforms.Compose(
            [
                transforms.RandomCrop(images.image_shape[0], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(Image.fromarray(self._images.images[index])), int(self._images.labels[index])


def _imported(name: str) -> Any:
    package = name.partition(".")[0]
    try:
        return import_module(name)
    except ImportError:
        raise Missing(f"{package} is not installed here.") from None
    except (RuntimeError, OSError, AttributeError) as error:  # built for another PyTorch
        raise Missing(f"{package} does not import here: {str(error).splitlines()[0]}") from None
