"""`snellen data`, `snellen recipes` and `snellen demo`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from snellen.cli.data import completed
from snellen.cli.main import main
from snellen.data.dataset import Dataset
from snellen.recipes.catalog import RECIPES
from snellen.recipes.json_form import from_json
from snellen.recipes.recipe import Recipe
from snellen.runs.run import Run
from snellen.train import fit as fit_file

Snellen = Callable[..., Any]


def test_a_data_set_is_described_without_opening_its_test_half(snellen: Snellen, tmp_path: Path) -> None:
    answer = snellen("data", "info", "eyechart")
    assert (answer.code, answer.err) == (0, "")
    assert "60 images, sealed" in answer.out
    with Image.open(tmp_path / "eyechart.png") as sheet:
        sheet.verify()


def test_the_same_as_json_and_the_sheet_where_it_is_wanted(snellen: Snellen, tmp_path: Path) -> None:
    found = snellen("data", "info", "eyechart", "--sheet", "out/sheet.png", "--json").json
    assert found["splits"]["train"]["images"] == 270
    assert found["contact_sheet"] == "out/sheet.png"
    assert (tmp_path / "out" / "sheet.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("info",), 2, "Which data set? snellen data info cifar10"),
        (("info", "cifar"), 2, "Did you mean 'cifar10'?"),
        (("info", "cifar10"), 1, "cifar-10-batches-py"),
        (("info", "eyechart", "--sheet", "/dev/null/x.png"), 1, "Cannot write /dev/null/x.png"),
        (("list", "cifar10"), 2, "snellen data list takes no name"),
        (("list", "--sheet", "x.png"), 2, "--corrections and --subset belong to snellen data info"),
        (("download", "cifar10", "--sheet", "x.png"), 2, "--corrections and --subset belong to snellen data info"),
    ],
)
def test_what_cannot_be_described_is_one_sentence(
    snellen: Snellen, arguments: tuple[str, ...], code: int, words: str
) -> None:
    answer = snellen("data", *arguments)
    assert (answer.code, words in answer.sentence) == (code, True), answer


def test_the_recipes_are_listed_and_shown_in_full(snellen: Snellen) -> None:
    listed = snellen("recipes")
    assert all(name in listed.out for name in RECIPES)
    assert [from_json(entry) for entry in snellen("recipes", "--json").json] == list(RECIPES.values())
    assert from_json(snellen("recipes", "resnet18").json) == RECIPES["resnet18"]
    assert "Did you mean 'sprint'?" in snellen("recipes", "sprnt").sentence


def test_the_demo_trains_the_letters_by_their_recipe_grades_them_and_says_what_comes_next(
    snellen: Snellen, monkeypatch: pytest.MonkeyPatch, finished_run: Run
) -> None:
    asked: list[tuple[Recipe, str]] = []

    def fit(recipe: Recipe, dataset: Dataset, *_: object) -> Run:
        asked.append((recipe, dataset.name))
        return finished_run

    monkeypatch.setattr(fit_file, "fit", fit)
    answer = snellen("demo")
    assert (answer.code, asked) == (0, [(RECIPES["glance"], "eyechart")])
    assert "mixed up" in answer.out
    assert "plain, one view per image" in answer.out
    assert "next     snellen report" in answer.out
    assert "snellen train cifar10 --budget 5m" in answer.err
    assert snellen("demo", "--json").json["status"] == "finished"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ([], []),
        (["list"], ["list"]),
        (["--json"], ["--json"]),
        (["eyechart", "--json"], ["info", "eyechart", "--json"]),
        (["./birds"], ["info", "./birds"]),
        (["inof", "eyechart"], ["inof", "eyechart"]),
        (["--json", "eyechart"], ["--json", "info", "eyechart"]),
        (["--size", "32", "./birds"], ["--size", "32", "info", "./birds"]),
        (["--size=32", "./birds"], ["--size=32", "info", "./birds"]),
        (["--json", "list"], ["--json", "list"]),
        (["--data", "list"], ["--data", "list"]),
    ],
)
def test_a_data_set_named_alone_is_to_be_described(words: list[str], meant: list[str]) -> None:
    assert completed(words) == meant


def test_a_folder_that_is_called_like_an_action_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    assert completed(["lists"]) == ["info", "lists"]
    assert main(["data", "lists"]) == 1
