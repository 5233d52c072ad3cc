"""What the frozen part of a network makes of each picture: computed once, kept on disk, read by every epoch after.

    $XDG_CACHE_HOME/snellen/activations/KEY.bin     (N, h, w, C) of one version of the pictures, bf16 or float32

KEY stands for the pictures, the frozen part with its weights, the augmentation, the seed and the number format, so that
a second training on the same folder finds them there, whatever it does with the rest of the network. At most 4 GiB are
kept, the longest unused leave first; versions of a set for which that is too little are computed anew in every epoch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from snellen.augment.batched import to_device
from snellen.augment.draws import draw
from snellen.augment.resized_crop import new_sides
from snellen.augment.transforms import Transforms
from snellen.data.labeled_images import LabeledImages
from snellen.errors import StorageError
from snellen.models.fuse import folded
from snellen.models.normalized import Classifier
from snellen.models.split import before
from snellen.models.weights import model_hash
from snellen.parts import sources
from snellen.paths import cache_folder
from snellen.predict.predict import evaluating
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import Augment
from snellen.runs.atomic import write_parts
from snellen.serialize import to_json
from snellen.version import VERSION

if TYPE_CHECKING:  # which itself makes a batch, to see whether a step can be made
    from snellen.train.setup import TrainingSetup

_MOST_BYTES = 4 * 2**30
_LEFT_BEHIND = 3600.0  # seconds since the last byte was written
_AT_ONCE = {"cpu": 8}
"""Pictures: on a CPU a few, whose activations stay in its cache; measured in results/LOG.md."""
_AT_ONCE_ELSEWHERE = 128


class KeptActivations:
    """The frozen part of a training's network, and what it made of the training's pictures.

    Args:
        setup: of the training; its recipe freezes a part.
        model: of the training, on its device. The frozen part is copied as it is now.

    Raises:
        InvalidSetting: the network cannot be cut behind that part.
    """

    def __init__(self, setup: TrainingSetup, model: Classifier) -> None:
        finetune = setup.recipe.finetune
        assert finetune is not None
        self._setup, self._finetune = setup, finetune
        self._device = setup.compute.device
        self._frozen = before(model, finetune.frozen, bf16=setup.compute.bf16).to(self._device)
        self._dtype = torch.bfloat16 if setup.compute.bf16 else torch.float32
        self._who = hashlib.sha256(f"{model_hash(self._frozen)} {torch.__version__}".encode()).hexdigest()
        self._opened: dict[str, Tensor] = {}
        self._shapes: dict[tuple[int, int], tuple[int, int, int]] = {}
        # Mixing pictures is done behind the cut, with what the two look like there.
        self._augment = replace(setup.recipe.augment, mixup=0.0, cutmix=0.0)

    def batch(self, epoch: int, at: Tensor) -> Tensor:
        """(B, C, h, w) on the device: the training pictures at these positions (B,) as they are seen in this epoch."""
        return self._seen(self._setup.splits.train, at, epoch % self._finetune.versions)

    def answers(self, behind: nn.Module, images: LabeledImages) -> Predictions:
        """The plain answers to these pictures, from train or val, by what is behind the cut."""
        known, at = self._rows(images)
        logits = []
        with evaluating(behind), self._setup.compute.autocast():
            fast = folded(behind)
            for some in torch.split(at, 64):
                logits.append(fast(self._seen(known, some, 0)).float().cpu())
        return Predictions.of(images, torch.cat(logits).numpy())

    def seconds_per_image(self, images: LabeledImages) -> float:
        """What the frozen part takes for one of these training pictures; nothing is kept."""
        at = torch.arange(len(images))
        next(self._made(images, 0, at))  # the first pays for warming up
        started = time.perf_counter()
        for _ in self._made(images, self._finetune.versions - 1, at):
            self._setup.compute.synchronize()
        return (time.perf_counter() - started) / len(images)

    def _rows(self, images: LabeledImages) -> tuple[LabeledImages, Tensor]:
        """The set that is kept whole, and where in it these pictures are: of train often only some are asked for."""
        train = self._setup.splits.train
        if images.role != train.role:
            return images, torch.arange(len(images))
        order = np.argsort(train.ids)
        return train, torch.from_numpy(order[np.searchsorted(train.ids, images.ids, sorter=order)])

    def _seen(self, images: LabeledImages, at: Tensor, number: int) -> Tensor:
        """(B, C, h, w) on the device, in memory of its own: a network may write into what it is given."""
        with_those_before = sum(self._bytes(images, each) for each in range(number + 1))
        if with_those_before <= _MOST_BYTES:  # the first versions, as many as there is room for
            kept = self._version(images, number)
            return kept.index_select(0, at.to(kept.device)).to(self._device).permute(0, 3, 1, 2)
        return torch.cat(list(self._made(images, number, at)))

    def _version(self, images: LabeledImages, number: int) -> Tensor:
        """(N, h, w, C), mapped from its file, which is made where it is not there."""
        key = self._key(images, number)
        if key not in self._opened:
            path = cache_folder() / "activations" / f"{key}.bin"
            while (mapped := self._mapped(path, images, number)) is None:
                self._write(path, images, number)
            self._opened[key] = mapped
        return self._opened[key]

    def _mapped(self, path: Path, images: LabeledImages, number: int) -> Tensor | None:
        """What the file holds, or None where it is not there or not whole; another process may delete it any time."""
        as_numpy = np.uint16 if self._dtype == torch.bfloat16 else np.float32
        try:
            if path.stat().st_size != self._bytes(images, number):
                return None
            with contextlib.suppress(PermissionError):  # a cache that is only lent
                os.utime(path)  # used now
            mapped = np.memmap(path, dtype=as_numpy, mode="c", shape=(len(images), *self._shape(number)))
        except (FileNotFoundError, ValueError):  # the latter: shorter by now
            return None
        return torch.from_numpy(mapped).view(self._dtype)

    def _write(self, path: Path, images: LabeledImages, number: int) -> None:
        _make_room(path.parent, self._bytes(images, number))
        try:
            write_parts(path, self._rows_of_bytes(images, number))
        except StorageError as error:
            reason = str(error).partition(". What was there before")[0]
            raise StorageError(
                f"What the frozen part of the network makes of the pictures cannot be kept ({reason}). It takes "
                f"{self._bytes(images, number) / 1e6:,.0f} MB; make room in {path.parent}, or set XDG_CACHE_HOME to a "
                "folder with more."
            ) from error

    def _rows_of_bytes(self, images: LabeledImages, number: int) -> Iterator[memoryview]:
        """(B, h, w, C) of some pictures after the other, in their order."""
        for made in self._made(images, number, torch.arange(len(images))):
            rows = made.permute(0, 2, 3, 1).contiguous().cpu()
            yield rows.view(torch.uint16 if self._dtype == torch.bfloat16 else torch.float32).numpy().data

    def _made(self, images: LabeledImages, number: int, at: Tensor) -> Iterator[Tensor]:
        """(B, C, h, w) of some of the pictures at these positions after the other, computed now."""
        drawn = to_device(
            draw(self._augmented(number), seed=self._setup.seed, epoch=number, count=len(images)), self._device
        )
        transforms = Transforms(self._augmented(number), seed=self._setup.seed)
        for some in torch.split(at.to(self._device), _AT_ONCE.get(self._device.type, _AT_ONCE_ELSEWHERE)):
            pixels = torch.from_numpy(images.images[some.cpu().numpy()]).to(self._device)
            with torch.no_grad():  # closed before the yield: whoever asks may never come back
                # Whichever pictures these are, it is the first of them that the seed of own transforms follows from.
                seen = transforms.augment(pixels, drawn.at(some), epoch=number, step=int(some[0]))
                made = self._frozen.activations(seen)
            yield made

    def _augmented(self, version: int) -> Augment:
        return self._augment if version else Augment()  # the first version is the picture itself

    def _shape(self, version: int) -> tuple[int, int, int]:
        """(h, w, C) of one picture."""
        height, width, channels = self._setup.splits.train.image_shape
        seen = new_sides(height, width, self._augmented(version).resized_crop_side)
        if seen not in self._shapes:
            with torch.inference_mode():
                one = self._frozen.activations(torch.zeros(1, channels, *seen, device=self._device))
            self._shapes[seen] = one.shape[2], one.shape[3], one.shape[1]
        return self._shapes[seen]

    def _bytes(self, images: LabeledImages, version: int) -> int:
        return len(images) * int(np.prod(self._shape(version))) * self._dtype.itemsize

    def _key(self, images: LabeledImages, number: int) -> str:
        # Not their labels: after corrections the frozen part makes the same of them.
        pixels = hashlib.sha256(images.content_hashes.tobytes() + images.ids.tobytes()).hexdigest()
        pictures = f"{pixels} {images.image_shape}"
        augment = f"{json.dumps(to_json(self._augmented(number)))} {self._setup.seed if number else 0} {number}"
        recipe = self._setup.recipe
        network = f"{self._who} {recipe.model} {json.dumps(to_json(recipe.model_options))} {self._finetune.frozen}"
        if own := sources(recipe.parts):
            pictures += f" {json.dumps(own)}"
        # With other threads, sums are taken in other pieces: what is kept must not decide about a run's last bits.
        how = f"{self._dtype} {self._device} {torch.get_num_threads()} {VERSION}"
        return hashlib.sha256(f"{network} {pictures} {augment} {how}".encode()).hexdigest()[:32]


def _make_room(folder: Path, wanted: int) -> None:
    """Delete what was not used for longest until `wanted` bytes more stay below the limit."""
    found = []
    for path in folder.glob("*.bin*"):
        with contextlib.suppress(OSError):  # another process makes room too
            about = path.stat()
            if path.suffix == ".bin":
                found.append((about.st_mtime, about.st_size, path))
            elif time.time() - about.st_mtime > _LEFT_BEHIND:  # by a process that was killed while it wrote
                path.unlink()
    held = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if held + wanted <= _MOST_BYTES:
            return
        with contextlib.suppress(OSError):  # Windows keeps a file that another process has mapped
            path.unlink()
            held -= size
