"""Training curves as numbers: each run's series over epochs, and their mean inside the range of the seeds.

Train accuracy and cross-entropy are clean: training images without augmentation and against hard labels, because that
alone can be compared with val. The loss as it was trained on (augmented, perhaps smoothed) is a series of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from snellen.metrics.classification import smoothing_floor
from snellen.runs.run import Run
from snellen.serialize import to_json

Rows = Sequence[Mapping[str, Any]]

OVERFIT_GAP = 0.05  # a fraction; the line at which a gap is called overfitting

_SERIES = {  # name -> key of the journal, and what it is
    "train_accuracy": ("train/accuracy", "share of training images, 2,000 at most, not augmented, that are right"),
    "val_accuracy": ("val/accuracy", "share of the val images that are right"),
    "gap": ("", "train_accuracy minus val_accuracy"),
    "train_cross_entropy": ("train/cross_entropy", "nats, the same training images, hard labels"),
    "val_cross_entropy": ("val/loss", "nats, val images, hard labels"),
    "train_loss": ("train/loss", "nats, as trained on: augmented images, smoothed labels where the recipe smooths"),
}


@dataclass(frozen=True)
class Curve:
    """One line of the picture: a run, or several seeds of one recipe.

    Attributes:
        name: for the legend.
        journals: the rows of `metrics.jsonl`, one sequence per seed.
        floor: lowest value the training loss can reach (nats), from `smoothing_floor`; None without smoothing.
    """

    name: str
    journals: tuple[Rows, ...]
    floor: float | None = None


def curve_of(name: str, runs: Sequence[Run]) -> Curve:
    """The curve of the runs of one recipe, one per seed."""
    smoothing, names = runs[0].recipe.label_smoothing, runs[0].info["data"]["class_names"]
    floor = smoothing_floor(smoothing, len(names)) if smoothing else None
    return Curve(name, tuple(run.journal.rows() for run in runs), floor)


@dataclass(frozen=True)
class Band:
    """One series over the epochs in which every seed has a value, rising: mean, lowest and highest seed of each."""

    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def band(curve: Curve, series: str) -> Band:
    """One of the series of `curves_json` over the seeds of a curve."""
    seeds = [
        {row["epoch"]: value for row in rows if (value := _value(row, series)) is not None} for rows in curve.journals
    ]
    epochs = sorted(set.intersection(*(set(seed) for seed in seeds)))
    columns = [[seed[epoch] for seed in seeds] for epoch in epochs]
    return Band(tuple(epochs), tuple(map(fmean, columns)), tuple(map(min, columns)), tuple(map(max, columns)))


def curves_json(curves: Sequence[Curve]) -> dict[str, Any]:
    """What the picture shows, as numbers: per curve its floor, each seed's series, and their mean, low and high."""
    return {
        "series": {series: words for series, (_, words) in _SERIES.items()},
        "band": "mean over seeds, lowest and highest seed",
        "curves": [
            {
                "name": curve.name,
                "seeds": len(curve.journals),
                "smoothing_floor": curve.floor,
                "bands": {series: to_json(band(curve, series)) for series in _SERIES},
                "runs": [
                    {"epochs": [row["epoch"] for row in rows]}
                    | {series: [_value(row, series) for row in rows] for series in _SERIES}
                    for rows in curve.journals
                ],
            }
            for curve in curves
        ],
    }


def _value(row: Mapping[str, Any], series: str) -> float | None:
    if series != "gap":
        return row.get(_SERIES[series][0])
    train, val = row.get("train/accuracy"), row.get("val/accuracy")
    return None if train is None or val is None else train - val
