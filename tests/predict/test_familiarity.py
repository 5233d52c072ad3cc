"""How far a picture is from the training pictures, and what is said of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from snellen.data.dataset import Dataset
from snellen.data.splits import split
from snellen.errors import RunError
from snellen.models.weights import restore
from snellen.predict.familiarity import (
    FILE,
    Familiarity,
    direction,
    features_of,
    measure_familiarity,
    some_of_each,
    stored_familiarity,
)
from snellen.predict.own_pictures import answer
from snellen.predict.predict import predict
from snellen.runs.run import Run


def of_val(count: int) -> Familiarity:
    """Val at the distances 1/count, 2/count, … 1."""
    return Familiarity(np.eye(3, dtype=np.float16), (np.arange(1, count + 1) / count).astype(np.float32))


def test_the_distance_is_that_to_the_fifth_nearest_by_fourth_roots() -> None:
    draw = np.random.default_rng(0)
    known, asked = draw.random((40, 8)).astype(np.float32), draw.normal(size=(6, 8)).astype(np.float32)

    def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        roots = np.sign(rows) * np.abs(rows) ** 0.25
        return np.asarray(roots / np.linalg.norm(roots, axis=1, keepdims=True), dtype=np.float32)

    by_hand = np.sort(1 - unit(asked) @ unit(known).T, axis=1)[:, 4]
    stored = direction(torch.from_numpy(known)).numpy().astype(np.float16)
    found = Familiarity(stored, np.zeros(1, dtype=np.float32)).distances(asked)
    assert found == pytest.approx(by_hand, abs=2e-3)  # half precision


def test_features_that_are_all_zero_have_a_distance() -> None:
    assert of_val(30).distances(np.zeros((1, 3), dtype=np.float32)) == pytest.approx([1.0])


@pytest.mark.parametrize(
    ("count", "rank", "chance"), [(30, 30, 1 / 31), (98, 98, 1 / 99), (99, 99, 0.01), (999, 990, 0.01)]
)
def test_one_in_a_hundred_is_called_unfamiliar_where_val_can_say_so(count: int, rank: int, chance: float) -> None:
    familiarity = of_val(count)
    assert familiarity.threshold == pytest.approx(rank / count)
    assert familiarity.chance == pytest.approx(chance)


def test_new_pictures_like_those_of_val_are_called_unfamiliar_as_rarely_as_is_said() -> None:
    draw = np.random.default_rng(0)
    for count in (30, 150, 1000):
        called = []
        for _ in range(2000):
            sample = draw.normal(size=count + 1).astype(np.float32)
            familiarity = Familiarity(np.eye(3, dtype=np.float16), np.sort(sample[:-1]))
            called.append(bool(sample[-1] > familiarity.threshold))
        expected = familiarity.chance
        assert np.mean(called) <= expected + 3 * np.sqrt(expected / len(called))


def test_what_is_said_holds_on_val() -> None:
    familiarity = of_val(200)
    told = [familiarity.told(each)["unfamiliar"] for each in (familiarity.threshold, familiarity.threshold + 1e-6)]
    assert told == [False, True]  # beyond the threshold, not at it
    assert familiarity.told(0.25)["distance"] == 0.25
    assert familiarity.told(0.5)["words"] == ""
    assert familiarity.told(0.5)["farther_than"] == 99 / 200
    assert familiarity.told(0.9999)["words"].endswith("farther from them than 99.5 % of the 200 val pictures")
    assert familiarity.told(1.5)["words"].endswith("farther from them than all 200 val pictures")


def test_a_run_has_it_and_answers_with_it(finished_run: Run, tiny_dataset: Dataset) -> None:
    familiarity, parts = stored_familiarity(finished_run), split(tiny_dataset)
    assert familiarity is not None
    assert parts.val is not None
    model = restore(finished_run)
    assert familiarity.known.shape == (270, 8)
    names = tiny_dataset.train.class_names
    for tta in ("none", "flip"):  # judged by the plain view, whatever is averaged
        answers, told = answer(model, list(parts.val.images), names, tta, familiarity)
        distances = np.sort([each["distance"] for each in told if each])
        assert distances == pytest.approx(familiarity.val, abs=1e-5)
        assert not any(each and each["unfamiliar"] for each in told)
    assert np.array_equal(answers.logits, predict(model, parts.val, tta="flip").with_tta().logits)


def test_the_choice_is_by_seed_and_the_same_of_every_class(finished_run: Run, tiny_dataset: Dataset) -> None:
    model, parts = restore(finished_run), split(tiny_dataset)
    assert parts.val is not None
    many = parts.train.take(np.tile(np.arange(len(parts.train)), 4), role="train")
    of_val = features_of(model, parts.val, bf16=False)
    first, again, other = (measure_familiarity(model, many, of_val, seed=seed, bf16=False) for seed in (0, 0, 1))
    assert first is not None
    assert again is not None
    assert other is not None
    assert len(first.known) == 64 * 10
    assert np.array_equal(first.known, again.known)
    assert not np.array_equal(first.known, other.known)


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [([100, 70, 10], [64, 64, 10]), ([30] * 100, [20] * 100), ([9, 40] * 20, [9, 40] * 20), ([2] * 2_100, [1] * 2_100)],
)
def test_of_each_class_as_many_are_kept_as_of_the_others_and_2000_in_all_but_one_of_each(
    sizes: list[int], kept: list[int]
) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    positions = some_of_each(labels, seed=0)
    assert np.array_equal(positions, np.unique(positions))
    assert np.bincount(labels[positions]).tolist() == kept


def test_few_val_pictures_say_nothing(finished_run: Run, tiny_dataset: Dataset) -> None:
    parts = split(tiny_dataset)
    assert parts.val is not None
    few = np.random.default_rng(0).random((20, 8), dtype=np.float32)
    model = restore(finished_run)
    assert measure_familiarity(model, parts.train, few[:19], seed=0, bf16=False) is None
    exact, rough = (measure_familiarity(model, parts.train, few, seed=0, bf16=bf16) for bf16 in (False, True))
    assert exact is not None
    assert rough is not None
    assert len(exact.val) == 20
    assert 0 < np.abs(exact.known - rough.known).max() < 0.05  # asked as the grading ran


def test_a_network_without_a_linear_layer_has_none(finished_run: Run, tiny_dataset: Dataset) -> None:
    model, parts = restore(finished_run), split(tiny_dataset)
    assert parts.val is not None
    model.net = torch.nn.Sequential(torch.nn.Conv2d(3, 10, 32), torch.nn.Flatten())
    of_val = features_of(model, parts.val, bf16=False)
    assert of_val.shape == (0, 0)
    assert measure_familiarity(model, parts.train, of_val, seed=0, bf16=False) is None


def test_a_run_without_the_file_answers_without_it(own_run: Run) -> None:
    (own_run.folder / FILE).unlink()
    assert stored_familiarity(own_run) is None


def test_a_broken_file_is_one_sentence(own_run: Run) -> None:
    (own_run.folder / FILE).write_bytes(b"no tensors")
    with pytest.raises(RunError, match="is not readable .* Delete it"):
        stored_familiarity(own_run)
    familiarity = of_val(30)
    replace(familiarity, known=familiarity.known * np.float16("nan")).save(own_run)
    with pytest.raises(RunError, match="not what was written"):
        stored_familiarity(own_run)
    familiarity.save(own_run)
    with pytest.raises(RunError, match="of another|on another network"):
        stored = stored_familiarity(own_run)
        assert stored
        stored.distances(np.zeros((2, 8), dtype=np.float32))
