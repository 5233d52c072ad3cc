"""Full fine-tuning from the same weights, as the scripts of fastai and timm do it; prints its result as JSON.

    python -m benchmarks.photographs_peer FOLDER --epochs 6

Head first for an epoch, then everything, one cycle of AdamW, label smoothing, random resized crops and mirror images
by a loader that decodes each picture anew with its worker processes, channels_last, bf16 where asked for; val at the
middle square of 256 to 224 px after every epoch, plain and with the mirror image. The weights of every epoch are judged
and the best one counts, as ours are.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from snellen.models.catalog import ModelSpec, build, pixel_range

_SIDE, _VAL_SIDE = 224, 256


class Pictures(Dataset[tuple[Tensor, int]]):
    """Class folders below `root`, a picture decoded whenever it is asked for."""

    def __init__(self, root: Path, *, training: bool) -> None:
        self.classes = sorted(each.name for each in root.iterdir() if each.is_dir())
        self.files = [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in sorted((root / name).rglob("*"))
            if path.suffix.lower() in (".jpg", ".jpeg", ".png")
        ]
        self.training = training

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path, label = self.files[index]
        with Image.open(path) as opened:
            opened.draft("RGB", (2 * _VAL_SIDE, 2 * _VAL_SIDE))
            image = opened.convert("RGB")
        image = self._random(image) if self.training else self._middle(image)
        return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1), label

    def _random(self, image: Image.Image) -> Image.Image:
        area = image.width * image.height * float(torch.empty(()).uniform_(0.25, 1))
        ratio = float(torch.empty(()).uniform_(np.log(3 / 4), np.log(4 / 3)).exp())
        width, height = min(image.width, round((area * ratio) ** 0.5)), min(image.height, round((area / ratio) ** 0.5))
        left = int(torch.randint(image.width - width + 1, ()))
        top = int(torch.randint(image.height - height + 1, ()))
        box = (left, top, left + width, top + height)
        square = image.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, box)
        return ImageOps.mirror(square) if torch.rand(()) < 0.5 else square

    def _middle(self, image: Image.Image) -> Image.Image:
        square = ImageOps.fit(image, (_VAL_SIDE, _VAL_SIDE), Image.Resampling.BILINEAR)
        edge = (_VAL_SIDE - _SIDE) // 2
        return square.crop((edge, edge, edge + _SIDE, edge + _SIDE))


def main(arguments: Sequence[str]) -> int:
    """Fine-tune and print accuracy, accuracy with the mirror image, and seconds at the end of each epoch."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photographs_peer")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args(arguments)
    started = time.perf_counter()
    torch.manual_seed(given.seed)
    train, val = (Pictures(given.folder / part, training=part == "train") for part in ("train", "val"))
    mean, std = pixel_range("efficientnet_lite0")
    spec = ModelSpec("efficientnet_lite0", (_SIDE, _SIDE, 3), len(train.classes), mean, std)
    model = build(spec, seed=given.seed, pretrained=True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    head = [each for name, each in model.named_parameters() if name.startswith("net.classifier")]
    body = [each for name, each in model.named_parameters() if not name.startswith("net.classifier")]
    loader = DataLoader(
        train, given.batch, shuffle=True, drop_last=True, num_workers=given.workers, persistent_workers=True
    )
    looks = DataLoader(val, 64, num_workers=given.workers)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=given.precision == "bf16")
    steps, first = round(given.epochs * len(loader)), len(loader)
    optimizer = torch.optim.AdamW([{"params": body}, {"params": head}], lr=given.lr, weight_decay=0.05, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, given.lr, total_steps=first + steps, pct_start=0.25)
    rows: list[dict[str, float]] = []
    done = 0
    while done < first + steps:
        model.train()
        for pixels, labels in loader:
            for each in body:
                each.requires_grad_(done >= first)
            images = pixels.contiguous(memory_format=torch.channels_last).float().div_(255)
            with autocast:
                logits = model(images)
            functional.cross_entropy(logits.float(), labels, label_smoothing=0.1).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            cycle.step()
            done += 1
            if done == first + steps:
                break
        plain, mirrored = _graded(model, looks, autocast)
        rows.append({"accuracy": plain, "with_tta": mirrored, "at": round(time.perf_counter() - started, 1)})
        print(rows[-1], file=sys.stderr, flush=True)
    best = max(rows, key=lambda row: row["accuracy"])
    print(json.dumps({**best, "n": len(val), "epochs": rows, "settings": vars(given) | {"folder": given.folder.name}}))
    return 0


@torch.inference_mode()
def _graded(model: nn.Module, looks: DataLoader[tuple[Tensor, int]], autocast: torch.autocast) -> tuple[float, float]:
    """Share of val that is right, plain and with the mirror image."""
    model.eval()
    right, right_with, count = 0, 0, 0
    for pixels, labels in looks:
        images = pixels.contiguous(memory_format=torch.channels_last).float().div_(255)
        with autocast:
            plain = model(images).float()
            both = plain + model(images.flip(-1)).float()
        right += int((plain.argmax(1) == labels).sum())
        right_with += int((both.argmax(1) == labels).sum())
        count += len(labels)
    return right / count, right_with / count


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
