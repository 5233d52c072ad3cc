"""A user's own pictures: named, in order, and a broken one does not cost the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from snellen.data.dataset import Dataset
from snellen.data.pictures import PictureForm
from snellen.errors import DataError, InvalidSetting, RunError
from snellen.models import device
from snellen.models.weights import restore
from snellen.predict.own_pictures import answer, most_probable, predict_pictures, read_pictures
from snellen.predict.predict import predict
from snellen.runs.run import Run


@pytest.fixture
def letters(tmp_path: Path, tiny_dataset: Dataset) -> list[Path]:
    """Five letters of the eye chart as PNG files."""
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path, pixels in zip(paths, tiny_dataset.train.images, strict=False):
        Image.fromarray(pixels).save(path)
    return paths


def test_a_picture_of_the_data_set_gets_the_answer_it_gets_in_the_data_set(
    finished_run: Run, letters: list[Path], tiny_dataset: Dataset
) -> None:
    expected = predict(restore(finished_run), tiny_dataset.train.take(np.arange(5), "all")).probabilities
    for entry, row in zip(predict_pictures(finished_run, letters, top=10), expected, strict=True):
        shown = {answer["class"]: answer["probability"] for answer in entry["top"]}
        assert shown == pytest.approx(dict(zip(tiny_dataset.train.class_names, row, strict=True)), abs=1e-6)


def test_answers_fall_in_probability_and_keep_the_order_of_the_pictures(finished_run: Run, letters: list[Path]) -> None:
    entries = predict_pictures(finished_run, letters[::-1], top=3)
    assert [entry["picture"] for entry in entries] == [str(path) for path in letters[::-1]]
    for entry in entries:
        shares = [answer["probability"] for answer in entry["top"]]
        assert len(shares) == 3
        assert shares == sorted(shares, reverse=True)


def test_of_equally_probable_classes_the_first_are_named() -> None:
    assert most_probable(np.full(40, 1 / 40), 5) == [0, 1, 2, 3, 4]
    assert most_probable(np.tile([0.0, 0.05, 0.0, 0.0], 20), 3) == [1, 5, 9]


def test_what_is_one_picture_and_what_are_several(tiny_dataset: Dataset, letters: list[Path]) -> None:
    some = tiny_dataset.train.take(np.array([3, 1]), "all")
    first, second = some.images
    content = letters[3].read_bytes()
    with letters[3].open("rb") as file, Image.open(letters[3]) as opened:
        one: list[tuple[Any, str]] = [
            (letters[3], str(letters[3])), (str(letters[3]), str(letters[3])), (first, "0"), (content, "0"),
            (bytearray(content), "0"), (memoryview(content), "0"), (file, "0"), (opened, "0"),
        ]  # fmt: skip
        for picture, name in one:
            (read,) = read_pictures(picture, PictureForm(32))
            assert (read.name, read.folder) == (name, None)
            assert np.array_equal(read.pixels, first)
    several: list[Any] = [[first, second], iter([first, second]), np.stack([first, second]), some]
    for pictures, names in zip(several, [["0", "1"]] * 3 + [["3", "1"]], strict=True):
        found = read_pictures(pictures, PictureForm(32))
        assert [each.name for each in found] == names
        assert all(np.array_equal(each.pixels, pixels) for each, pixels in zip(found, (first, second), strict=True))
    with pytest.raises(DataError, match="There is no picture"):
        read_pictures([], PictureForm(32))


def test_more_classes_than_there_are_means_all(finished_run: Run, letters: list[Path]) -> None:
    (entry,) = predict_pictures(finished_run, letters[:1], top=99)
    assert len(entry["top"]) == 10
    assert sum(answer["probability"] for answer in entry["top"]) == pytest.approx(1.0)


def test_a_broken_picture_is_named_and_the_others_keep_their_own_answers(
    finished_run: Run, letters: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    mixed = [letters[0], tmp_path / "broken.png", letters[1], tmp_path / "gone.png"]
    first, broken, second, gone = predict_pictures(finished_run, mixed)
    assert "is not a picture Snellen reads" in broken["error"]
    assert "There is no picture at" in gone["error"]
    for entry, alone in zip((first, second), predict_pictures(finished_run, letters[:2]), strict=True):
        assert [answer["class"] for answer in entry["top"]] == [answer["class"] for answer in alone["top"]]


def test_without_a_readable_picture_no_model_is_needed(own_run: Run, tmp_path: Path) -> None:
    (own_run.folder / "weights.safetensors").unlink()
    (entry,) = predict_pictures(own_run, [tmp_path / "gone.png"])
    assert set(entry) == {"picture", "error"}


def test_a_run_without_weights_is_refused(own_run: Run, letters: list[Path]) -> None:
    (own_run.folder / "weights.safetensors").unlink()
    with pytest.raises(RunError, match="has no weights"):
        predict_pictures(own_run, letters)


def test_views_are_averaged_where_they_are_asked_for(finished_run: Run, letters: list[Path]) -> None:
    plain, averaged = (predict_pictures(finished_run, letters, top=10, tta=tta) for tta in (False, True))
    assert plain != averaged


@pytest.mark.parametrize("native", [True, False])
def test_a_run_that_was_graded_in_bf16_answers_in_it_where_the_device_has_it(
    own_run: Run, letters: list[Path], monkeypatch: pytest.MonkeyPatch, native: bool
) -> None:
    own_run.update_info(precision="bf16")
    monkeypatch.setattr(device, "computes_bf16", lambda where: native)
    pixels = [
        each.pixels
        for each in read_pictures(letters, PictureForm.of_run(own_run.info["data"]))
        if each.pixels is not None
    ]
    names = tuple(own_run.info["data"]["class_names"])
    wanted, _ = answer(restore(own_run), pixels, names, bf16=native)
    found = [row["top"][0]["probability"] for row in predict_pictures(own_run, letters, top=1)]
    assert found == wanted.probabilities.max(axis=1).tolist()
    assert found != answer(restore(own_run), pixels, names, bf16=not native)[0].probabilities.max(axis=1).tolist()


def test_views_of_a_recipe_that_has_none_are_refused(own_run: Run, letters: list[Path]) -> None:
    own_run.write("recipe.json", {**own_run.read("recipe.json"), "tta": "none"})
    with pytest.raises(InvalidSetting, match="tta has no effect"):
        predict_pictures(own_run, letters, tta=True)


def test_how_a_picture_becomes_square_is_the_callers_choice(finished_run: Run, tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 96, 3), dtype=np.uint8)).save(wide)
    answers = [predict_pictures(finished_run, [wide], fit=fit)[0]["top"] for fit in ("crop", "pad", "squash")]  # type: ignore[arg-type]
    assert answers[0] != answers[1] != answers[2]


def test_a_folder_of_class_folders_is_answered_and_what_is_none_is_passed_over(
    finished_run: Run, letters: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    for number, path in enumerate(letters):
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        path.rename(folder / "ab"[number % 2] / path.name)
    for name in (".DS_Store", "._x.png", "Thumbs.db", "readme.txt"):
        (folder / name).write_bytes(b"x")
    (folder / "broken.png").write_bytes(b"x")
    entries = predict_pictures(finished_run, [folder])
    found = [str(Path(entry["picture"]).relative_to(folder)) for entry in entries]
    assert found == ["broken.png", "a/0.png", "a/2.png", "a/4.png", "b/1.png", "b/3.png"]
    assert ["error" in entry for entry in entries] == [True] + [False] * 5
