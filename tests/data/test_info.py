"""The description of a data set: plain values, and nothing from behind the seal."""

from __future__ import annotations

import json

from snellen.data.dataset import Dataset
from snellen.data.eyechart import make_eyechart
from snellen.data.info import describe
from snellen.data.labeled_images import LabeledImages
from snellen.data.sealed_images import SealedImages


def never() -> LabeledImages:
    raise AssertionError("the test set was opened")


def test_counts_and_statistics_survive_json_and_the_seal_stays_whole(few_images: LabeledImages) -> None:
    about = describe(
        Dataset("few", few_images, SealedImages(never, name="few", count=12, identity="made"), source="here")
    )
    assert json.loads(json.dumps(about)) == about
    assert about["image"] == {"height": 32, "width": 32, "channels": 3, "dtype": "uint8"}
    assert about["splits"] == {
        "train": {"images": 54, "per_class": {"ant": 18, "bee": 18, "cat": 18}},
        "val": {"images": 6, "per_class": {"ant": 2, "bee": 2, "cat": 2}},
        "test": {"images": 12, "per_class": "sealed"},
    }
    assert about["measured_on"] == {"role": "train+val", "images": 60}
    assert len(about["mean"]) == len(about["std"]) == 3


def test_a_data_set_without_test_images_says_so(few_images: LabeledImages) -> None:
    assert describe(Dataset("few", few_images, None, source="here"))["splits"]["test"] is None


def test_the_same_pictures_have_the_same_fingerprint() -> None:
    first, second = (describe(make_eyechart(5, train=100, test=10)) for _ in range(2))
    assert first == second
