"""`snellen completion bash|zsh|fish`: a script that completes commands and options with the Tab key."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import tyro

from snellen.cli.options import AsJson

Shell = Literal["bash", "zsh", "fish"]


@dataclass(frozen=True, kw_only=True)
class Args(AsJson):
    """What `snellen completion` takes."""

    shell: Annotated[Shell, tyro.conf.Positional]
    """bash: put `eval "$(snellen completion bash)"` into ~/.bashrc. zsh: write the output into a file _snellen in a
    folder of $fpath. fish: write it into ~/.config/fish/completions/snellen.fish."""


def run(args: Args) -> int:
    """Print the script."""
    text = script(args.shell)
    print(json.dumps({"shell": args.shell, "script": text}) if args.json else text)
    return 0


def script(shell: Shell) -> str:
    """The completion script, as tyro makes it from the options of every command."""
    from snellen.cli.main import VERBS

    commands: list[Any] = [
        Annotated[
            importlib.import_module(f"snellen.cli.{verb}").Args,
            tyro.conf.subcommand(name=verb, prefix_name=False, description=summary),
        ]
        for verb, summary in VERBS.items()
    ]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        tyro.cli(
            Union[tuple(commands)],  # noqa: UP007 - made at run time
            prog="snellen",
            args=["--tyro-print-completion", shell],
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
        )  # type: ignore[call-overload]
    return out.getvalue().rstrip("\n")
