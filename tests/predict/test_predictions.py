"""Predictions files from anywhere: only the arrays expected, of one shape and of the classes named; nothing is run."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fuzz.harness import watched

from snellen.data.dataset import Dataset
from snellen.errors import RunError
from snellen.paths import visible
from snellen.predict.predictions import Predictions, softmax, stored_predictions
from snellen.recipes.recipe import Recipe
from snellen.runs.run import create_run

ABOUT = {"class_names": ["a", "b", "c"], "split": "val", "tta": "flip", "data": "d"}
WHOLE: dict[str, Any] = {
    "about": np.frombuffer(json.dumps(ABOUT).encode(), dtype=np.uint8),
    "logits": np.arange(12, dtype=np.float32).reshape(4, 3),
    "tta_logits": np.ones((4, 3), dtype=np.float32),
    "labels": np.array([0, 1, 2, -1]),
    "ids": np.arange(4),
    "names": np.array(["a/1.png", "a/2.png", "b/ä.png", "c/1.png"]),
    "identities": np.array([5, 6, 7, 2**64 - 1], dtype=np.uint64),
}


def packed(arrays: dict[str, Any], *, pickled: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=pickled, **arrays)
    return buffer.getvalue()


def about(**changes: Any) -> dict[str, Any]:
    return {"about": np.frombuffer(json.dumps({**ABOUT, **changes}).encode(), dtype=np.uint8)}


def refusal(content: bytes, folder: Path) -> str:
    """The sentence with which a predictions file of this content is refused."""
    path = folder / "predictions_val.npz"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"is not a readable predictions file") as refused, watched(folder):
        Predictions.load(path)
    assert len(str(refused.value)) < 600
    return str(refused.value)


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "whole.npz").write_bytes(packed(WHOLE))
    stored = Predictions.load(tmp_path / "whole.npz")
    np.testing.assert_array_equal(stored.logits, WHOLE["logits"])
    assert (stored.names, stored.identities.tolist()) == (tuple(WHOLE["names"]), WHOLE["identities"].tolist())
    stored.save(tmp_path / "again.npz")
    again = Predictions.load(tmp_path / "again.npz").take(np.array([3, 1]))
    assert (again.names, again.identities.tolist()) == (("c/1.png", "a/2.png"), [2**64 - 1, 6])
    assert again.ids.tolist() == [3, 1]
    stored.logits[:] = 0  # as before: the reader of a file may change what it read


def test_the_table_has_a_row_for_each_image_in_every_column(tmp_path: Path) -> None:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.3, 0.5], [0.25, 0.5, 0.25]], dtype=np.float32))
    (tmp_path / "whole.npz").write_bytes(packed(WHOLE | {"logits": logits}))
    table = Predictions.load(tmp_path / "whole.npz").columns()
    assert {name: np.asarray(column).tolist() for name, column in table.items()} == {
        "name": list(WHOLE["names"]),
        "id": [0, 1, 2, 3],
        "split": ["val"] * 4,
        "label": ["a", "b", "c", None],
        "predicted": ["a", "c", "c", "b"],
        "correct": [True, False, True, None],
        "confidence": pytest.approx([0.7, 0.6, 0.5, 0.5]),
        "p(a)": pytest.approx([0.7, 0.1, 0.2, 0.25]),
        "p(b)": pytest.approx([0.2, 0.3, 0.3, 0.5]),
        "p(c)": pytest.approx([0.1, 0.6, 0.5, 0.25]),
    }


def test_probabilities_are_those_of_the_logits_however_large_they_are() -> None:
    logits = np.array([[0.0, 1000.0, -1000.0], [np.log(2), np.log(3), np.log(5)]], dtype=np.float32)
    np.testing.assert_allclose(softmax(logits), [[0, 1, 0], [0.2, 0.3, 0.5]], atol=1e-7)


def test_answers_to_pictures_have_their_names_and_identities(tiny_dataset: Dataset) -> None:
    images = replace(tiny_dataset.train.take(np.array([4, 2]), "val"), files=tuple(f"{at}.png" for at in range(300)))
    found = Predictions.of(
        images, np.eye(10, dtype=np.float32)[:2], tta="flip", tta_logits=np.zeros((2, 10), np.float32)
    )
    assert (found.names, found.split, found.data, found.tta) == (images.names, "val", "eyechart", "flip")
    assert found.names == ("4.png", "2.png")
    for own, theirs in ((found.identities, images.identities), (found.ids, [4, 2]), (found.labels, images.labels)):
        np.testing.assert_array_equal(own, theirs)
    assert found.tta_logits is not None
    assert replace(found, identities=None).take(np.array([1])).identities is None


def test_whatever_is_written_comes_back(tmp_path: Path) -> None:
    (tmp_path / "whole.npz").write_bytes(packed(WHOLE | about(best_of=7)))
    stored = Predictions.load(tmp_path / "whole.npz")
    assert (stored.class_names, stored.split, stored.tta, stored.data, stored.best_of) == (
        ("a", "b", "c"),
        "val",
        "flip",
        "d",
        7,
    )
    stored.save(tmp_path / "again.npz")
    again = Predictions.load(tmp_path / "again.npz")
    for field in dataclasses.fields(Predictions):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(stored, field.name))


def test_averaged_answers_take_the_place_of_the_plain_ones(tmp_path: Path) -> None:
    (tmp_path / "whole.npz").write_bytes(packed(WHOLE))
    stored = Predictions.load(tmp_path / "whole.npz")
    averaged = stored.with_tta()
    np.testing.assert_array_equal(averaged.logits, WHOLE["tta_logits"])
    assert averaged.tta_logits is None
    assert averaged.with_tta() is averaged


def test_it_says_what_it_is_and_how_much_of_what_is_known_is_right(tmp_path: Path) -> None:
    (tmp_path / "whole.npz").write_bytes(packed(WHOLE))
    stored = Predictions.load(tmp_path / "whole.npz")  # the largest logit is always that of c
    assert repr(stored) == "<Predictions: 4 val images of d, 3 classes, 1 of 3 right>"
    asked = replace(stored, labels=np.full(4, -1), split="new", data="")
    assert repr(asked) == "<Predictions: 4 new images, 3 classes>"


def test_of_every_column_the_same_rows_are_taken(tmp_path: Path) -> None:
    whole = WHOLE | {"tta_logits": np.arange(100, 112, dtype=np.float32).reshape(4, 3)}
    (tmp_path / "whole.npz").write_bytes(packed(whole))
    stored = Predictions.load(tmp_path / "whole.npz")
    rows = [3, 1, 1]
    taken, columns = stored.take(np.array(rows)), 0
    for field in dataclasses.fields(Predictions):
        before, after = getattr(stored, field.name), getattr(taken, field.name)
        if len(np.atleast_1d(before)) == len(stored):  # a column, also one that is added some day
            columns += 1
            np.testing.assert_array_equal(after, np.asarray(before)[rows])
        else:
            assert after == before
    assert columns == 6
    assert dataclasses.replace(stored, tta_logits=None).take(np.array(rows)).tta_logits is None


def test_names_as_folders_are_listed_come_back(tmp_path: Path) -> None:
    names = np.array([visible(name) for name in ("👩\u200d🔬/1.png", "東京\u3000タワー.png", "\x1b[2J\n", "caf\udce9")])
    (tmp_path / "named.npz").write_bytes(packed({**WHOLE, "names": names}))
    assert Predictions.load(tmp_path / "named.npz").names == tuple(names)


def test_a_file_of_an_older_version_has_numbers_for_names_and_no_identities(tmp_path: Path) -> None:
    older = {name: values for name, values in WHOLE.items() if name not in ("names", "identities")}
    (tmp_path / "older.npz").write_bytes(packed(older))
    stored = Predictions.load(tmp_path / "older.npz")
    assert (stored.names, stored.identities) == (("#0", "#1", "#2", "#3"), None)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"names": np.array(["a/1.png"])}, "one label, id and name"),
        ({"names": np.arange(4)}, "name cannot be printed"),
        ({"names": np.array(["a/1.png", "a/2.png", "b/3.png", "\x1b[2J"])}, "name cannot be printed"),
        ({"identities": np.array([1, 2, 3], dtype=np.uint64)}, "one identity per row"),
        ({"logits": np.zeros((4, 3))}, "logits is of float64; it must be float32"),
        ({"logits": np.zeros(4, dtype=np.float32)}, "not enough values"),
        ({"logits": np.zeros((4, 2), dtype=np.float32)}, "one name per logit"),
        (
            {
                "logits": WHOLE["logits"][:, :1],
                "tta_logits": WHOLE["logits"][:, :1],
                "labels": np.zeros(4, dtype=np.int64),
            }
            | about(class_names=["a"]),
            "fewer than two classes",
        ),
        ({"labels": np.array(["a", "b", "c", "d"])}, "labels is of <U1"),
        ({"labels": np.zeros((4, 1), dtype=np.int64)}, "not one row"),
        ({"labels": np.array([0, 1, 2, 3])}, "a label is of no class"),
        ({"labels": np.array([0, 1, 2, -2])}, "a label is of no class"),
        ({"labels": np.arange(3)}, "one label, id and name"),
        ({"ids": np.zeros((4, 4), dtype=np.int64)}, "not one row"),
        ({"tta_logits": np.ones((4, 2), dtype=np.float32)}, "of another shape"),
        ({"tta_logits": np.ones((4, 3), dtype=np.complex64)}, "tta_logits is of complex64"),
        (about(class_names="abc"), "no list"),
        (about(class_names=["a", "b", 3]), "no text"),
        (about(split=None), "no text"),
        (about(data=["d"]), "no text"),
        ({"about": np.frombuffer(b"[" * 100_000, dtype=np.uint8)}, "recursion|deep"),
        ({"about": np.frombuffer(b"[]", dtype=np.uint8)}, "indices"),
        ({"about": np.frombuffer(b"\xff", dtype=np.uint8)}, "decode"),
        ({"labels": np.array([("a", 1)], dtype="U1,i4")}, "labels is of"),
        ({"ids": np.array([1, 2, 3, 4], dtype="M8[s]")}, "ids is of datetime64"),
    ],
)
def test_an_array_of_another_kind_or_shape_is_named(changes: dict[str, Any], why: str, tmp_path: Path) -> None:
    sentence = refusal(packed({**WHOLE, **changes}), tmp_path)
    assert any(each in sentence for each in why.split("|")), sentence


def held(tmp_path: Path, tiny_recipe: Recipe, **changes: Any) -> Any:
    """What is stored of a run that answered WHOLE, 1 of 4 right, once something of it is changed."""
    info = {"final": False, "data": {"class_names": ["a", "b", "c"]}, "val": {"accuracy": {"hits": 1, "n": 4}}}
    stored = changes.pop("stored", WHOLE)
    run = create_run(tmp_path, "run", tiny_recipe, {**info, **changes}, {})
    if stored is not None:
        (run.folder / "predictions_val.npz").write_bytes(packed(stored))
    return stored_predictions(run, "val")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, 4),
        ({"val": {}}, 4),
        ({"stored": None}, None),
        ({"final": True}, None),
        ({"stored": None, "final": True}, None),
    ],
)
def test_what_a_run_left_is_there_but_not_of_a_final_training(
    tmp_path: Path, tiny_recipe: Recipe, changes: dict[str, Any], found: int | None
) -> None:
    answers = held(tmp_path, tiny_recipe, **changes)
    assert found == (None if answers is None else len(answers))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"stored": WHOLE | about(split="test")}, "its split or its classes are not those"),
        ({"data": {"class_names": ["a", "b", "d"]}}, "its split or its classes are not those"),
        (
            {"stored": WHOLE | {"logits": np.array([[0, 0, 1]] * 3 + [[0, 0, np.inf]], np.float32)}},
            "its logits are no finite numbers",
        ),
        ({"val": {"accuracy": {"hits": 2, "n": 4}}}, "it has 1 of 4 right, where run.json says 2 of 4"),
        ({"val": {"accuracy": {"hits": 1, "n": 5}}}, "it has 1 of 4 right, where run.json says 1 of 5"),
    ],
)
def test_what_another_run_left_is_refused(
    tmp_path: Path, tiny_recipe: Recipe, changes: dict[str, Any], fault: str
) -> None:
    with pytest.raises(RunError, match=f"is not what this run answered: {fault}"):
        held(tmp_path, tiny_recipe, **changes)


def test_a_final_training_may_still_have_answers_to_test(tmp_path: Path, tiny_recipe: Recipe) -> None:
    run = create_run(tmp_path, "run", tiny_recipe, {"final": True, "data": {"class_names": ["a", "b", "c"]}}, {})
    (run.folder / "predictions_test.npz").write_bytes(packed(WHOLE | about(split="test")))
    answers = stored_predictions(run, "test")
    assert answers is not None
    assert answers.split == "test"


@pytest.mark.parametrize("best", [0, 10_001, 1.0, True, "1"])
def test_the_best_of_no_number_of_epochs_is_refused(tmp_path: Path, best: object) -> None:
    assert "no number of epochs" in refusal(packed(WHOLE | about(best_of=best)), tmp_path)
    for number in (1, 10_000):
        (tmp_path / "whole.npz").write_bytes(packed(WHOLE | about(best_of=number)))
        assert Predictions.load(tmp_path / "whole.npz").best_of == number


@pytest.mark.parametrize("name", ["about", "logits", "labels", "ids"])
def test_a_missing_array_is_named(name: str, tmp_path: Path) -> None:
    assert name in refusal(packed({key: value for key, value in WHOLE.items() if key != name}), tmp_path)


@pytest.mark.parametrize("name", WHOLE)
def test_an_array_of_objects_is_refused_and_its_pickle_is_not_run(name: str, tmp_path: Path) -> None:
    class Calls:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "canary"),)

    assert "object" in refusal(packed({**WHOLE, name: np.array([Calls()], dtype=object)}, pickled=True), tmp_path)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("cut", [0, 1, 100, 600, -30, -1])
def test_a_cut_file_is_refused(cut: int, tmp_path: Path) -> None:
    refusal(packed(WHOLE)[:cut], tmp_path)
