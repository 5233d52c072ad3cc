"""An epoch as the lesson's script has it, and the same epoch here.

The script: torchvision transforms on one picture after the other, a loader with four workers, fp32, the loss read
after every step, and images normalised on the way. The network is the same; what differs is everything around it.
"""

from __future__ import annotations

import time
import warnings

import torch
from PIL import Image
from torch.nn import functional

from benchmarks.peers import imported
from snellen.bench.augment import chosen_compute
from snellen.bench.step import MEAN, STD, TrainingStep, stages
from snellen.data.labeled_images import LabeledImages
from snellen.recipes.recipe import Recipe
from snellen.train.precision import DeviceAndPrecision

WORKERS = 4


def our_epoch(recipe: Recipe, images: LabeledImages, device: torch.device) -> float:
    """Seconds of one epoch of training steps; two steps before it warm up."""
    stage = stages(recipe, images.image_shape[0])[-1]
    compute = chosen_compute(recipe, images, device)
    step = TrainingStep(recipe, images, compute, stage)
    for _ in range(2):
        step.whole()
    compute.synchronize()
    started = time.perf_counter()
    for _ in range(step.training.per_epoch):
        step.whole()
    compute.synchronize()
    return time.perf_counter() - started


def lesson_epoch(recipe: Recipe, images: LabeledImages, device: torch.device, *, until: float) -> tuple[float, str]:
    """Seconds of an epoch of the script's loop, and a note how it was measured.

    Args:
        until: on `time.monotonic`'s clock; an epoch cut short there is scaled up by its steps.

    Raises:
        Missing: torchvision is not at hand.
    """
    pictures = LessonImages(images)
    stage = stages(recipe, images.image_shape[0])[-1]
    made = TrainingStep(recipe, images, DeviceAndPrecision(device), stage)
    net = made.training.model.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-5, momentum=0.9, nesterov=True, weight_decay=5e-4)
    with warnings.catch_warnings():
        # On fewer cores than workers PyTorch advises fewer; the script is measured as it is written.
        warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
        loader = torch.utils.data.DataLoader(
            pictures, batch_size=recipe.batch_size, shuffle=True, num_workers=WORKERS, drop_last=True
        )
        started = time.perf_counter()
        batches = iter(loader)
    done = 0
    for batch, labels in batches:
        logits = net(batch.to(device))
        loss = functional.cross_entropy(logits, labels.to(device), label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        loss.item()
        done += 1
        if time.monotonic() > until:
            break
    seconds = time.perf_counter() - started
    whole = len(loader)
    cut = "" if done == whole else f", scaled up from {done} of {whole} steps"
    return seconds * whole / done, f"torchvision in a loader with {WORKERS} workers, fp32, first epoch{cut}"


class LessonImages(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Pictures as the lesson's script feeds them: one Pillow image after the other through torchvision.

    Args:
        images: (N, H, W, C) uint8 with labels.

    Raises:
        Missing: torchvision is not installed or does not import.
    """

    def __init__(self, images: LabeledImages) -> None:
        transforms = imported("torchvision.transforms")
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
