"""What there is to know about a data set without opening its test half."""

from __future__ import annotations

from typing import Any

from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.data.pixel_statistics import measure
from snellen.data.splits import split, split_final


def describe(dataset: Dataset) -> dict[str, Any]:
    """A data set as plain values, ready for JSON.

    Counts per class are given for train and val; of the sealed test set only the total is known. Mean and std are
    fractions, over all images of train and val together.

    Raises:
        BadSplit: a class is too small to be split.
    """
    parts = split(dataset)
    assert parts.val is not None
    statistics = measure(split_final(dataset).train)
    height, width, channels = dataset.train.image_shape
    return {
        "name": dataset.name,
        "source": dataset.source,
        "found": list(dataset.about),
        "image": {"height": height, "width": width, "channels": channels, "dtype": str(dataset.train.images.dtype)},
        "classes": list(dataset.train.class_names),
        "splits": {
            "train": _counted(parts.train),
            "val": _counted(parts.val),
            "test": None if dataset.test is None else {"images": dataset.test.count, "per_class": "sealed"},
        },
        "mean": list(statistics.mean),
        "std": list(statistics.std),
        "measured_on": {"role": statistics.source, "images": statistics.count},
        "fingerprint": statistics.fingerprint,
    }


def _counted(images: LabeledImages) -> dict[str, Any]:
    per_class = dict(zip(images.class_names, images.counts.tolist(), strict=True))
    return {"images": len(images), "per_class": per_class}
