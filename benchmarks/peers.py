"""Augmentation by other libraries, in turns with ours, where they are installed.

    python -m benchmarks.peers --recipe sprint --out results/speed/NAME.json

A peer gets the same pictures and does the same kinds of change with the same strength. It runs as its own
documentation shows it: torchvision image by image, because on a batch it makes one draw for all; kornia on batches.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks.script import keep, say
from snellen.augment.batched import augment_batch, to_device
from snellen.augment.draws import draw
from snellen.bench.catalog import Settings
from snellen.bench.protocol import Measurement, compare, conditions_here
from snellen.bench.step import noise_images
from snellen.data.labeled_images import LabeledImages
from snellen.errors import SnellenError
from snellen.models.device import choose_device
from snellen.recipes.catalog import find_recipe
from snellen.recipes.recipe import Augment, Recipe
from snellen.train.precision import DeviceAndPrecision

_IMAGES, _QUICK_IMAGES = 512, 32  # a peer that works image by image takes about a second for 512


class Missing(Exception):
    """The peer is not installed here, or does not import; the message is a sentence."""


Made = tuple[Callable[[], object], str]
"""Augments all images once; the peer's name and version."""


def torchvision_v2(augment: Augment, images: LabeledImages, device: torch.device) -> Made:
    """torchvision.transforms.v2 on tensors, one image after the other, on the CPU as in a loader without workers.

    Raises:
        Missing: torchvision is not installed or does not import.
    """
    torchvision = imported("torchvision")
    v2 = imported("torchvision.transforms.v2")
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
    kornia = imported("kornia")
    k = imported("kornia.augmentation")
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


def measure(recipe: Recipe, *, device: torch.device, settings: Settings) -> Iterator[Measurement]:
    """The recipe's crop, mirror and jitter by other libraries, each in turns with ours on the same images."""
    images = noise_images(_QUICK_IMAGES if settings.quick else _IMAGES)
    for name, make in AUGMENTATIONS.items():
        case = f"{recipe.name}: {name}, {len(images)} images"
        conditions = conditions_here(device=device, precision="fp32", batch=len(images))
        names = ("ours images/s", "theirs images/s", "ours is × as fast")
        try:
            theirs, version = make(recipe.augment, images, device)
        except Missing as missing:
            yield Measurement("peers", case, dict.fromkeys(names), conditions, note=str(missing))
            continue
        pixels = torch.from_numpy(images.images).to(device)
        draws = to_device(draw(recipe.augment, seed=0, epoch=0, count=len(images)), device)
        comparison = compare(
            lambda pixels=pixels, draws=draws: augment_batch(pixels, draws),  # type: ignore[misc]
            theirs,
            warmup=2,
            repeats=settings.repeats,
            synchronize=DeviceAndPrecision(device).synchronize,
            conditions=(conditions, conditions),
        )
        values = len(images) / comparison.a.median, len(images) / comparison.b.median, comparison.ratio
        figures = dict(zip(names, values, strict=True))
        yield Measurement("peers", case, figures, comparison.a.conditions, comparison=comparison, note=version)


def imported(name: str) -> Any:
    """A peer's module.

    Raises:
        Missing: it is not installed or does not import.
    """
    package = name.partition(".")[0]
    try:
        return import_module(name)
    except ImportError:
        raise Missing(f"{package} is not installed here.") from None
    except (RuntimeError, OSError, AttributeError) as error:  # built for another PyTorch
        raise Missing(f"{package} does not import here: {str(error).splitlines()[0]}") from None


def main(arguments: Sequence[str]) -> int:
    """Measure, show the table and write the file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--recipe", nargs="+", default=["sprint", "small_cnn", "resnet18"])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--quick", action="store_true", help="few pictures: seconds, and no number to publish")
    parser.add_argument("--out", type=Path, help="a .json file")
    asked = parser.parse_args(arguments)
    settings = Settings(device=asked.device, quick=asked.quick)
    try:
        device, recipes = choose_device(asked.device), [find_recipe(name) for name in asked.recipe]
        lines = (line for recipe in recipes for line in measure(recipe, device=device, settings=settings))
        keep(lines, asked.out, quick=asked.quick)
    except SnellenError as error:
        return say(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
