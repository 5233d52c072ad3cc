"""A run that was trained with names of a file or package that is not here any more: asked all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from snellen import parts
from snellen.cli.main import main
from snellen.errors import InvalidSetting
from snellen.recipes.json_form import from_json, read_recipe, with_settings
from snellen.recipes.recipe import Recipe
from snellen.serialize import to_json

LAB = """
import snellen, torch
from torch.nn import functional

@snellen.register("transform", "same")
def same(images, *, seed):
    return images

@snellen.register("schedule", "square")
def square(done):
    return (1 - done) ** 2

@snellen.register("loss", "plain")
def plain(logits, targets):
    return functional.cross_entropy(logits, targets, reduction="none")

snellen.register("optimizer", "Steps")(type("Steps", (torch.optim.SGD,), {}))
"""
SETTINGS = ["augment.before=same", "augment.after=same", "schedule.shape=square", "loss=plain", "label_smoothing=0",
            "optimizer.kind=torch", "optimizer.name=Steps", "epochs=1"]  # fmt: skip


@pytest.mark.usefixtures("small_eyechart", "own_parts_forgotten")
def test_names_that_only_matter_for_training_hinder_nothing_else(
    tmp_path: Path, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lab.py").write_text(LAB, encoding="utf-8")
    Image.new("RGB", (32, 32)).save("x.png")
    train = ["train", "eyechart", "--recipe", "glance", "--set", "model=small_cnn", *SETTINGS]
    assert main([*train, "--code", "lab.py", "--name", "named"]) == 0
    parts._ALLOWED.clear()
    for names in parts._REGISTERED.values():
        for name in [each for each in names if each in ("same", "square", "plain", "Steps")]:
            del names[name]
    for words in (["predict", "runs/named", "x.png"], ["evaluate", "runs/named"], ["doctor", "runs/named"],
                  ["report", "runs/named"], ["export", "runs/named", "--to", "safetensors"], ["runs"],
                  ["explain", "runs/named"]):  # fmt: skip
        assert main(words) in ((0, 1) if words[0] == "doctor" else (0,)), (words, capsys.readouterr().err)
    recipe = read_recipe(Path("runs/named/recipe.json"))
    assert from_json(to_json(recipe)) == recipe
    with pytest.raises(InvalidSetting, match=r"'square' is not possible: .*--code FILE\.py"):  # to train, it is needed
        with_settings(recipe, [])
