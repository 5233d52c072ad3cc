"""Arrays as data: in memory and in an .npz file, with a test set that is sealed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snellen import serialize
from snellen.data.arrays import from_arrays, load_arrays
from snellen.data.catalog import load
from snellen.data.folder_dataset import ImageOptions
from snellen.data.labeled_images import hash_pixels
from snellen.data.listing import label_of
from snellen.errors import DataError, DataNotFound, InvalidSetting, SealError

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
LABELS = np.array(["dog", "cat", "eel"] * 4)


def test_labels_are_numbered_in_sorted_order_and_the_test_set_by_the_same_names() -> None:
    dataset = from_arrays(PIXELS[:9], LABELS[:9], test=(PIXELS[9:], LABELS[9:]))
    assert dataset.train.class_names == ("cat", "dog", "eel")
    assert dataset.train.labels.tolist() == [1, 0, 2] * 3
    assert dataset.test is not None
    assert dataset.test.count == 3
    with pytest.raises(SealError):
        len(dataset.test)
    assert dataset.test.open(lambda _: None).labels.tolist() == [1, 0, 2]
    assert dataset.test.search_copies(lambda pixels: pixels.tolist()) == PIXELS[9:].tolist()
    assert dataset.test.identities.tolist() == hash_pixels(PIXELS[9:]).tolist()
    assert dataset.test.name == "arrays"


@pytest.mark.parametrize("labels", [[10, 9, 2] * 4, np.array([10.0, 9, 2] * 4), np.array([10, 9, 2] * 4, dtype=object)])
def test_numbers_are_in_the_order_of_numbers(labels: Any) -> None:
    assert from_arrays(PIXELS, labels).train.class_names == ("2", "9", "10")


def test_another_test_set_has_another_identity() -> None:
    one, other, same = (
        from_arrays(PIXELS[:9], LABELS[:9], test=(PIXELS[at], LABELS[9:])).test
        for at in (slice(9, 12), slice(8, 11), slice(9, 12))
    )
    assert one is not None
    assert other is not None
    assert same is not None
    assert one.identity == same.identity != other.identity


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (LABELS[:, None], r"of shape \(12, 1\); it takes one label per picture"),
        (np.full(12, np.nan), "12 of 12 pictures are without a label"),
        ([1, -1] * 6, "6 of 12 pictures are without a label, the first one at 1"),
        ([{"a"}, {"b"}] * 6, "holds several values"),
        ([["a"], ["b", "c"]] * 6, "one label per picture"),
        ([None, 1] * 6, "6 of 12 pictures are without a label, the first one at 0"),
        (LABELS[:5], "12 images, 5 labels"),
        ([object(), object()] * 6, "is of type object; Snellen takes one label per picture, a name or a number"),
    ],
)
def test_labels_that_are_none_are_one_sentence(labels: Any, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        from_arrays(PIXELS, labels)


@pytest.mark.parametrize("names", [("x", "x"), ("x", " x "), ("Käfer", "Ka\u0308fer")])
def test_two_classes_of_one_name_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(DataError, match=f"arrays: two classes are called '{names[0]}'; each needs a name of its own"):
        from_arrays(PIXELS, [0, 1] * 6, class_names=names)


@pytest.mark.parametrize("labels", [[True, False] * 6, [2.0, 1.0] * 6, ["b", "a"] * 6, [0.5, 1.0] * 6])
def test_a_label_is_called_alike_from_an_array_and_from_a_cell(labels: list[Any]) -> None:
    assert set(from_arrays(PIXELS, labels).train.class_names) == {label_of(label) for label in labels}


def test_a_test_set_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="'ant' is a label of the test set and of no training image"):
        from_arrays(PIXELS, LABELS, test=(PIXELS[:1], ["ant"]))
    with pytest.raises(DataError, match=r"test images are \(4, 4, 3\), training images \(8, 8, 3\)"):
        from_arrays(PIXELS, LABELS, test=(PIXELS[:1, :4, :4], ["cat"]))


def test_a_file_holds_the_same_data_set(tmp_path: Path) -> None:
    path = tmp_path / "my arrays.npz"
    np.savez_compressed(path, images=PIXELS, labels=LABELS, class_names=["x", "y", "z"], unread=np.zeros(3))
    dataset = load(str(path))
    assert (dataset.name, dataset.source, dataset.test) == ("my-arrays", str(path), None)
    assert dataset.train.fingerprint == from_arrays(PIXELS, LABELS, class_names=("x", "y", "z")).train.fingerprint
    with pytest.raises(InvalidSetting, match="have no effect on"):
        load(str(path), options=ImageOptions(32))
    np.savez(path, images=PIXELS[:9], labels=LABELS[:9], test_images=PIXELS[9:], test_labels=LABELS[9:])
    again, named = load_arrays(path), from_arrays(PIXELS[:9], LABELS[:9], test=(PIXELS[9:], LABELS[9:]), name="mine")
    assert again.train.class_names == ("cat", "dog", "eel")
    assert load_arrays(path, "mine").name == named.name == named.train.name == "mine"
    assert again.test is not None
    assert named.test is not None
    assert again.test.identity == named.test.identity
    path.rename(tmp_path / "-….npz")
    assert load_arrays(tmp_path / "-….npz").name == "arrays"


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"images": PIXELS}, "holds images; it takes images and labels"),
        ({"labels": LABELS}, "holds labels; it takes images and labels"),
        ({"pictures": PIXELS}, "holds nothing that is read; it takes"),
        ({"images": PIXELS, "labels": LABELS, "test_images": PIXELS}, "both or neither"),
        ({"images": PIXELS, "labels": np.array([1, None] * 6, dtype=object)}, "labels is of object"),
        ({"images": PIXELS.astype(np.float32), "labels": LABELS}, "uint8"),
    ],
)
def test_a_file_that_holds_something_else_is_one_sentence(tmp_path: Path, arrays: Any, problem: str) -> None:
    np.savez(tmp_path / "arrays.npz", **arrays)
    with pytest.raises(DataError, match=problem):
        load_arrays(tmp_path / "arrays.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", b"nonsense"])
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "arrays.npz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as an .npz file"):
        load_arrays(tmp_path / "arrays.npz")
    with pytest.raises(DataNotFound, match="There is no file"):
        load_arrays(tmp_path / "nowhere.npz")


def test_a_file_that_unfolds_without_end_is_refused_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serialize, "MAX_BYTES", 10_000)
    np.savez_compressed(tmp_path / "arrays.npz", images=np.zeros((4_000, 8, 8, 3), np.uint8), labels=np.arange(4_000))
    with pytest.raises(DataError, match="unfolds to 800,"):
        load_arrays(tmp_path / "arrays.npz")
