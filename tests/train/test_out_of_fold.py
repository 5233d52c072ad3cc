"""Answers out of fold: no head knows the picture it answers, nor a copy of it; planted wrong labels come first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snellen.cli.main import main
from snellen.data.arrays import from_arrays
from snellen.data.corrections import Correction, Corrections, corrected, identity_text, read_corrections
from snellen.data.dataset import Dataset
from snellen.data.labeled_images import LabeledImages
from snellen.train import out_of_fold as room
from snellen.train.out_of_fold import doubted_labels, kept_features, nearest, out_of_fold, published_features

CLASSES = ("ant", "bee", "cat")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "snellen" / "features"


def made(count: int, seed: int = 0, side: int = 8, channels: int = 3) -> Dataset:
    """Pictures of noise in three classes."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    return from_arrays(pixels, np.array(CLASSES)[np.arange(count) % 3], name="made")


def doubled(images: LabeledImages) -> LabeledImages:
    """Each picture and a copy of it under the same label."""
    twice = np.tile(np.arange(len(images), dtype=np.int64), 2)
    return replace(images.take(twice, "all"), ids=np.arange(2 * len(images), dtype=np.int64))


def test_what_is_learned_by_heart_helps_no_answer_not_even_through_a_copy() -> None:
    images = doubled(made(121).train)  # no multiple of the folds, or places would do
    one_hot = np.tile(np.eye(121, dtype=np.float32), (2, 1))  # tells every picture apart, and says nothing of its class
    answers = out_of_fold(images, one_hot)
    assert answers.split == "all"
    assert answers.correct.mean() < 0.5


def told(images: LabeledImages, truth: np.ndarray) -> np.ndarray:
    """(N, 1200) float32 features, as many as a network's, that know the true class, in noise."""
    rng = np.random.default_rng(2)
    features = rng.normal(size=(len(images), 1200)) + np.tile(np.eye(3)[truth], 400)
    return features.astype(np.float32)


@pytest.fixture
def flipped(monkeypatch: pytest.MonkeyPatch) -> tuple[Dataset, list[int]]:
    """300 pictures, of which 15 have a wrong label, and a network that knows better."""
    dataset = made(300)
    truth, labels = dataset.train.labels, dataset.train.labels.copy()
    wrong = np.random.default_rng(3).permutation(300)[:15]
    labels[wrong] = (labels[wrong] + 1) % 3
    features = told(dataset.train, truth)
    monkeypatch.setattr(room, "published_features", lambda images, **_: features[images.ids])
    return replace(dataset, train=replace(dataset.train, labels=labels)), wrong.tolist()


def test_planted_wrong_labels_come_first_with_what_is_right_and_what_looks_like_them(
    flipped: tuple[Dataset, list[int]],
) -> None:
    dataset, wrong = flipped
    first = doubted_labels(dataset).suspects[:15]
    assert len({each.issue.id for each in first} & set(wrong)) >= 13
    for each in (each for each in first if each.issue.id in wrong):
        assert each.issue.suggested == CLASSES[each.issue.id % 3]
        assert [label for _, label in each.nearest].count(each.issue.suggested) >= 2
        assert each.hash == identity_text(dataset.train.identities[each.issue.id])


def test_what_somebody_has_looked_at_is_not_doubted_again(flipped: tuple[Dataset, list[int]]) -> None:
    dataset, _ = flipped
    fine, changed, *others = doubted_labels(dataset).suspects
    said = Corrections(
        "mine.csv",
        (
            Correction("", fine.hash, "", fine.issue.given),
            Correction(changed.issue.name, "", "", changed.issue.suggested),
        ),
    )
    doubts = doubted_labels(corrected(dataset, said))
    again = {each.hash for each in doubts.suspects}
    assert again == {identity_text(doubts.images.identities[row]) for row in doubts.rows}
    assert not {fine.hash, changed.hash} & again
    assert len(again & {each.hash for each in others}) > 8


def test_neighbours_are_the_likest_and_never_a_copy() -> None:
    images = doubled(made(40).train)
    features = np.tile(told(made(40).train, made(40).train.labels), (2, 1))
    found = nearest(images, features, np.array([3, 5], dtype=np.int64))
    for row, others in zip((3, 5), found.tolist(), strict=True):
        assert not {row, row + 40} & set(others)
        assert all(images.labels[other] == images.labels[row] for other in others)


@pytest.mark.parametrize(("side", "channels"), [(40, 1), (260, 3)])
def test_features_are_made_of_pictures_of_any_size_and_of_grey_ones(side: int, channels: int) -> None:
    seen: list[int] = []
    features = published_features(made(35, side=side, channels=channels).train, device="cpu", progress=seen.append)
    assert features.shape == (35, 1280)
    assert np.isfinite(features).all()
    assert seen == [32, 35]


def test_a_long_picture_is_enlarged_where_its_shorter_side_is_too_small() -> None:
    one_colour = [np.full((1, *shape, 3), 90, dtype=np.uint8) for shape in ((260, 40), (40, 260), (64, 64))]
    tall, wide, square = (
        published_features(from_arrays(pixels, [0], class_names=["a"]).train, device="cpu") for pixels in one_colour
    )
    np.testing.assert_allclose(tall, square, atol=1e-5)
    np.testing.assert_allclose(wide, square, atol=1e-5)


def test_features_are_made_once_for_each_picture_whatever_its_label_or_its_place(
    monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    asked: list[list[int]] = []

    def features_of(images: LabeledImages, **_: object) -> np.ndarray:
        asked.append(images.ids.tolist())
        return np.tile(images.ids[:, None].astype(np.float32), 4)

    monkeypatch.setattr(room, "published_features", features_of)
    images = made(30).train
    kept_features(images.take(np.arange(20, dtype=np.int64), "all"))
    again = images.take(np.arange(29, 3, -1, dtype=np.int64), "all")
    found = kept_features(replace(again, labels=(again.labels + 1) % 3))
    assert asked == [list(range(20)), list(range(29, 19, -1))]
    assert np.array_equal(found[:, 0], again.ids)
    assert np.array_equal(kept_features(again), found)
    (file,) = own_cache.iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    assert np.array_equal(kept_features(again), found)
    assert asked[2:] == [again.ids.tolist()]


def test_how_far_it_is_and_where_it_computes_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, told, devices = made(30), [], []

    def features_of(images: LabeledImages, *, device: str, progress: Any) -> np.ndarray:
        devices.append(device)
        progress(len(images))
        return np.tile(images.ids[:, None].astype(np.float32), 4)

    monkeypatch.setattr(room, "published_features", features_of)
    kept_features(dataset.train.take(np.arange(12, dtype=np.int64), "all"), device="cpu")
    doubted_labels(dataset, device="cpu", progress=told.append)
    assert (devices, told) == (["cpu", "cpu"], [30])  # 12 were known, 18 are new


def test_features_that_are_too_many_are_not_kept(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    monkeypatch.setattr(room, "published_features", lambda images, **_: np.zeros((len(images), 4), dtype=np.float32))
    for most, files in ((30 * 16 - 1, 0), (30 * 16, 1)):
        monkeypatch.setattr(room, "_MOST_KEPT", most)
        kept_features(made(30).train)
        assert len(list(own_cache.glob("*"))) == files


def test_of_a_tiny_set_all_others_are_the_nearest() -> None:
    images, features = made(2).train, np.eye(2, dtype=np.float32)
    assert nearest(images, features, np.array([0, 1], dtype=np.int64))[:, 0].tolist() == [1, 0]
    assert nearest(images, features, np.zeros(0, dtype=np.int64)).shape == (0, 2)


def test_a_table_of_suggestions_changes_nothing_until_it_is_filled_in(
    flipped: tuple[Dataset, list[int]], monkeypatch: pytest.MonkeyPatch, tmp_path, capsys: pytest.CaptureFixture[str]
) -> None:
    from snellen.data import catalog

    dataset, _ = flipped
    monkeypatch.setitem(catalog._LOADERS, "eyechart", lambda data, download, progress: dataset)
    table = tmp_path / "corrections.csv"
    assert main(["doctor", "eyechart", "--labels", "--csv", str(table)]) == 0
    count = len(doubted_labels(dataset).suspects)
    out = capsys.readouterr().out
    assert f"labels   {count} of 300 in train and val are doubted" in out
    assert "snellen train eyechart --corrections" in out
    suggestions = read_corrections(table)
    assert (suggestions.rows, suggestions.open_rows) == ((), count)
    assert corrected(dataset, suggestions).train.fingerprint == dataset.train.fingerprint
    lines = table.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "file,hash,old,new,why,suggested"
    suggested = lines[1].rpartition(",")[2]
    table.write_text("\n".join([lines[0], lines[1].replace(",,", f",{suggested},", 1), *lines[2:]]), encoding="utf-8")
    mended = corrected(dataset, read_corrections(table)).train
    (at,) = np.flatnonzero(mended.labels != dataset.train.labels)
    assert CLASSES[mended.labels[at]] == suggested
