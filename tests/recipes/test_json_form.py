"""Recipes as JSON: both ways without loss, and strictly."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snellen.errors import InvalidSetting, UsageError
from snellen.recipes.catalog import RECIPES
from snellen.recipes.cifar10 import SPRINT
from snellen.recipes.json_form import _chosen, from_json, read_recipe, recipe_hash, with_settings
from snellen.recipes.recipe import (
    SGD,
    Augment,
    Average,
    DataPruning,
    Expect,
    Freeze,
    Muon,
    Recipe,
    Resolution,
    Schedule,
)
from snellen.serialize import to_json

_PART = st.floats(0, 0.99)
_INNER = st.floats(0.01, 0.99)
_RATE = st.floats(1e-6, 10)
_AUGMENT = st.builds(
    Augment,
    crop_pixels=st.integers(0, 16),
    flip=st.sampled_from(["none", "random", "alternate"]),
    brightness=_PART,
    contrast=_PART,
    saturation=_PART,
)
_SGD = st.builds(SGD, lr=_RATE, momentum=_INNER, nesterov=st.booleans(), weight_decay=_PART)
_MUON = st.builds(Muon, filter_lr=_RATE, head_lr=_RATE, filter_momentum=_INNER, momentum=_INNER, weight_decay=_PART)
_SCHEDULE = st.one_of(
    st.builds(Schedule, warmup_fraction=_PART, per=st.sampled_from(["step", "epoch"])),
    st.builds(
        Schedule,
        shape=st.sampled_from(["cosine", "linear"]),
        warmup_fraction=st.floats(0, 0.4),
        tail_fraction=st.floats(0, 0.5),
        floor=_PART,
    ),
)
_STAGES = st.lists(_INNER, max_size=3, unique=True).map(
    lambda ends: tuple(Resolution(side=8 + at, until=end) for at, end in enumerate(sorted(ends)))
)
_EXPECT = st.builds(
    Expect,
    data=st.text(),
    split=st.sampled_from(["val", "test"]),
    accuracy=st.tuples(_PART, _PART),
    minutes=_RATE,
    machine=st.text(),
    runs=st.integers(1, 9),
    evidence=st.text(),
)
_RECIPES = st.builds(
    Recipe,
    name=st.text(),
    model=st.text(),
    epochs=st.floats(0.01, 10_000),
    batch_size=st.integers(1, 65_536),
    widths=st.lists(st.integers(1, 8192), max_size=4).map(tuple),
    stem=st.sampled_from(["", "small", "stock"]),
    augment=_AUGMENT,
    optimizer=st.one_of(_SGD, _MUON),
    schedule=_SCHEDULE,
    label_smoothing=_PART,
    resolutions=_STAGES,
    freezes=st.lists(st.builds(Freeze, prefix=st.text(min_size=1), after=_INNER), max_size=2).map(tuple),
    data_pruning=st.none()
    | st.builds(DataPruning, easiest=st.floats(0.01, 0.9), skip=_INNER, after=st.just(0.0), until=_INNER),
    average=st.none() | st.builds(Average, after=_PART, every_steps=st.integers(1, 99), weight=_INNER),
    tta=st.sampled_from(["flip", "shift", "ten_crop"]),
    tta_fraction=_INNER,
    evaluate_every=st.integers(1, 99),
    patience=st.integers(0, 99),
    expect=st.none() | _EXPECT,
    note=st.text(),
)


def sprint(**changes: Any) -> dict[str, Any]:
    return {**to_json(RECIPES["sprint"]), **changes}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_every_shipped_recipe_comes_back_from_its_json(recipe: Recipe) -> None:
    assert from_json(json.loads(json.dumps(to_json(recipe)))) == recipe


@settings(max_examples=60, deadline=None)
@given(_RECIPES)
def test_any_recipe_comes_back_from_its_json(recipe: Recipe) -> None:
    assert from_json(json.loads(json.dumps(to_json(recipe), allow_nan=False))) == recipe


def test_a_file_holds_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(to_json(RECIPES["resnet18"])), encoding="utf-8")
    assert read_recipe(path) == RECIPES["resnet18"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (sprint(epoch=3), "recipe has no field 'epoch'. Did you mean 'epochs'?"),
        (sprint(augment={"crop_pixel": 2}), "recipe.augment has no field 'crop_pixel'. Did you mean 'crop_pixels'?"),
        (
            sprint(optimizer={"kind": "adam"}),
            "recipe.optimizer.kind='adam' is not possible: one of adamw, muon, sgd, torch",
        ),
        (sprint(optimizer={}), "recipe.optimizer.kind=None is not possible"),
        (sprint(optimizer={"kind": []}), "recipe.optimizer.kind=[] is not possible: one of adamw, muon, sgd, torch"),
        (sprint(optimizer={"kind": {"kind": "sgd"}}), "is not possible: one of adamw, muon, sgd, torch"),
        (sprint(optimizer=[]), "recipe.optimizer.kind=None is not possible"),
        (sprint(optimizer={"kind": "sgd", "head_lr": 1.0}), "has no field 'head_lr'"),
        (sprint(epochs="three"), "recipe.epochs must be a number, got 'three'."),
        (sprint(epochs=True), "recipe.epochs must be a number, got True."),
        (sprint(batch_size=1.5), "recipe.batch_size must be a whole number, got 1.5."),
        (sprint(batch_size=True), "recipe.batch_size must be a whole number, got True."),
        (sprint(name=None), "recipe.name must be text, got None."),
        (sprint(name="a\ud800"), "recipe.name holds half a character"),
        (sprint(widths=4), "recipe.widths must be a list, got 4."),
        (sprint(widths=["4"]), "recipe.widths[0] must be a whole number, got '4'."),
        (sprint(freezes=[[]]), "recipe.freezes[0] must be an object with named fields, got []."),
        (sprint(tta="flips"), "recipe.tta='flips' is not possible: one of none, flip, shift, ten_crop."),
        (sprint(tta=[]), "recipe.tta=[] is not possible"),
        (sprint(epochs=10**400), "recipe.epochs must be a finite number, got inf."),
        (sprint(epochs=float("nan")), "recipe.epochs must be a finite number, got nan."),
        (sprint(average={"after": 0.5, "weight": 2}), "average.weight=2.0 is not possible"),
        (sprint(average={}), "recipe.average lacks 'after'"),
        ({"name": "x"}, "recipe lacks 'model', 'epochs', 'batch_size', of which"),
        (sprint(weight_decay=0.1), "Did you mean 'optimizer.weight_decay'?"),
        ([], "recipe must be an object with named fields, got []."),
        (None, "recipe must be an object with named fields, got None."),
    ],
)
def test_what_does_not_fit_is_refused_with_the_field_the_value_and_the_nearest_name(
    content: Any, sentence: str
) -> None:
    with pytest.raises(InvalidSetting) as refused:
        from_json(content)
    assert sentence in str(refused.value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(sprint())), _JSON)
def test_any_json_in_any_field_is_a_recipe_or_a_refusal_and_never_another_error(field: str, value: Any) -> None:
    try:
        assert isinstance(from_json(sprint(**{field: value})), Recipe)
    except InvalidSetting:
        pass


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut off"),
        pytest.param("[" * 100_000, id="nested 100,000 deep"),
        pytest.param('{"epochs": ' + "9" * 5_000 + "}", id="a number of 5,000 digits"),
        pytest.param('{"epochs": NaN}', id="NaN"),
        pytest.param('{"epochs": -Infinity}', id="-Infinity"),
        pytest.param("[]", id="a list"),
        pytest.param('"sprint"', id="text"),
        pytest.param('{"name": "\\ud800"}', id="half a character"),
    ],
)
def test_a_hostile_recipe_file_is_one_sentence_of_usage(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        read_recipe(path)
    assert len(str(refused.value)) < 600
    assert refused.value.exit_code == 2


def test_a_recipe_of_megabytes_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    path.write_text(" " * 1_000_001)
    with pytest.raises(UsageError, match="1000001 bytes; a recipe has at most 1000000"):
        read_recipe(path)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.json"
    path.write_bytes(b"\xff\xfe\x00recipe")
    with pytest.raises(UsageError, match="is not a JSON recipe"):
        read_recipe(path)


@pytest.mark.parametrize("missing", [True, False], ids=["missing", "a folder"])
def test_a_recipe_that_is_no_file_is_refused_by_path(tmp_path: Path, missing: bool) -> None:
    path = tmp_path / "gone.json" if missing else tmp_path
    with pytest.raises(UsageError, match=r"Cannot read the recipe .*(No such file|Is a directory)"):
        read_recipe(path)


@pytest.mark.parametrize(
    ("setting", "check"),
    [
        ("epochs=3", lambda r: r.epochs == 3.0 and isinstance(r.epochs, float)),
        ("batch_size=64", lambda r: r.batch_size == 64),
        ("optimizer.filter_lr=0.1", lambda r: r.optimizer.filter_lr == 0.1),
        ("augment.flip=none", lambda r: r.augment.flip == "none"),
        (" augment.flip = none ", lambda r: r.augment.flip == "none"),
        ("average.weight=0.5", lambda r: r.average.weight == 0.5),
        ("average=null", lambda r: r.average is None),
        ("widths=[8,8,8]", lambda r: r.widths == (8, 8, 8)),
        ("resolutions=[]", lambda r: r.resolutions == ()),
        ('optimizer={"kind": "sgd", "lr": 0.2}', lambda r: r.optimizer == SGD(lr=0.2)),
        ("note=a = b", lambda r: r.note == "a = b"),
    ],
)
def test_set_changes_any_field_however_deep(setting: str, check: Any) -> None:
    assert check(with_settings(RECIPES["marathon"], [setting]))


def test_a_setting_inside_a_part_that_is_off_turns_it_on() -> None:
    changed = with_settings(RECIPES["resnet18"], ["data_pruning.skip=0.3", "data_pruning.until=0.8"])
    assert changed.data_pruning == DataPruning(skip=0.3, until=0.8)
    for setting, sentence in (
        ("data_pruning.skp=0.3", "recipe.data_pruning has no field 'skp'. Did you mean 'skip'?"),
        ("average.weight=0.5", "recipe.average lacks 'after'"),
    ):
        with pytest.raises(InvalidSetting, match=sentence):
            with_settings(RECIPES["resnet18"], [setting])


def test_several_settings_apply_in_order() -> None:
    changed = with_settings(RECIPES["sprint"], ["epochs=3", "epochs=4", "optimizer.momentum=0.5"])
    assert (changed.epochs, changed.optimizer.momentum) == (4.0, 0.5)


def test_no_setting_changes_nothing() -> None:
    assert with_settings(RECIPES["sprint"], []) == RECIPES["sprint"]


def test_a_changed_recipe_does_not_promise_what_the_published_one_gave() -> None:
    expect = Expect(data="d", split="val", accuracy=(0.9, 0.95), minutes=1.0, machine="m", runs=3, evidence="e")
    published = RECIPES["sprint"].replace(expect=expect)
    assert with_settings(published, ["epochs=3"]).expect is None
    assert with_settings(published, [f"epochs={published.epochs}"]).expect == expect


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("epochs", "--set takes key=value, got 'epochs'"),
        ("epoch=3", "No recipe field 'epoch'. Did you mean 'epochs'?"),
        ("optimizer.moment=0.5", "No recipe field 'optimizer.moment'. Did you mean 'optimizer.momentum'?"),
        ("augment.flip.x=1", "No recipe field 'augment.flip.x'. Did you mean 'augment.flip'?"),
        ("optimizer.lr=0.1", "No recipe field 'optimizer.lr'."),
        ("prune=null", "No recipe field 'prune'. Did you mean 'data_pruning'?"),
        ("tta_unsure=0.5", "No recipe field 'tta_unsure'. Did you mean 'tta_fraction'?"),
        ("dropout=0.5", "No recipe field 'dropout'. See all:"),
        ("optimizer.learning_rate=1", "No recipe field 'optimizer.learning_rate'. See all:"),
        ("epochs=many", "recipe.epochs must be a number, got 'many'."),
        ("epochs=NaN", "recipe.epochs must be a number, got 'NaN'."),
        ("epochs=1e999", "recipe.epochs must be a number, got '1e999'."),
        ("epochs=-3", "epochs=-3.0 is not possible"),
        ("=3", "No recipe field ''."),
        ("widths=" + "[" * 100_000, "recipe.widths must be a list"),
        ("batch_size=" + "9" * 5_000, "recipe.batch_size must be a whole number"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_with_the_way_out(setting: str, sentence: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        with_settings(RECIPES["sprint"], [setting])
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 600


def test_a_recipes_hash_is_that_of_what_it_does() -> None:
    assert recipe_hash(SPRINT) == recipe_hash(SPRINT.replace(name="other", note="told otherwise", expect=None))
    assert recipe_hash(SPRINT) == recipe_hash(from_json(json.loads(json.dumps(to_json(SPRINT)))))
    assert recipe_hash(SPRINT) != recipe_hash(SPRINT.replace(epochs=SPRINT.epochs + 1))


def test_a_recipes_hash_counts_only_what_differs_from_the_defaults() -> None:
    told = _chosen(SPRINT)
    assert "ema_decay" in told
    assert "sampling" not in told
    assert told["optimizer"]["kind"] == "muon"
    assert recipe_hash(SPRINT) != recipe_hash(SPRINT.replace(optimizer=SGD()))
    assert recipe_hash(SPRINT.replace(ema_decay=0.0)) != recipe_hash(SPRINT)


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("weight_decay=0.1", "optimizer.weight_decay"),
        ("lr=0.1", "optimizer.kind=adamw optimizer.lr=0.1"),  # sprint's Muon has three rates, none of them called so
        ("optimizer.lrr=0.1", "optimizer.kind=adamw optimizer.lr=0.1"),
        ("optimizer.name=RAdam", "optimizer.kind=torch optimizer.name=RAdam"),
        ("nesterov=true", "optimizer.kind=sgd optimizer.nesterov=True"),
        ("optimizer.momentun=0.1", "optimizer.momentum"),
        ("mixup=0.2", "augment.mixup"),
    ],
)
def test_a_field_is_known_by_its_last_part_and_another_optimizers_by_its_kind(setting: str, meant: str) -> None:
    with pytest.raises(InvalidSetting, match=f"Did you mean '{meant}'"):
        with_settings(RECIPES["sprint"], [setting])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["optimizer.kind=RAdam"], "any other: optimizer.kind=torch optimizer.name=RAdam"),
        (["optimizer.kind=torch", "optimizer.name=RAdam(weight_decay=0.05)"], "fields: optimizer.weight_decay=0.05."),
        (["optimizer.kind=torch", "optimizer.name=Adam(lr=1, amsgrad=True)"], "fields: optimizer.lr=1."),
        (["augment.before=lab.py:a,lab.py:b(x=1)"], """'augment.before=["FILE.py:a", "FILE.py:b"]'"""),
        (["augment.after=[lab.py:a(x=1), lab.py:b]"], """'augment.after=["FILE.py:a", "FILE.py:b"]'"""),
    ],
)
def test_where_a_value_belongs_elsewhere_the_sentence_says_how_it_is_written(
    settings: list[str], sentence: str
) -> None:
    with pytest.raises(InvalidSetting, match=re.escape(sentence)):
        with_settings(RECIPES["sprint"], settings)
