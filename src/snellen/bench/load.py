"""`load`: what stands between the disk and the first batch: read, or make, then split and measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from snellen.bench.catalog import Settings
from snellen.bench.protocol import Measurement, conditions_here, time_repeatedly
from snellen.data import cifar10
from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.pixel_statistics import measure as measure_pixels
from snellen.data.splits import split
from snellen.errors import DataNotFound

_LETTERS, _QUICK_LETTERS = 50_000, 500
_REPEATS, _QUICK_REPEATS = 3, 1  # each takes seconds


def measure(settings: Settings) -> Iterator[Measurement]:
    """CIFAR-10 where it is found, and the eye chart; each read, split and measured. The test file is not read."""
    letters = _QUICK_LETTERS if settings.quick else _LETTERS
    try:
        folder = cifar10.PUBLISHED.find(settings.data)
    except DataNotFound:
        note = "CIFAR-10 was not found; snellen data info cifar10 says where it was looked for."
        figures = {"seconds": None, "images/s": None}
        yield Measurement("load", "cifar10: read and check", figures, conditions_here(), note=note)
    else:
        yield from _stations("cifar10: read and check", lambda: cifar10.read(folder), settings)
    yield from _stations("eyechart: make", lambda: make_eyechart(train=letters), settings)


def _stations(case: str, load: Callable[[], Dataset], settings: Settings) -> Iterator[Measurement]:
    dataset = load()
    name, count = case.partition(":")[0], len(dataset.train)
    yield _timed(f"{case} {count:,} images", load, count, settings)
    # A copy each time: the pictures' hashes are kept once they are known.
    yield _timed(f"{name}: split", lambda: split(replace(dataset, train=replace(dataset.train))), count, settings)
    train = split(dataset).train
    yield _timed(f"{name}: mean and std", lambda: measure_pixels(replace(train)), len(train), settings)


def _timed(case: str, work: Callable[[], object], images: int, settings: Settings) -> Measurement:
    repeats = _QUICK_REPEATS if settings.quick else _REPEATS
    # No warm-up: the first time is the one that a person waits for.
    timing = time_repeatedly(work, warmup=0, repeats=repeats, conditions=conditions_here())
    figures = {"seconds": timing.median, "images/s": images / timing.median}
    return Measurement("load", case, figures, timing.conditions, timing)
