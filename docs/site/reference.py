"""The reference pages, made from the source: recipe fields, commands, run folder, Python."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import json
import os
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from unittest import mock

from griffe import Docstring, DocstringSectionAttributes, DocstringSectionText

import snellen
from snellen.cli.main import VERBS, main
from snellen.recipes import optimizer, recipe
from snellen.recipes.catalog import RECIPES
from snellen.runs import run

COMMANDS, FIELDS, FOLDER, PYTHON = (f"reference/{name}.md" for name in ("commands", "fields", "run-folder", "python"))
NAMES = (COMMANDS, FIELDS, FOLDER, PYTHON)
PARTS = {
    "": recipe.Recipe,
    "augment.": recipe.Augment,
    "optimizer.kind=sgd": optimizer.SGD,
    "optimizer.kind=adamw": optimizer.AdamW,
    "optimizer.kind=muon": optimizer.Muon,
    "optimizer.kind=torch": optimizer.TorchOptimizer,
    "schedule.": optimizer.Schedule,
    "finetune.": recipe.Finetune,
    "data_pruning.": recipe.DataPruning,
    "average.": recipe.Average,
    "resolutions": recipe.Resolution,
    "freezes": recipe.Freeze,
    "expect": recipe.Expect,
}
"""By what --set writes before the field."""
RETURNED = (
    "snellen.data.dataset.Dataset", "snellen.metrics.scorecard.Scorecard", "snellen.api.answers.Answers",
    "snellen.evaluate.compare_runs.Comparison",
)  # fmt: skip
RECIPE = """
    options:
      show_signature: false
      show_docstring_attributes: false
      members: false

Its fields: [recipe fields](fields.md). `recipe.replace(epochs=3)` is a copy with some of them changed.
"""
WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text"}


def pages() -> dict[str, str]:
    """Every generated page, by its place in the site."""
    return {COMMANDS: _commands(), FIELDS: _fields(), FOLDER: _folder(), PYTHON: _python()}


def _row(*cells: str) -> str:
    return "| " + " | ".join(_cell(text) for text in cells) + " |"


def _cell(text: str) -> str:
    """On one line; a bar in code is no border, and a backslash before it would be shown."""
    around = " ".join(text.split()).split("`")
    return "`".join(part if at % 2 else part.replace("|", "\\|") for at, part in enumerate(around))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join([_row(*head), _row(*("---" for _ in head)), *(_row(*row) for row in rows)])


# Commands, from what each prints for --help


def _commands() -> str:
    parts = ["# Commands", "What `snellen COMMAND --help` says. Every command takes `--json`."]
    for verb, summary in VERBS.items():
        rows = [(f"`{option}`", words, default and f"`{default}`") for option, words, default in options_of(verb)]
        parts += [f"## {verb}", f"{summary[0].upper()}{summary[1:]}.", _table(("option", "what it is", "else"), rows)]
    return "\n\n".join(parts)


def options_of(verb: str) -> Iterator[tuple[str, str, str]]:
    """Each option of a command as its help shows it: how it is written, what it is, and what it is where not given."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    wide = mock.patch.dict(os.environ, {"COLUMNS": "1000"})  # no sentence is broken
    with wide, contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main([verb, "--help"])
    shown.seek(0)
    text = "\n".join(line[2:].rstrip("│ \n") for line in shown if line.startswith("│ "))
    for option, words in re.findall(r"^(\S+(?: \S+)*)(?: {2,}|\n {2,})(\S.*)$", text, re.MULTILINE):
        if option != "-h, --help":
            words, _, default = words.partition("(default: ")
            default = default.rpartition(")")[0]
            words = re.sub(r"docs/(\w+)\.md", r"[\1](../\1.md)", words)
            yield option, words, "" if default in ("None", "False") else default


# Recipe fields, from the classes that hold them


def _fields() -> str:
    parts = [
        "# Recipe fields",
        "A recipe is complete: what is not written in it does not happen. `--set NAME=VALUE` changes a field on the "
        "command line, `name__of__field=value` in Python; `snellen recipes NAME` shows all of one recipe.",
        "## The recipes",
        _table(
            ("recipe", "model", "epochs", "for what"),
            [(f"`{one.name}`", f"`{one.model}`", f"{one.epochs:g}", one.note) for one in RECIPES.values()],
        ),
    ]
    for prefix, holder in PARTS.items():
        docstring = Docstring(inspect.getdoc(holder) or "").parse("google")
        texts = [section.value for section in docstring if isinstance(section, DocstringSectionText)]
        said = {
            one.name: one.description
            for section in docstring
            if isinstance(section, DocstringSectionAttributes)
            for one in section.value
        }
        before = prefix if prefix.endswith(".") else "optimizer." if prefix.startswith("optimizer") else ""
        hints = typing.get_type_hints(holder)
        rows = [
            (f"`{before}{one.name}`", _kind(hints[one.name]), _default(one), *([said[one.name]] if said else []))
            for one in dataclasses.fields(holder)
        ]
        head = ("field", "takes", "default", *(["meaning"] if said else []))  # else the text before names each field
        title = f"`{prefix.rstrip('.')}`" if prefix else "Recipe"
        parts += [f"## {title}", texts[0], _table(head, rows), *texts[1:]]
    return "\n\n".join(parts)


def _kind(hint: Any) -> str:
    """What a field takes, in words."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return ", ".join(f"`{value}`" if value else "empty" for value in inside)
    if origin is tuple:
        return "list of " + _kind(inside[0]) if inside[-1] is ... else " and ".join(map(_kind, inside))
    if inside:
        return " or ".join(map(_kind, inside))
    if hint is type(None):
        return "`null`"
    return WORDS.get(hint) or f"[{hint.__name__}](#{_anchor(hint)})"


def _anchor(holder: type) -> str:
    prefix = next(prefix for prefix, one in PARTS.items() if one is holder)
    return re.sub(r"[^\w]", "", prefix) or "recipe"


def _default(one: dataclasses.Field[Any]) -> str:
    if one.default is dataclasses.MISSING:
        return "must be given"
    if dataclasses.is_dataclass(one.default):
        return "as below"
    return f"`{json.dumps(one.default)}`"


# The run folder, from the docstring of the file that keeps it


def _folder() -> str:
    text = inspect.getdoc(run) or ""
    _, listing, *after = text.split("\n\n")
    rows = [
        (" ".join(f"`{name}`" for name in names.split()), words)
        for names, words in re.findall(r"^ *(\S+(?: \S+)*?) {2,}(.*)$", listing, re.MULTILINE)
    ]
    parts = ["# The run folder", "What was done, as a folder that explains itself."]
    return "\n\n".join([*parts, _table(("file", "what it holds"), rows), *after])


# Python, by mkdocstrings


def _python() -> str:
    parts = ["# Python", "`import snellen` costs nothing: each name is loaded when it is first used."]
    for name in snellen.__all__:
        parts.append(f"::: snellen.{name}" + (RECIPE if name == "Recipe" else ""))
    parts += ["## What they return", *(f"::: {name}\n    options:\n      heading_level: 3" for name in RETURNED)]
    return "\n\n".join(parts)
