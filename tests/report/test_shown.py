"""Which pictures of a split go into a page: those that were graded, as many as there is room for."""

from __future__ import annotations

import base64
import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from snellen.data.labeled_images import LabeledImages
from snellen.errors import DataError
from snellen.predict.predictions import Predictions
from snellen.report import shown
from snellen.report.shown import Shown, answered, shown_doubts, shown_split
from snellen.train.out_of_fold import Doubts

NO_LEDGERS: Any = (None, None)
RUNS = cast(Any, (SimpleNamespace(folder="runs/a"), SimpleNamespace(folder="runs/b")))


def answers_to(images: LabeledImages) -> Predictions:
    """Some answers, most of them right."""
    logits = np.random.default_rng(4).normal(size=(len(images), images.num_classes)).astype(np.float32)
    logits[np.arange(len(images)), images.labels] += 2
    return Predictions.of(dataclasses.replace(images, role="val"), logits)


def test_pictures_are_those_of_the_first_run_that_answered_and_other_ones_are_refused(
    few_images: LabeledImages,
) -> None:
    images = cast(Any, (SimpleNamespace(val=None), SimpleNamespace(val=few_images)))
    answers = answers_to(few_images)
    found = shown_split("val", images, {1: answers}, RUNS, NO_LEDGERS)
    assert found.images is few_images
    assert found.rows.tolist() == list(range(60))
    both = cast(Any, (images[1], images[1]))
    for other in ({"ids": answers.ids[::-1].copy()}, {"labels": (answers.labels + 1) % 3}):
        by_run = {0: answers, 1: dataclasses.replace(answers, **cast(Any, other))}
        with pytest.raises(DataError, match="^runs/b: its val predictions are not of these pictures of few"):
            shown_split("val", both, by_run, RUNS, NO_LEDGERS)


def test_as_many_go_into_a_file_as_their_bytes_allow_and_a_viewer_has_all(
    few_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Shown(few_images, np.arange(60)).sprite().bytes
    images = cast(Any, (SimpleNamespace(val=few_images),))
    for part, count in ((whole // 3, 20), (0, 1), (2 * whole, 60)):
        monkeypatch.setattr(shown, "_BYTES", part)
        found = shown_split("val", images, {0: answers_to(few_images)}, RUNS[:1], NO_LEDGERS[:1])
        assert len(found.rows) == pytest.approx(count, abs=1)
        assert found.most is None
    monkeypatch.setattr(shown, "_BYTES", whole // 3)
    monkeypatch.setattr(shown, "_SAMPLE", 5)  # a few tell of all
    few = shown_split("val", images, {0: answers_to(few_images)}, RUNS[:1], NO_LEDGERS[:1])
    assert len(few.rows) == pytest.approx(20, abs=2)
    found = shown_split("val", images, {0: answers_to(few_images)}, RUNS[:1], NO_LEDGERS[:1], every=True)
    assert (len(found.rows), found.most) == (60, 894)  # the root of 48 million pixels by 60


def test_what_is_said_of_each_picture_is_of_its_row(few_images: LabeledImages) -> None:
    rows = np.array([3, 50])
    plain = Shown(few_images, rows)
    assert plain.names_of_files() == {}
    assert plain.to_json()["names"] is None
    files = dataclasses.replace(few_images, ids=few_images.ids[::-1].copy(), files=tuple(f"{n}.png" for n in range(60)))
    assert Shown(files, rows).names_of_files() == {56: "56.png", 9: "9.png"}
    told = Shown(files, rows).to_json()
    assert told["names"] == ["56.png", "9.png"]
    numbers = [
        np.frombuffer(base64.b64decode(told[key]["data"]), dtype=f"<{told[key]['type']}").tolist()
        for key in ("ids", "labels")
    ]
    assert numbers == [[56, 9], [0, 2]]


def test_answers_are_those_that_there_are_and_those_on_test_only_beside_their_look(
    few_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = {("a", "val"): "a on val", ("b", "val"): None, ("a", "test"): "a on test", ("b", "test"): "b on test"}
    monkeypatch.setattr(shown, "stored_predictions", lambda run, split: stored[run, split])
    monkeypatch.setattr(shown, "graded_on_test", lambda run, ledger: ledger == "knows it")
    found = answered(cast(Any, ["a", "b"]), cast(Any, ["does not", "knows it"]))
    assert found == {"val": {0: "a on val"}, "test": {1: "b on test"}}
    assert answered(cast(Any, ["b"]), cast(Any, ["does not"])) == {}


def test_the_most_doubted_that_fit_stand_in_the_order_of_the_data_beside_what_is_most_like_each(
    few_images: LabeledImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.array([40, 7, 25, 50, 12])
    doubts = Doubts(few_images, answers_to(few_images), rows, np.stack([rows + 1, rows - 5, rows + 1], axis=1), ())
    monkeypatch.setattr(shown, "_room", lambda images, count, *, every: (3, None))
    found, content, sheets = shown_doubts(doubts)
    assert found.rows.tolist() == [7, 25, 40]
    used = [2, 8, 20, 26, 35, 41]
    assert sheets["alike"].count == len(used)
    assert content["alike"] == [
        [[used.index(row), few_images.labels[row]] for row in (own + 1, own - 5, own + 1)] for own in (7, 25, 40)
    ]
    assert (content["found"], content["of"]) == (5, 60)
