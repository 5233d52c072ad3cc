"""Which recipe is taken where none is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import snellen
from snellen.data.default_recipe import default_recipe
from snellen.data.eyechart import make_eyechart
from snellen.errors import DataNotFound


def folder_of(root: Path, width: int, height: int, mode: str = "RGB") -> Path:
    for name in ("left", "right"):
        (root / name).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (width, height), (number * 40, 90, 20)).convert(mode).save(root / name / f"{number}.jpg")
    return root


def test_data_sets_by_name_have_their_own() -> None:
    assert default_recipe("cifar10").recipe.name == "sprint"
    assert default_recipe("eyechart") == default_recipe(make_eyechart(0, train=20, test=0))
    assert default_recipe("eyechart").recipe.name == "glance"


@pytest.mark.parametrize(
    ("mode", "width", "height", "name"),
    [("RGB", 300, 64, "transfer"), ("L", 64, 300, "transfer"), ("RGB", 32, 32, "transfer"), ("L", 63, 300, "folder")],
)
def test_only_tiny_grey_pictures_are_learned_from_nothing(
    tmp_path: Path, mode: str, width: int, height: int, name: str
) -> None:
    recipe, why = default_recipe(str(folder_of(tmp_path / "pictures", width, height, mode)))
    assert recipe.name == name
    assert f"{min(width, height)} px on the shorter side (median of 8)" in why
    assert ("and grey;" in why) == (name == "folder")


@pytest.mark.parametrize(("looked_at", "side", "of"), [(1, 30, 1), (2, 35, 2), (3, 34, 3), (8, 35, 8), (99, 35, 8)])
def test_some_pictures_are_looked_at_all_over_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_at: int, side: int, of: int
) -> None:
    monkeypatch.setattr("snellen.data.default_recipe._LOOKED_AT", looked_at)
    folder_of(tmp_path, 30, 90)
    for at, path in enumerate(sorted(tmp_path.glob("*/*.jpg"))):
        Image.new("RGB", (90, (30, 31, 34, 35, 40, 35, 50, 60)[at])).save(path)
    assert default_recipe(str(tmp_path)).why.startswith(f"{side} px on the shorter side (median of {of})")


@pytest.mark.parametrize(("few", "name", "words"), [(7, "folder", "and 8 in all;"), (8, "transfer", "taken for photo")])
def test_of_many_tiny_pictures_a_network_of_its_own_learns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few: int, name: str, words: str
) -> None:
    monkeypatch.setattr("snellen.data.default_recipe._FEW", few)
    recipe, why = default_recipe(str(folder_of(tmp_path / "pictures", 32, 32)))
    assert recipe.name == name
    assert words in why


def test_half_of_them_grey_are_in_colour(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pictures", 32, 40)
    for number in range(4):
        Image.new("L", (20, 40)).save(folder / "right" / f"{number}.jpg")
    assert default_recipe(str(folder)).recipe.name == "transfer"


def test_where_no_header_can_be_read_loading_says_what_is_wrong(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pictures", 120, 130)
    for path in folder.rglob("*.jpg"):
        path.write_bytes(b"no picture")
    assert "0 px on the shorter side (median of 0)" in default_recipe(str(folder)).why


@pytest.mark.parametrize(
    ("side", "channels", "name", "words"),
    [
        (96, 3, "transfer", "96 px a side, taken"),
        (95, 3, "folder", "95 px a side;"),
        (96, 1, "folder", "96 px a side, grey;"),
    ],
)
def test_of_a_settled_size_side_and_colour_decide_and_are_said(side: int, channels: int, name: str, words: str) -> None:
    pixels = np.zeros((20, side, side + 9, channels), dtype=np.uint8)
    recipe, why = default_recipe(snellen.from_arrays(pixels, np.arange(20) % 2))
    assert recipe.name == name
    assert why.startswith(words)


def test_an_unreadable_file_among_them_changes_nothing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pictures", 120, 130)
    (folder / "left" / "0.jpg").write_bytes(b"no picture")
    assert default_recipe(str(folder)).recipe.name == "transfer"


def test_what_is_loaded_without_a_size_is_as_large_as_its_recipe_takes_it(tmp_path: Path) -> None:
    assert snellen.load(folder_of(tmp_path / "grey", 30, 30, "L")).train.image_shape == (64, 64, 3)
    photographs = snellen.load(folder_of(tmp_path / "photographs", 200, 150))
    assert photographs.train.image_shape == (224, 224, 3)
    assert default_recipe(photographs).recipe.name == "transfer"
    small = snellen.load(tmp_path / "photographs", size=32)
    assert small.train.image_shape == (32, 32, 3)
    assert default_recipe(small).recipe.name == "folder"


@pytest.mark.parametrize(("size", "name"), [(95, "folder"), (96, "transfer")])
def test_a_size_that_is_asked_for_decides(tmp_path: Path, size: int, name: str) -> None:
    assert default_recipe(str(folder_of(tmp_path / "photographs", 200, 150)), size=size).recipe.name == name


def test_arrays_are_judged_by_their_own_size(tmp_path: Path) -> None:
    for shape, name in (((28, 28, 1), "folder"), ((128, 128, 3), "transfer")):
        np.savez(tmp_path / "some.npz", images=np.zeros((4, *shape), np.uint8), labels=np.arange(4) % 2)
        assert default_recipe(str(tmp_path / "some.npz")).recipe.name == name


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataNotFound):
        default_recipe(str(tmp_path / "nowhere"))
