"""Recipes as JSON, both ways, strictly: an unknown key or a value of the wrong type is an error with a name.

`--set optimizer.lr=0.2` is the same operation on the same form, so a command line, a file and Python
cannot mean different things.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from snellen import parts
from snellen.errors import SHORT, InvalidSetting, UsageError, nearest
from snellen.recipes.recipe import SGD, AdamW, Muon, Recipe, TorchOptimizer
from snellen.serialize import flat, read_json, to_json

_TITLES = ("name", "note", "expect")  # what a recipe says about itself, not what it does
_FEW, _WIDEST = 4, 40  # changes told, and characters of one value
_MAX_BYTES = 1_000_000  # a recipe is a page of text; anything larger is something else


def from_json(content: Any) -> Recipe:
    """The recipe that `to_json` wrote.

    Raises:
        InvalidSetting: an unknown key (the nearest one is named), a missing one, a wrong type or an impossible value.
    """
    recipe = _read(Recipe, content, "recipe")
    assert isinstance(recipe, Recipe)
    return recipe


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256 of what a recipe does: its name, note and expectation are left out.

    Only what differs from the defaults counts, so that a field of a later version, whose default changes nothing,
    leaves the hashes of older recipes as they were.
    """
    does = from_json(to_json(recipe.replace(name="", note="", expect=None)))  # once around: 12 becomes 12.0
    return hashlib.sha256(json.dumps(_chosen(does), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _chosen(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_chosen(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    found = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
    return {"kind": getattr(type(value), "kind", None)} | {
        field.name: _chosen(each) for field, each in found if each != field.default
    }


@dataclasses.dataclass(frozen=True)
class Change:
    """One field in which two recipes differ: the field as `--set` spells it, and both values."""

    field: str
    before: Any
    after: Any

    @property
    def now(self) -> str:
        """The value after, in short."""
        return _short(self.after)

    def __str__(self) -> str:
        return f"{self.field} {_kind(self.before) or _short(self.before)} → {self.now}"


def first_few(made: Sequence[Change]) -> str:
    """Changes in words, the first of many."""
    more = len(made) - _FEW
    return "; ".join([str(change) for change in made[:_FEW]] + [f"{more} more"] * (more > 0))


def changes(before: Recipe, after: Recipe) -> tuple[Change, ...]:
    """Every field in which two recipes differ, names and notes aside; empty if they train the same way.

    Of another kind, such as another optimizer, a field differs as a whole: what it is made of has other names.
    """
    old, new = to_json(before), to_json(after)
    whole = {name for name in old if _kind(old[name]) != _kind(new[name])}
    old, new = (
        {field: value for name in one for field, value in _fields(name, one[name], whole=name in whole)}
        for one in (old, new)
    )
    fields = [field for field in dict.fromkeys((*old, *new)) if field not in _TITLES]
    return tuple(Change(field, old.get(field), new.get(field)) for field in fields if old.get(field) != new.get(field))


def _fields(name: str, value: Any, *, whole: bool) -> Iterable[tuple[str, Any]]:
    return [(name, value)] if whole else flat({name: value}).items()


def _kind(value: Any) -> Any:
    return value.get("kind") if isinstance(value, dict) else None


def _short(value: Any) -> str:
    if value is None or value == []:
        return "–"
    if kind := _kind(value):
        return f"{kind}({', '.join(f'{name}={_short(item)}' for name, item in value.items() if name != 'kind')})"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def read_recipe(path: Path) -> Recipe:
    """A recipe from a JSON file.

    Raises:
        UsageError: the file is missing, too large or not JSON.
        InvalidSetting: as `from_json`.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path} has {path.stat().st_size} bytes; a recipe has at most {_MAX_BYTES}.")
        return from_json(read_json(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise UsageError(f"Cannot read the recipe {path}: {error.strerror}.") from error
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{path} is not a JSON recipe: {error}. See one: snellen recipes sprint --json") from error


def with_settings(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """The recipe with `key=value` settings applied, such as "epochs=3" or "augment.flip=random".

    Values are read as JSON where they are JSON (numbers, true, null, lists), else as text.

    Raises:
        InvalidSetting: no such field (the nearest one is named), no "=", or an impossible value.
    """
    pairs = []
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InvalidSetting(f"--set takes key=value, got {SHORT.repr(setting)}. Example: --set epochs=3")
        pairs.append((key.strip(), _named(key.strip(), _parse_value(text.strip()))))
    return _changed(recipe, pairs)


def with_values(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """The same with values of Python's own; in their keys two underscores do for a dot: {"optimizer__lr": 0.1}.

    Raises:
        InvalidSetting: as `with_settings`, or a value that no recipe can hold.
    """
    pairs = []
    for key, value in values.items():
        field = str(key).replace("__", ".")
        try:
            pairs.append((field, to_json(_named(field, value))))
        except TypeError as error:
            raise InvalidSetting(f"{key}={value!r} is nothing that a recipe can hold: {error}.") from error
    return _changed(recipe, pairs)


_PARTS = ("model", "augment.before", "augment.after", "optimizer.name", "schedule.shape", "loss")
"""The fields that hold references."""


def _named(field: str, value: Any) -> Any:
    """A value that the user gave, in which references are as a recipe holds them, and their code may run."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = to_json(value)
    if isinstance(value, dict):
        return {name: _named(f"{field}.{name}", each) for name, each in value.items()}
    if field not in _PARTS:
        return value
    if field.startswith("augment."):
        several = value if isinstance(value, list | tuple) else [value]
        if isinstance(value, str) and ("," in re.sub(r"\(.*?\)", "", value) or value.startswith("[")):
            raise InvalidSetting(f'Several are a JSON list: --set \'{field}=["FILE.py:a", "FILE.py:b"]\'; got {value}.')
        return [_reference(each) for each in several]
    return _reference(value)


def _reference(value: Any) -> Any:
    if callable(value):
        return parts.give(value)
    external = isinstance(value, str) and value.startswith(("timm:", "torchvision:"))
    return parts.named_by_user(value) if isinstance(value, str) and not external else value


def _changed(recipe: Recipe, pairs: Iterable[tuple[str, Any]]) -> Recipe:
    content, turned_on = to_json(recipe), set[str]()
    if content["model"] != dict(pairs := list(pairs)).get("model", content["model"]):
        content |= {"widths": [], "stem": "", "freezes": []}  # they are of the network that leaves
    for key, value in sorted(
        pairs, key=lambda pair: pair[0] != "model" and not pair[0].endswith(".kind")
    ):  # first which one, then its fields
        _assign(content, key, value, turned_on)
    changed = from_json(content)
    changed.require_parts()
    # The published expectation belongs to the published recipe only.
    return changed if changed == recipe else changed.replace(expect=None)


def rates(recipe: Recipe) -> dict[str, float]:
    """The learning rates of a recipe as `--set` spells them, such as {"optimizer.lr": 0.1}; Muon has three."""
    names = (each.name for each in dataclasses.fields(recipe.optimizer))
    return {f"optimizer.{n}": float(getattr(recipe.optimizer, n)) for n in names if n == "lr" or n.endswith("_lr")}


def rates_times(recipe: Recipe, factor: float) -> str:
    """The option that multiplies every learning rate of a recipe, such as "--set optimizer.lr=0.05"."""
    return "--set " + " ".join(f"{name}={factor * rate:.2g}" for name, rate in rates(recipe).items())


def _assign(content: dict[str, Any], key: str, value: Any, turned_on: set[str]) -> None:
    """Put `value` where `key` says. A part that is off is turned on, the rest of it by default."""
    *parents, last = key.split(".")
    place: Any = content
    for name in parents:
        if isinstance(place, dict) and name in place and place[name] is None:
            place[name] = {}
            turned_on.add(".".join(parents))
        place = place.get(name) if isinstance(place, dict) else None
    if not isinstance(place, dict) or (last not in place and ".".join(parents) not in turned_on):
        hint = _meant(content, key, value)
        raise InvalidSetting(f"No recipe field {SHORT.repr(key)}.{hint} See all: snellen recipes {content['name']}")
    if last == "kind" and place.get("kind") != value:  # another optimizer, with rates of its own
        place.clear()
        turned_on.add(".".join(parents))
    place[last] = value


def _meant(content: dict[str, Any], key: str, value: Any) -> str:
    """What was meant: a field of this recipe or of another optimizer, or an argument of the network."""
    there = [*content, *flat(content)]
    kinds = {f"optimizer.{field.name}": one.kind for one in _OPTIMIZERS for field in dataclasses.fields(one)}
    near = nearest(key, dict.fromkeys([*there, *kinds]))
    if network := parts.with_argument("model", str(content["model"]), key, value):
        near = f"model={network}"
    elif near in kinds and near not in there:
        near = f"optimizer.kind={kinds[near]} {near}={str(value)[:60]}"
    return f" Did you mean {near!r}?" if near else ""


_OPTIMIZERS = (TorchOptimizer, Muon, SGD, AdamW)  # of those that have a field, the last is meant


def _parse_value(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError:  # then it is text, and a field that wants another type will say so
        return text


def _read(expected: Any, value: Any, where: str) -> Any:
    origin = get_origin(expected)
    if origin in (typing.Union, types.UnionType):
        return _read_union(get_args(expected), value, where)
    if origin is Literal:
        if value not in get_args(expected):
            raise InvalidSetting(
                f"{where}={SHORT.repr(value)} is not possible: one of {', '.join(map(str, get_args(expected)))}."
            )
        return value
    if origin is tuple:
        return _read_tuple(get_args(expected), value, where)
    if dataclasses.is_dataclass(expected):
        return _read_dataclass(expected, value, where)
    return _read_scalar(expected, value, where)


def _read_scalar(expected: Any, value: Any, where: str) -> Any:
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1e300 else math.inf
    if type(value) is not expected:
        raise InvalidSetting(f"{where} must be {_spoken(expected)}, got {SHORT.repr(value)}.")
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InvalidSetting(f"{where} holds half a character, which no file can: {SHORT.repr(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidSetting(f"{where} must be a finite number, got {SHORT.repr(value)}.")
    return value


def _read_tuple(items: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise InvalidSetting(f"{where} must be a list, got {SHORT.repr(value)}.")
    kinds = [items[0]] * len(value) if items[-1] is Ellipsis else list(items)
    if len(kinds) != len(value):
        raise InvalidSetting(f"{where} must have {len(kinds)} entries, got {len(value)}.")
    return tuple(_read(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(zip(kinds, value, strict=True)))


def _read_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    classes = [option for option in options if option is not type(None)]
    if len(classes) == 1:
        return _read(classes[0], value, where)
    kinds = {option.kind: option for option in classes}
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in kinds:  # a list is looked up nowhere
        other = f"; any other: optimizer.kind=torch optimizer.name={str(kind)[:60]}" if isinstance(kind, str) else ""
        one_of = f"one of {', '.join(sorted(kinds))}{other}"
        raise InvalidSetting(f"{where}.kind={SHORT.repr(kind)} is not possible: {one_of}.")
    return _read_dataclass(kinds[kind], {k: v for k, v in value.items() if k != "kind"}, where)


def _read_dataclass(expected: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise InvalidSetting(f"{where} must be an object with named fields, got {SHORT.repr(value)}.")
    hints = typing.get_type_hints(expected)
    fields = {field.name: field for field in dataclasses.fields(expected)}
    inside = [f"{name}.{each}" for name, field in fields.items() for each in getattr(field.default, "__dict__", ())]
    for key in value:
        if key not in fields:
            near = nearest(str(key), [*fields, *inside])
            hint = f" Did you mean {near!r}?" if near else f" Known: {', '.join(fields)}."
            raise InvalidSetting(f"{where} has no field {SHORT.repr(key)}.{hint}")
    lacking = [n for n, field in fields.items() if n not in value and field.default is dataclasses.MISSING]
    if lacking:
        raise InvalidSetting(f"{where} lacks {', '.join(map(repr, lacking))}, of which there is no default.")
    return expected(**{key: _read(hints[key], item, f"{where}.{key}") for key, item in value.items()})


def _spoken(expected: Any) -> str:
    return {float: "a number", int: "a whole number", bool: "true or false", str: "text"}.get(expected, str(expected))
