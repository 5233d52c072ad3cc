"""How time and memory grow with images, side, batch and classes. One axis at a time, a process for each.

python -m benchmarks.scale --out results/speed/NAME.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.script import keep, say
from snellen.bench.process import run_python
from snellen.bench.protocol import Measurement, conditions_here
from snellen.errors import SnellenError

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


def measure(*, quick: bool) -> Iterator[Measurement]:
    """One line per size; a small CNN stands for the model, because the pipeline around it is what is asked about.

    500,000 images of 32 px are 1.5 GB, and twice that while they are split.
    """
    start = Size(images=500, batch=32) if quick else Size()
    for axis, values in (QUICK_AXES if quick else AXES).items():
        for value in values:
            size = replace(start, **{axis: value})
            conditions = conditions_here(precision="fp32", batch=size.batch)
            arguments = [word for name, number in asdict(size).items() for word in (f"--{name}", str(number))]
            finished = run_python(["-m", "benchmarks.scale_probe", *arguments], weigh=True)
            figures: dict[str, float | None] = json.loads(finished.out)
            figures["peak GB"] = None if finished.peak_bytes is None else finished.peak_bytes / 1e9
            case = f"{axis} {value:,}"
            yield Measurement("scale", case, figures, conditions.after(), details={"axis": axis, **asdict(size)})


def main(arguments: Sequence[str]) -> int:
    """Measure, show the table, and write file and picture; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--quick", action="store_true", help="small sizes: seconds, and no number to publish")
    parser.add_argument("--out", type=Path, help="a .json file; the picture gets the same name with .png")
    asked = parser.parse_args(arguments)
    try:
        found = keep(measure(quick=asked.quick), asked.out, quick=asked.quick)
        if asked.out is not None:
            from benchmarks.scale_plot import scale_png

            scale_png(asked.out.with_suffix(".png"), found)
    except SnellenError as error:
        return say(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
