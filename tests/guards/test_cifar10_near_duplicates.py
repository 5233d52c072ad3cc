from __future__ import annotations

import numpy as np
import pytest

from snellen.errors import DataError
from snellen.guards.cifar10_near_duplicates import (
    accuracy_without_duplicates,
    cifar10_test_duplicates,
    listed_near_duplicates,
    without_listed_duplicates,
)
from snellen.predict.predictions import Predictions

HEADER = "TestID,TrainID,Distance,Judgment\n"


def answers(correct, *, split="test", ids=None):
    labels = np.zeros(len(correct), dtype=np.int64)
    logits = np.array([[1, 0] if right else [0, 1] for right in correct], dtype=np.float32)
    ids = np.arange(len(correct)) if ids is None else np.array(ids)
    return Predictions(logits, labels, ids.astype(np.int64), ("a", "b"), split, data="cifar10")


def test_accuracy_with_and_without_near_duplicates_worked_by_hand():
    report = accuracy_without_duplicates(answers([True, True, False, True]), frozenset({0, 3, 77}))
    assert (report.all_images.hits, report.all_images.n) == (3, 4)
    assert (report.without.hits, report.without.n) == (1, 2)
    assert report.listed is not None
    assert (report.listed.hits, report.listed.n) == (2, 2)
    assert "of those 2, 2 are right" in str(report)


def test_near_duplicates_are_told_by_id_not_by_position():
    report = accuracy_without_duplicates(answers([True, False], ids=[9, 4]), frozenset({4}))
    assert (report.without.hits, report.without.n) == (1, 1)


def test_val_predictions_are_refused():
    with pytest.raises(AssertionError, match="test images"):
        accuracy_without_duplicates(answers([True], split="val"), frozenset({0}))


@pytest.mark.parametrize("place", ["", "reference", "cifar-10-batches-py"])
def test_the_list_is_found_in_and_beside_the_data(tmp_path, place):
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    (folder / "duplicates_cifar10.csv").write_text(HEADER + "5,7,0.1,1\n6,8,0.2,2\n")
    assert listed_near_duplicates(tmp_path) == {5, 6}


def test_the_list_is_found_from_the_folder_of_the_batches(tmp_path):
    batches = tmp_path / "cifar-10-batches-py"
    batches.mkdir()
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "cifair_duplicates_cifar10.csv").write_text(HEADER + "5,7,0.1,1\n")
    assert listed_near_duplicates(batches) == {5}


def test_without_a_list_nothing_is_claimed(tmp_path):
    assert listed_near_duplicates(tmp_path) is None
    assert cifar10_test_duplicates("cifar10", None, None).passed is None


@pytest.mark.parametrize(("size", "fits"), [(1_000_000, True), (1_000_001, False)])
def test_the_first_and_the_last_test_image_may_be_listed_and_a_megabyte_is_the_most(tmp_path, size, fits):
    rows = HEADER + "0,1,2,3\n9999,1,2,3\n"
    (tmp_path / "duplicates_cifar10.csv").write_text(rows + "\n" * (size - len(rows)))
    if fits:
        assert listed_near_duplicates(tmp_path) == {0, 9_999}
    else:
        with pytest.raises(DataError, match="has 1000001 bytes"):
            listed_near_duplicates(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "a,b\n1,2\n", HEADER, HEADER + "x,1,2,3\n", HEADER + "10000,1,2,3\n", HEADER + "-1,1,2,3\n", "\xff" * 20],
)
def test_a_file_that_is_not_the_list_is_refused(tmp_path, content):
    (tmp_path / "duplicates_cifar10.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError):
        listed_near_duplicates(tmp_path)


def test_what_is_known_before_and_after_the_test_set_was_opened():
    listed = frozenset({0, 1})
    before = cifar10_test_duplicates("cifar10", listed, None)
    assert (before.passed, before.severity) == (False, "note")
    assert cifar10_test_duplicates("cifar10", frozenset(range(286)), None).evidence.startswith(
        "286 of 10,000 test images (2.9 %)"
    )
    after = cifar10_test_duplicates("cifar10", listed, answers([True, True, False]))
    assert "without the 2 images" in after.evidence
    untouched = cifar10_test_duplicates("cifar10", listed, answers([True], ids=[5]))
    assert untouched.passed
    assert "none of these images has a known near-duplicate" in untouched.evidence
    assert (after.passed, after.severity) == (False, "note")
    assert cifar10_test_duplicates("eyechart", listed, None).passed is None


def test_test_answers_are_counted_without_the_listed_only_where_the_list_is_of_their_data(tmp_path, monkeypatch):
    monkeypatch.setenv("SNELLEN_DATA", str(tmp_path / "nowhere"))
    graded = [answers([True, True, False]), answers([False, True, True])]
    assert without_listed_duplicates("cifar10", graded, tmp_path) == []
    (tmp_path / "duplicates_cifar10.csv").write_text(HEADER + "0,1,2,3\n")
    assert without_listed_duplicates("eyechart", graded, tmp_path) == []
    without = [each.without for each in without_listed_duplicates("cifar10", graded, tmp_path)]
    assert [(rate.hits, rate.n) for rate in without] == [(1, 2), (2, 2)]


@pytest.mark.cifar10
def test_the_published_list_has_286_test_images(cifar10_folder):
    listed = listed_near_duplicates(cifar10_folder)
    if listed is None:
        pytest.skip("duplicates_cifar10.csv does not lie beside CIFAR-10")
    assert len(listed) == 286
