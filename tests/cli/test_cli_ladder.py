"""`snellen ladder`: one command that goes on where it stopped, and refuses what has no effect."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snellen.recipes.recipe import Recipe
from snellen.serialize import to_json
from snellen.show import figures
from snellen.train import fit as fitting

Snellen = Callable[..., Any]

SETTINGS = ("--set", "epochs=1", "batch_size=128", "widths=[4,4,4,4]", "--device", "cpu", "--precision", "fp32")


@pytest.fixture
def two_recipes(tmp_path: Path, tiny_recipe: Recipe) -> tuple[str, str]:
    """Two recipe files, without and with label smoothing."""
    for name, smoothing in (("hard", 0.0), ("soft", 0.1)):
        recipe = tiny_recipe.replace(name=name, label_smoothing=smoothing)
        (tmp_path / f"{name}.json").write_text(json.dumps(to_json(recipe)))
    return "hard.json", "soft.json"


def test_two_recipes_of_a_users_are_trained_continued_and_graded_once(
    snellen: Snellen, two_recipes: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "save_png", lambda figure, path: None)
    command = ("ladder", "eyechart", "--rungs", *two_recipes, "--seeds", 1, *SETTINGS)
    first = snellen(*command)
    assert (first.code, first.err.splitlines()[-1][:20]) == (0, "[2/2] soft, seed 0: ")
    assert "soft: label_smoothing 0 → 0.1" in first.out
    monkeypatch.setattr(fitting, "train", lambda *_: pytest.fail("a finished run was trained again"))
    found = snellen(*command, "--test", "--json").json
    assert [rung["name"] for rung in found["rungs"]] == ["hard", "soft"]
    assert (found["rungs"][1]["verdict"]["word"], found["test"]["look"]) == ("undecided", 1)
    assert found["settings"] == ["epochs=1", "batch_size=128", "widths=[4,4,4,4]"]
    folder = Path(found["folder"])
    assert json.loads((folder / "results.json").read_text()) == found
    assert (folder / "ladder.md").exists()
    assert Path("runs/ledger.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Which data? snellen ladder cifar10"),
        (("eyechart", "--preset", "lessons"), "Did you mean 'lesson'?"),
        (("eyechart", "--preset", "lesson", "--rungs", "sprint", "mlp"), "exclude each other"),
        (("eyechart", "--rungs", "sprint"), "at least two recipes, got 1"),
        (("eyechart", "--rungs", "sprint", "gone.json"), "Cannot read the recipe gone.json"),
        (("eyechart", "--seeds", "0"), "--seeds 0 is not possible"),
        (("eyechart", "--ledger", "x.jsonl"), "--ledger has no effect without --test"),
        (("eyechart", "--address", "auto"), "--address has no effect without --engine ray"),
        (("eyechart", "--recipe", "sprint"), "--recipe has no effect without --grid"),
        (("eyechart", "--grid", "epochs=1,2", "--preset", "lesson"), "--grid makes rungs of its own"),
        (("eyechart", "--grid", "epochs=1"), "a field with two values or more"),
        (("eyechart", "--set", "epoch=3"), "Did you mean 'epochs'?"),
        (("eyechart", "--set", "augment.crop_pixels=4", "augment.flip=random"), "nothing would be measured"),
        (("eyechart", "--name", "My ladder"), "--name My ladder is not possible"),
        (
            ("eyechart", "--rungs", "sprint", "small_cnn", "--test"),
            "different test-time views (flip, shift for 25 % of the images)",
        ),
        (("eyecart",), "Did you mean 'eyechart'?"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(snellen: Snellen, arguments: tuple[str, ...], words: str) -> None:
    answer = snellen("ladder", *arguments)
    assert (answer.code, words in answer.sentence) == (2, True), answer.sentence
    assert not Path("runs").exists()


def test_a_grid_is_a_ladder_around_a_recipe(
    snellen: Snellen, two_recipes: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "save_png", lambda figure, path: None)
    grid = ("--recipe", two_recipes[0], "--grid", "label_smoothing=0,0.1")
    found = snellen("ladder", "eyechart", *grid, "--seeds", 1, *SETTINGS, "--json").json
    assert [rung["name"] for rung in found["rungs"]] == ["label_smoothing=0", "label_smoothing=0.1"]
    assert [rung["compared_with"] for rung in found["rungs"]] == [None, "label_smoothing=0"]


def test_train_over_seeds_is_a_ladder_of_one_rung(
    snellen: Snellen, two_recipes: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "save_png", lambda figure, path: None)
    command = ("train", "eyechart", "--recipe", two_recipes[0], "--seeds", 2, *SETTINGS)
    found = snellen(*command, "--json").json
    assert [one["run"] for rung in found["rungs"] for one in rung["seeds"]] == ["hard-s0", "hard-s1"]
    mean = found["rungs"][0]["accuracy"]
    monkeypatch.setattr(fitting, "train", lambda *_: pytest.fail("a finished run was trained again"))
    words = " ".join(snellen(*command).out.split())
    spread = "± " if mean["low"] is not None else "% (the same 2 times): the mean over seeds."
    assert f"hard: {100 * mean['mean']:.2f} {spread}" in words
    assert f"files {found['folder']}: ladder.md" in words
    refused = snellen(*command, "--seed", 3)
    assert (refused.code, "leave --seed, --budget, --folds" in refused.sentence) == (2, True)
    assert "--seeds 0 is not possible" in snellen("train", "eyechart", "--seeds", 0).sentence


def test_without_ray_the_install_line_is_said(snellen: Snellen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = snellen("ladder", "eyechart", "--engine", "ray", *SETTINGS)
    assert (answer.code, "pip install 'snellen[ray]'" in answer.sentence) == (1, True)
