"""`scale`: how time and memory grow with images, side, batch and classes. One axis at a time, a process for each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from snellen.bench.conditions import conditions_here
from snellen.bench.measurement import Measurement
from snellen.bench.process import run_python
from snellen.bench.settings import Settings

FIGURES = ("split s", "statistics s", "batches images/s", "training images/s", "peak GB")


@dataclass(frozen=True)
class Size:
    """One size of the task; the values here are where the other axes stay."""

    images: int = 10_000
    side: int = 32
    batch: int = 128
    classes: int = 10


AXES: dict[str, tuple[int, ...]] = {
    "images": (10_000, 30_000, 100_000, 500_000),
    "side": (32, 48, 64, 96, 128),
    "batch": (32, 128, 512, 2048),
    "classes": (2, 10, 100, 1000),
}
QUICK_AXES: dict[str, tuple[int, ...]] = {"images": (500, 1_000), "side": (32, 48)}


def measure(settings: Settings) -> Iterator[Measurement]:
    """One line per size; a small CNN stands for the model, because the pipeline around it is what is asked about.

    500,000 images of 32 px are 1.5 GB, and twice that while they are split.
    """
    start = Size(images=500, batch=32) if settings.quick else Size()
    for axis, values in (QUICK_AXES if settings.quick else AXES).items():
        for value in values:
            size = replace(start, **{axis: value})
            conditions = conditions_here(precision="fp32", batch=size.batch)
            arguments = [word for name, number in asdict(size).items() for word in (f"--{name}", str(number))]
            finished = run_python(["-m", "snellen.bench.scale_probe", *arguments], weigh=True)
            figures: dict[str, float | None] = json.loads(finished.out)
            figures["peak GB"] = None if finished.peak_bytes is None else finished.peak_bytes / 1e9
            case = f"{axis} {value:,}"
            yield Measurement("scale", case, figures, conditions.after(), details={"axis": axis, **asdict(size)})
