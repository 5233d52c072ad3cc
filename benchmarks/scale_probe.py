"""One size of `benchmarks.scale`, in a process of its own so that its memory can be weighed.

python -m benchmarks.scale_probe --images 10000 --side 32 --batch 128 --classes 10
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from snellen.bench.step import TrainingStep, noise_images, stages
from snellen.data.dataset import Dataset
from snellen.data.pixel_statistics import measure
from snellen.data.splits import split
from snellen.recipes.catalog import RECIPES
from snellen.train.precision import DeviceAndPrecision

_BATCHES, _STEPS = 20, 4
_SMALL = RECIPES["resnet18"].replace(model="small_cnn", widths=(16, 16, 32, 32))


def probe(*, images: int, side: int, batch: int, classes: int) -> dict[str, float]:
    """Seconds and rates of the way from pictures in memory to training steps, by the names in `scale.FIGURES`."""
    dataset = Dataset("noise", replace(noise_images(images, side=side, classes=classes), role="all"), None, "noise")
    started = time.perf_counter()
    train = split(dataset).train
    split_seconds = time.perf_counter() - started
    started = time.perf_counter()
    measure(train)
    statistics_seconds = time.perf_counter() - started
    recipe = _SMALL.replace(batch_size=batch)
    step = TrainingStep(recipe, train, DeviceAndPrecision(), stages(recipe, side)[0])
    size = step.batch_size
    return {
        "split s": split_seconds,
        "statistics s": statistics_seconds,
        "batches images/s": size * _BATCHES / _seconds(step.batch, _BATCHES),
        "training images/s": size * _STEPS / _seconds(step.whole, _STEPS),
    }


def _seconds(work: Callable[[], object], times: int) -> float:
    work()
    started = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - started


def main(arguments: Sequence[str]) -> int:
    """Probe one size and print its figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_probe")
    for name in ("images", "side", "batch", "classes"):
        parser.add_argument(f"--{name}", type=int, required=True)
    print(json.dumps(probe(**vars(parser.parse_args(arguments)))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
