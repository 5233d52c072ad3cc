"""`snellen VERB …`: find the verb's file, parse its arguments, print errors as one sentence.

Printing help must not import torch: a verb's own file is imported when it is called, what is heavy in its `run`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib
import io
import json
import os
import signal
import sys
import typing
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from snellen.errors import SnellenError, SnellenWarning, UsageError
from snellen.paths import user_path
from snellen.version import VERSION

VERBS = {
    "demo": "train, grade and show everything in about five minutes",
    "data": "what a data set holds: shapes, counts, statistics, contact sheet",
    "train": "train a recipe on a data set",
    "lr": "which learning rates train a recipe, found in a hundred steps",
    "evaluate": "grade a run on val, or once on the sealed test set",
    "compare": "is one run better? one table, on the val pictures they share",
    "runs": "which there are: data, recipe, what was changed, val, minutes",
    "predict": "name what is in your own pictures",
    "explain": "one image at every step of the pipeline, each redone in NumPy",
    "report": "one page of pictures, mistakes, curves and what it looks at",
    "view": "the same page on this machine, to try your own pictures in it",
    "ladder": "what each part of a recipe is worth, in rungs x seeds, judged",
    "tune": "search better values of a recipe's fields, judged on fresh seeds",
    "track": "hand a run to TensorBoard, W&B, MLflow or the Hugging Face hub",
    "export": "ONNX, int8, torch and safetensors, compared with the run first",
    "recipes": "list the recipes, or show one in full",
    "models": "the networks by name: size, pixels, published weights",
    "doctor": "look for every known mistake in a run or a data set",
    "bench": "how fast it is here, each number with its conditions",
    "ledger": "who looked at the test set, when and why",
    "completion": "completes commands and options in bash, zsh or fish",
}

_WORDS = {
    "dataset": "DATA", "subject": "DATA|RUN", "recipe": "NAME|FILE.json", "name": "NAME", "set": "FIELD=VALUE …",
    "code": "FILE.py|MODULE", "budget": "TIME", "device": "DEVICE", "weights": "FILE|pretrained", "track": "TRACKER …",
}  # fmt: skip
"""What stands for a value in the help, where its type says too little."""
_BAD_USAGE = 2
_OUT_OF_MEMORY = 1
_NO_MEMORY = ("out of memory", "can't allocate memory", "Cannot allocate memory", "bad_alloc", "failed to map segment")
_WITH_BATCHES = ("train", "lr", "ladder", "tune")


def entry() -> None:
    """The console script; `snellen … | head` ends quietly."""
    _speak_to_anyone(as_json="--json" in sys.argv)
    warnings.showwarning = _show_warning
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at exit
        code = 128 + 13
    sys.exit(code)


def _speak_to_anyone(*, as_json: bool) -> None:
    """No name of a file and no old code page ends a command: text shows a ? where it must, JSON is always UTF-8.

    The only letters that UTF-8 cannot say are the stray bytes of file names, which Python reads as lone surrogates.
    Their backslash form is JSON's own spelling of them.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if as_json and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def main(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code: 0 fine, 1 failed, 2 wrong usage, 129/130/143 interrupted."""
    if arguments and arguments[0] == "help":
        arguments = [*arguments[1:2], "--help"]  # help VERB is VERB --help
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_help())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"snellen {VERSION}")
        return 0
    verb, rest = arguments[0], list(arguments[1:])
    for option in ("--set", "--to", "--track", "--grid", "--space"):
        rest = _gather(rest, option)
    as_json = "--json" in rest
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        return _fail(f"There is no command {verb!r}. {hint}List them: snellen --help", _BAD_USAGE, as_json)
    if verb != "train" and os.environ.get("WORLD_SIZE", "1") != "1":
        sentence = f"Only snellen train shares its work under torchrun; start {verb} without it."
        return _fail(sentence, _BAD_USAGE, as_json)
    try:
        module = importlib.import_module(f"snellen.cli.{verb}")
        words = getattr(module, "completed", list)(rest)
        arguments = _parse(module.Args, words, verb)
        for code in getattr(arguments, "code", ()):  # what --code names is its user's word that it may run
            importlib.import_module("snellen.parts").allow(code)
        return int(module.run(arguments))
    except SnellenError as error:
        return _fail(str(error), error.exit_code, as_json)
    except KeyboardInterrupt as stopped:
        exit_code = getattr(stopped, "exit_code", None)
        if exit_code is None:
            return _fail("Stopped.", 128 + signal.SIGINT, as_json)
        # train.interrupt.Interrupted, which is not imported here
        return _fail(f"Stopped by {stopped}; the run is saved and can be resumed.", exit_code, as_json)
    except Exception as error:
        return _outside_error(error, verb, as_json)


def _outside_error(error: Exception, verb: str, as_json: bool) -> int:
    """Errors of other libraries that a user can mend; anything else is a bug and keeps its traceback."""
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        mend = "Close other programs, or go where there is more: PyTorch and the pictures must fit."
        if verb in _WITH_BATCHES:
            mend = "Use a smaller batch, for example: --set batch_size=128. Else take fewer or smaller pictures."
        return _fail(f"Out of memory. {mend}", _OUT_OF_MEMORY, as_json)
    if isinstance(error, PermissionError) and error.filename:
        return _fail(f"This user may not read or write {error.filename}. Change its owner or name another.", 1, as_json)
    raise error


def _parse(arguments_type: type[Any], arguments: list[str], verb: str) -> Any:
    import tyro

    from snellen.cli.options import LAST

    fields = arguments_type.__dataclass_fields__  # in the order of the help
    _require_no_recipe_field(arguments, fields, verb)
    _in_words(arguments_type)
    for name in [name for name in LAST if name in fields]:
        fields[name] = fields.pop(name)
    if os.environ.get("NO_COLOR") or not sys.stderr.isatty():  # tyro asks stdout alone, also for what goes to stderr
        tyro._experimental_options["ansi_codes"] = False
    try:
        given = tyro.cli(
            arguments_type,
            args=arguments,
            prog=f"snellen {verb}",
            description=f"snellen {verb}: {VERBS[verb]}.",
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone),
        )
    except SystemExit as error:
        raise SystemExit(_BAD_USAGE if error.code else 0) from None
    return _with_user_paths(given)


def _in_words(holder: type[Any]) -> None:
    """Placeholders of the help in words, and no default where there is none."""
    import tyro

    def said(default: str) -> str:
        return "" if default in ("None", "", "False") else f"(default: {default})"

    hints = typing.get_type_hints(holder, include_extras=True)
    for name, hint in hints.items():
        if isinstance(factory := holder.__dataclass_fields__[name].default_factory, type) and factory is not tuple:
            _in_words(factory)
        kind = next((each for each in ("Literal", "bool", "tuple", "Path", "int", "float") if each in str(hint)), "str")
        words = "RUN …" if (name, kind) == ("runs", "tuple") else _WORDS.get(name)
        words = words or {"Path": "PATH", "int": "NUMBER", "float": "NUMBER", "str": "TEXT"}.get(kind)
        hints[name] = typing.Annotated[hint, tyro.conf.arg(metavar=words, help_behavior_hint=said)]
    holder.__annotations__ = hints


def _require_no_recipe_field(arguments: Sequence[str], options: Iterable[str], verb: str) -> None:
    from snellen.recipes.recipe import Recipe

    for word in arguments if "set" in options else ():
        name = word.removeprefix("--").partition("=")[0].replace("-", "_")
        if word.startswith("--") and name not in options and name in Recipe.__dataclass_fields__:
            raise UsageError(f"{word.partition('=')[0]} is a field of the recipe: snellen {verb} … --set {name}=…")


def _with_user_paths(given: Any) -> Any:
    """Arguments in which every path is as the user means it, `--runs='~/r'` too, where no shell has looked at it."""
    if isinstance(given, Path):
        return user_path(given)
    if isinstance(given, tuple):
        return tuple(map(_with_user_paths, given))
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        values = {one.name: _with_user_paths(getattr(given, one.name)) for one in dataclasses.fields(given)}
        return dataclasses.replace(given, **values)
    return given


def _gather(arguments: list[str], option: str) -> list[str]:
    """`--set a=1 --set b=2` as `--set a=1 b=2`: the parser would keep the last one and drop the others unsaid."""
    values: list[str] = []
    others: list[str] = []
    taking = False
    for argument in arguments:
        if argument.startswith("--"):
            taking = argument == option
        if argument != option:
            (values if taking else others).append(argument)
    return [*others, option, *values] if option in arguments else arguments


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items())
    return f"""Snellen: an eye test for image classifiers.

usage: snellen COMMAND …        snellen COMMAND --help

{verbs}

Start with:
  snellen demo
  snellen train eyechart
  snellen train cifar10 --recipe sprint"""


def _fail(sentence: str, code: int, as_json: bool) -> int:
    with contextlib.suppress(OSError):  # where the terminal is gone, the exit code still says it
        if as_json:
            print(json.dumps({"error": sentence, "exit_code": code}))
        else:
            _say(sentence)
    return code


_others_warnings = warnings.showwarning


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Ours as one sentence; those of libraries as Python shows them."""
    if issubclass(category, SnellenWarning):
        _say(str(message))
    else:
        _others_warnings(message, category, *where, **more)


def _say(sentence: str) -> None:
    from snellen.show.text import visible_lines

    sentence = visible_lines(sentence)  # it may quote a file
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    print(f"\033[31msnellen:\033[0m {sentence}" if colour else f"snellen: {sentence}", file=sys.stderr)
