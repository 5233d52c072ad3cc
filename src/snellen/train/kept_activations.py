"""What the frozen part of a network makes of each picture: computed once, kept on disk, read by every epoch after.

    $XDG_CACHE_HOME/snellen/activations/KEY.bin     (N, h, w, C) of one version of the pictures, bf16 or float32

KEY stands for the pictures, the frozen part with its weights, the augmentation, the seed and the number format, so that
a second training on the same folder finds them there, whatever it does with the rest of the network. At most 4 GiB are
kept, the longest unused leave first; a set of which one version is more than that is computed anew in every epoch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from snellen.augment.batched import augment_batch, to_device
from snellen.augment.draws import draw
from snellen.data.labeled_images import LabeledImages
from snellen.errors import StorageError
from snellen.models.normalized import Classifier
from snellen.models.split import before
from snellen.models.weights import model_hash
from snellen.paths import cache_folder
from snellen.predict.predict import evaluating
from snellen.predict.predictions import Predictions
from snellen.recipes.recipe import Augment
from snellen.runs.atomic import write_parts
from snellen.serialize import to_json
from snellen.train.setup import TrainingSetup

_MOST_BYTES = 4 * 2**30
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
        # Mixing pictures is done behind the cut, with what the two look like there.
        self._augment = replace(setup.recipe.augment, mixup=0.0, cutmix=0.0)

    def batch(self, epoch: int, at: Tensor) -> Tensor:
        """(B, C, h, w) on the device: the training pictures at these positions (B,) as they are seen in this epoch."""
        version, train = epoch % self._finetune.versions, self._setup.splits.train
        if self._bytes(train) <= _MOST_BYTES:
            kept = self._version(train, version)
            return kept.index_select(0, at.to(kept.device)).to(self._device).permute(0, 3, 1, 2)
        drawn = draw(self._augmented(version), seed=self._setup.seed, epoch=version, count=len(train))
        pixels = torch.from_numpy(train.images[at.cpu().numpy()]).to(self._device)
        with torch.inference_mode():
            made = torch.cat(
                [
                    self._frozen.activations(augment_batch(some, to_device(drawn, self._device).at(places)))
                    for some, places in zip(self._chunks(pixels), self._chunks(at), strict=True)
                ]
            )
        return made.clone()

    def answers(self, behind: nn.Module, images: LabeledImages) -> Predictions:
        """The plain answers to these pictures, from train or val, by what is behind the cut."""
        kept, logits = self._plain(images), []
        with evaluating(behind), self._setup.compute.autocast():
            for some in torch.split(kept, 64):
                logits.append(behind(some.to(self._device).permute(0, 3, 1, 2)).float().cpu())
        return Predictions(
            logits=torch.cat(logits).numpy(),
            labels=images.labels,
            ids=images.ids,
            class_names=images.class_names,
            split=images.role,
            tta="none",
            tta_logits=None,
            data=images.name,
        )

    def _plain(self, images: LabeledImages) -> Tensor:
        train = self._setup.splits.train
        if images.role != train.role:
            return self._version(images, 0)
        rows = np.searchsorted(train.ids, images.ids, sorter=(order := np.argsort(train.ids)))
        return self._version(train, 0).index_select(0, torch.from_numpy(order[rows]))

    def _version(self, images: LabeledImages, number: int) -> Tensor:
        """(N, h, w, C), mapped from its file, which is made where it is not there."""
        key = self._key(images, number)
        if key not in self._opened:
            path = cache_folder() / "activations" / f"{key}.bin"
            shape = (len(images), *self._shape)
            if not path.exists() or path.stat().st_size != self._bytes(images):
                self._write(path, images, number)
            path.touch()
            as_numpy = np.uint16 if self._dtype == torch.bfloat16 else np.float32
            mapped = torch.from_numpy(np.memmap(path, dtype=as_numpy, mode="c", shape=shape))
            self._opened[key] = mapped.view(self._dtype)
        return self._opened[key]

    def _write(self, path: Path, images: LabeledImages, number: int) -> None:
        _make_room(path.parent, self._bytes(images))
        try:
            write_parts(path, (part.numpy().data for part in self._made(images, number)))
        except StorageError as error:
            reason = str(error).partition(". What was there before")[0]
            raise StorageError(
                f"What the frozen part of the network makes of the pictures cannot be kept ({reason}). It takes "
                f"{self._bytes(images) / 1e6:,.0f} MB; make room in {path.parent}, or set XDG_CACHE_HOME to a folder "
                "with more."
            ) from error

    def _made(self, images: LabeledImages, number: int) -> Iterator[Tensor]:
        """Bytes of (B, h, w, C) for some pictures after the other, in their order."""
        drawn = to_device(
            draw(self._augmented(number), seed=self._setup.seed, epoch=number, count=len(images)), self._device
        )
        pixels, places = torch.from_numpy(images.images), torch.arange(len(images), device=self._device)
        for some, at in zip(self._chunks(pixels), self._chunks(places), strict=True):
            with torch.inference_mode():
                made = self._frozen.activations(augment_batch(some.to(self._device), drawn.at(at)))
                rows = made.permute(0, 2, 3, 1).contiguous().cpu()
                yield rows.view(torch.uint16 if self._dtype == torch.bfloat16 else torch.float32)

    def _augmented(self, version: int) -> Augment:
        return self._augment if version else Augment()  # the first version is the picture itself

    def _chunks(self, rows: Tensor) -> tuple[Tensor, ...]:
        return torch.split(rows, _AT_ONCE.get(self._device.type, _AT_ONCE_ELSEWHERE))

    @property
    def _shape(self) -> tuple[int, int, int]:
        """(h, w, C) of one picture."""
        if not hasattr(self, "_known_shape"):
            height, width, channels = self._setup.splits.train.image_shape
            with torch.inference_mode():
                one = self._frozen.activations(torch.zeros(1, channels, height, width, device=self._device))
            self._known_shape: tuple[int, int, int] = (one.shape[2], one.shape[3], one.shape[1])
        return self._known_shape

    def _bytes(self, images: LabeledImages) -> int:
        return len(images) * int(np.prod(self._shape)) * self._dtype.itemsize

    def _key(self, images: LabeledImages, number: int) -> str:
        pictures = f"{images.fingerprint} {hashlib.sha256(images.ids.tobytes()).hexdigest()}"
        augment = f"{json.dumps(to_json(self._augmented(number)))} {self._setup.seed if number else 0} {number}"
        what = f"{self._who} {self._finetune.frozen} {pictures} {augment} {self._dtype} {self._device}"
        return hashlib.sha256(what.encode()).hexdigest()[:32]


def _make_room(folder: Path, wanted: int) -> None:
    """Delete what was not used for longest until `wanted` bytes more stay below the limit."""
    found = []
    for path in folder.glob("*.bin"):
        with contextlib.suppress(OSError):  # another process makes room too
            about = path.stat()
            found.append((about.st_mtime, about.st_size, path))
    held = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if held + wanted <= _MOST_BYTES:
            return
        with contextlib.suppress(OSError):  # Windows keeps a file that another process has mapped
            path.unlink()
            held -= size
