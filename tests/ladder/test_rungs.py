"""Rungs: the whole difference is the diff."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from snellen.errors import InvalidSetting, UnknownName, UsageError
from snellen.ladder.rungs import (
    PRESETS,
    Rung,
    choose_ladder,
    grid,
    one_model,
    preset,
    rungs_of,
    slug,
    top_of,
    values_of,
    with_shared_settings,
)
from snellen.recipes.cifar10 import MARATHON, SMALL_CNN, SMALL_CNN_AUGMENTED, SMALL_CNN_BASELINE, SPRINT
from snellen.recipes.json_form import changes
from snellen.serialize import to_json


def fields(rungs: tuple[Rung, ...]) -> list[set[str]]:
    """Per rung, the fields in which it differs from the one it is compared with."""
    below = [None if rung.baseline is None else rungs[rung.baseline].recipe for rung in rungs]
    return [
        {change.field for change in changes(recipe, rung.recipe)} if recipe else set()
        for recipe, rung in zip(below, rungs, strict=True)
    ]


COSINE = {"schedule.shape", "schedule.per"}
CROP_AND_FLIP = {"augment.crop_pixels", "augment.flip"}
DECAY, MOMENTUM = {"optimizer.weight_decay"}, {"optimizer.momentum"}


@pytest.mark.parametrize(
    ("name", "differences"),
    [
        ("lesson", [set(), CROP_AND_FLIP, COSINE | MOMENTUM | DECAY]),
        ("lesson-split", [set(), CROP_AND_FLIP, COSINE, MOMENTUM, DECAY, COSINE | MOMENTUM | DECAY]),
        ("regularizers", [set(), CROP_AND_FLIP, {"label_smoothing"}, COSINE]),
        (
            "leave-one-out",
            [set(), {"augment.crop_pixels"}, {"augment.flip"}, {"schedule.shape"}, MOMENTUM, DECAY],
        ),
    ],
)
def test_each_preset_changes_what_it_says_and_nothing_else(name: str, differences: list[set[str]]) -> None:
    assert fields(preset(name)) == differences


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_trains_one_model_for_one_budget_in_folders_of_its_own(name: str) -> None:
    rungs = preset(name)
    assert one_model(rungs)
    assert len({(rung.recipe.epochs, rung.recipe.batch_size, rung.recipe.tta) for rung in rungs}) == 1
    assert len({rung.slug for rung in rungs}) == len({rung.recipe.name for rung in rungs}) == len(rungs)
    assert all(rung.baseline is None or rung.baseline < at for at, rung in enumerate(rungs))
    published = {recipe.name for recipe in (SMALL_CNN, SMALL_CNN_AUGMENTED, SMALL_CNN_BASELINE)}
    assert all(bool(rung.recipe.note) == (rung.recipe.name in published) for rung in rungs)


def test_a_command_line_asks_for_a_preset_or_for_recipes_of_ones_own() -> None:
    lesson, named = choose_ladder(None), choose_ladder("regularizers", settings=["epochs=3"])
    assert (lesson.title, lesson.rungs, lesson.settings) == ("lesson", with_shared_settings(preset("lesson"), ()), ())
    assert (named.title, named.settings) == ("regularizers", ("epochs=3",))
    assert named.rungs == with_shared_settings(preset("regularizers"), ["epochs=3"])
    own = choose_ladder(None, ["small_cnn_baseline", "small_cnn"])
    assert (own.title, len(own.rungs)) == ("small_cnn_baseline → small_cnn", 2)
    with pytest.raises(UsageError, match="exclude each other"):
        choose_ladder("lesson", ["small_cnn_baseline", "small_cnn"])


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'leave-one-out'"):
        preset("leave-one")


def test_a_change_is_spelled_as_set_spells_it() -> None:
    assert [str(change) for change in changes(SMALL_CNN_BASELINE, SMALL_CNN)][:2] == [
        "augment.crop_pixels 0 → 4",
        "augment.flip none → random",
    ]


def test_names_and_notes_are_no_difference() -> None:
    assert changes(SMALL_CNN, SMALL_CNN.replace(name="other", note="other", expect=None)) == ()


def test_what_is_of_another_kind_differs_as_a_whole() -> None:
    found = {change.field: (change.before, change.after) for change in changes(SMALL_CNN, SPRINT)}
    assert [one["kind"] for one in found["optimizer"]] == ["sgd", "muon"]
    assert not any(field.startswith("optimizer.") for field in found)
    said = {change.field: str(change) for change in changes(SPRINT, SMALL_CNN)}
    assert said["optimizer"] == "optimizer muon → sgd(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0005)"
    lower = SMALL_CNN.replace(optimizer=replace(SMALL_CNN.optimizer, lr=0.05))  # type: ignore[type-var]
    assert list(map(str, changes(SMALL_CNN, lower))) == ["optimizer.lr 0.1 → 0.05"]
    lookahead = {change.field for change in changes(SMALL_CNN, MARATHON)}
    assert lookahead & {"average", "average.after"}


def test_settings_reach_every_rung() -> None:
    rungs = with_shared_settings(preset("lesson"), ["epochs=3", "widths=[4,4,8,8]"])
    assert {(rung.recipe.epochs, rung.recipe.widths) for rung in rungs} == {(3.0, (4, 4, 8, 8))}
    assert fields(rungs) == fields(preset("lesson"))


def test_a_setting_that_removes_the_only_difference_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"'\+ momentum alone' equals '\+ crop and flip', so nothing would be measured"
    ):
        with_shared_settings(preset("lesson-split"), ["optimizer.momentum=0.5"])


def test_an_impossible_setting_is_named() -> None:
    with pytest.raises(InvalidSetting, match="epochs"):
        with_shared_settings(preset("lesson"), ["epochs=-1"])


def test_a_users_recipes_are_compared_with_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(to_json(SMALL_CNN.replace(name="mine", label_smoothing=0.1))))
    rungs = rungs_of(["small_cnn_baseline", "small_cnn", str(tmp_path / "mine.json")])
    assert [(rung.name, rung.baseline) for rung in rungs] == [
        ("small_cnn_baseline", None),
        ("small_cnn", 0),
        ("mine", 1),
    ]
    assert fields(rungs)[2] == {"label_smoothing"}


def test_recipes_of_one_name_are_told_apart_by_what_differs_or_by_their_place(tmp_path: Path) -> None:
    three = SMALL_CNN.replace(batch_size=64, epochs=20, label_smoothing=0.1)
    for number, recipe in enumerate((SMALL_CNN, three, three.replace(tta="none"), SPRINT.replace(name="small_cnn"))):
        (tmp_path / f"{number}.json").write_text(json.dumps(to_json(recipe)))
    rungs = with_shared_settings(rungs_of([str(tmp_path / f"{number}.json") for number in range(4)]), [])
    assert [rung.name for rung in rungs] == [
        "small_cnn", "small_cnn epochs=20 batch_size=64 label_smoothing=0.1", "small_cnn (3)", "small_cnn (4)",
    ]  # fmt: skip
    assert [rung.recipe.name for rung in rungs] == [rung.name for rung in rungs]


# Grids


def test_a_grid_is_every_combination_held_against_the_recipe_itself() -> None:
    made = grid(SMALL_CNN.replace(batch_size=64), ["optimizer.lr=0.02,0.1", "epochs=10,100"], ["batch_size=64"])
    assert [rung.name for rung in made.rungs] == [
        "lr=0.1 epochs=100", "lr=0.02 epochs=10", "lr=0.02 epochs=100", "lr=0.1 epochs=10",
    ]  # fmt: skip
    assert made.rungs[0].recipe == SMALL_CNN.replace(batch_size=64, expect=None)
    assert fields(made.rungs) == [set(), {"optimizer.lr", "epochs"}, {"optimizer.lr"}, {"epochs"}]
    assert (made.title, made.settings) == ("small_cnn optimizer.lr=0.02,0.1 epochs=10,100", ("batch_size=64",))


def test_values_may_hold_commas_of_their_own_and_names_that_would_be_one_are_whole() -> None:
    assert values_of("--grid", "a.b=[1,2],(3,(4,5)),{6,7},8") == ("a.b", ("[1,2]", "(3,(4,5))", "{6,7}", "8"))
    wide = grid(SMALL_CNN, ["widths=[8,8,8,8],[16,16,16,16]"])
    assert [rung.recipe.widths for rung in wide.rungs] == [(8,) * 4, (16,) * 4]
    assert [rung.baseline for rung in wide.rungs] == [None, 0]
    both = grid(SPRINT, ["optimizer.weight_decay=0,0.1", "schedule.floor=0,0.1"])
    assert both.rungs[-1].name == "weight_decay=0.1 floor=0.1"
    twins = grid(MARATHON, ["average.after=0.6,0.8", "data_pruning.after=0.2,0.3"])
    assert twins.rungs[-1].name == "average.after=0.8 data_pruning.after=0.3"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (["epochs=10"], "epochs=10 is not possible: a field with two values or more"),
        (["epochs"], "a field with two values or more"),
        (["epochs=10,"], "a field with two values or more"),
        (["epochs=10,10.0"], "two combinations that train alike"),
        (["epoch=1,2"], "Did you mean 'epochs'"),
        (["epochs=1,-2"], "epochs=-2"),
    ],
)
def test_what_is_no_grid_is_said(fields: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        grid(SMALL_CNN, fields)


def test_one_recipe_is_no_ladder() -> None:
    with pytest.raises(UsageError, match="at least two recipes, got 1"):
        rungs_of(["small_cnn"])


def test_names_that_give_one_folder_are_refused() -> None:
    twins = (Rung("a b", SMALL_CNN_BASELINE), Rung("A-b", SMALL_CNN, 0))
    with pytest.raises(UsageError, match="folders called 'a-b'"):
        with_shared_settings(twins, [])


def test_the_top_is_the_last_rung_or_the_full_recipe() -> None:
    assert top_of(preset("lesson")) == 2
    assert top_of(preset("leave-one-out")) == 0


@pytest.mark.parametrize(
    ("text", "made"), [("+ crop and flip", "crop-and-flip"), ("Ünï / ..", "n"), ("//", "rung"), ("a" * 99, "a" * 60)]
)
def test_a_slug_can_be_a_folders_name(text: str, made: str) -> None:
    assert slug(text) == made
