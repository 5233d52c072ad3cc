"""WebDataset shards of made-up pictures, for tests and for measuring.

Run as a script: `python -m tests.made_shards FOLDER IMAGES [SIDE]`, 5,000 pictures a shard.
"""

from __future__ import annotations

import io
import sys
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10


def jpeg(number: int, side: int = 64) -> bytes:
    """A picture like no other: two gradients, a patch whose place is its class, and grain."""
    rng = np.random.default_rng(number)
    ramp = np.linspace(0, 1, side)
    base = rng.uniform(40, 200, 3) + np.multiply.outer(np.add.outer(ramp, ramp), rng.uniform(-30, 30, 3))
    label, patch = number % CLASSES, side // 4
    row, column = divmod(label, 4)
    base[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] += 50
    pixels = np.clip(base + rng.normal(0, 8, base.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    """A plain tar with these members in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def samples(numbers: Iterable[int], side: int = 64) -> Iterable[tuple[str, bytes]]:
    """Members `000007.jpg`, `000007.cls` …"""
    for number in numbers:
        yield f"{number:09d}.jpg", jpeg(number, side)
        yield f"{number:09d}.cls", str(number % CLASSES).encode()


def write_shards(folder: Path, counts: Sequence[int], *, side: int = 64, name: str = "{:06d}.tar") -> list[Path]:
    """Shards with so many samples each, numbered on."""
    starts = [sum(counts[:place]) for place in range(len(counts))]
    return [
        write_tar(folder / name.format(place), samples(range(start, start + count), side))
        for place, (start, count) in enumerate(zip(starts, counts, strict=True))
    ]


if __name__ == "__main__":
    images = int(sys.argv[2])
    whole, rest = divmod(images, 5_000)
    write_shards(Path(sys.argv[1]), [5_000] * whole + [rest] * (rest > 0), side=int((sys.argv[3:] or ["64"])[0]))
