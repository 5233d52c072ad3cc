"""`snellen data NAME`: what a data set holds, without opening its test half."""

from __future__ import annotations

import difflib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from snellen.cli.options import AboutData
from snellen.errors import UsageError
from snellen.show.text import print_json

_Action = Literal["list", "info", "download"]
_SWITCHES = ("-h", "--help", "--json", "--strict")  # options that take no value


@dataclass(frozen=True, kw_only=True)
class Args(AboutData):
    """What `snellen data` takes."""

    action: Annotated[_Action, tyro.conf.Positional] = "list"
    """list the data sets, describe one (info), or fetch one (download) into --data or else into the cache."""
    name: Annotated[str | None, tyro.conf.Positional] = None
    """A name (snellen data list), FILE.py:FUNCTION, or your own pictures: class folders, a table, shards, .npz."""
    sheet: Path | None = None
    """Where to write the contact sheet; by default NAME.png in this folder."""


def completed(words: list[str]) -> list[str]:
    """`snellen data ./birds` means `snellen data info ./birds`, options first or last; a mistyped action stays one."""
    at = next((i for i, word in enumerate(words) if _is_positional(word, words[i - 1] if i else "")), None)
    if at is None or words[at] in get_args(_Action):
        return words
    mistyped = not Path(words[at]).exists() and difflib.get_close_matches(words[at], get_args(_Action), n=1)
    return words if mistyped else [*words[:at], "info", *words[at:]]


def _is_positional(word: str, before: str) -> bool:
    value_of_option = before.startswith("-") and "=" not in before and before not in _SWITCHES
    return not word.startswith("-") and not value_of_option


def run(args: Args) -> int:
    """List, describe or download."""
    if args.action != "info" and (args.sheet, args.corrections, args.subset) != (None, None, None):
        raise UsageError("--sheet, --corrections and --subset belong to snellen data info NAME. Leave them out.")
    if args.action == "list":
        if args != Args(json=args.json, code=args.code):
            raise UsageError(
                "snellen data list takes no name and no --data or --size. About one: snellen data info NAME"
            )
        import snellen.data.catalog  # noqa: F401 - ours are registered there
        from snellen.parts import known

        print(json.dumps(known("data")) if args.json else "\n".join(known("data")))
        return 0
    if args.name is None:
        raise UsageError(f"Which data set? snellen data {args.action} cifar10")
    return _info(args, args.name) if args.action == "info" else _download(args, args.name)


def _download(args: Args, name: str) -> int:
    from snellen.show.progress import Progress

    dataset = args.load(name, Progress(quiet=args.json), download=True)
    print(json.dumps({"name": name, "source": dataset.source}) if args.json else f"{name}: {dataset.source}")
    return 0


def _info(args: Args, name: str) -> int:
    from snellen.data.catalog import describe
    from snellen.runs.atomic import write_bytes
    from snellen.show.contact_sheet import contact_sheet
    from snellen.show.progress import Progress

    dataset = args.load(name, Progress(quiet=args.json))
    about = describe(dataset)
    path = args.sheet or Path(f"{dataset.name}.png")
    sheet = io.BytesIO()
    contact_sheet(dataset.train).save(sheet, format="PNG")
    write_bytes(path, sheet.getvalue())
    if args.json:
        print_json({**about, "contact_sheet": str(path)})
    else:
        _print(about, path)
    return 0


def _print(about: dict[str, Any], sheet: Path) -> None:
    from rich.table import Table
    from rich.text import Text

    from snellen.show.text import new_console

    console = new_console()
    for sentence in about["found"]:
        console.print(Text(sentence), soft_wrap=True)
    image, splits = about["image"], about["splits"]
    console.print(Text(f"{about['name']}  {about['source']}", style="bold"), soft_wrap=True)
    console.print(f"images    {image['height']}x{image['width']}x{image['channels']} {image['dtype']}")
    for label, values in (("mean", about["mean"]), ("std", about["std"])):
        figures = " ".join(f"{value:.4f}" for value in values)
        console.print(f"{label:<10}{figures}   ({about['measured_on']['images']:,} images of train + val)")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("class")
    for split in ("train", "val"):
        table.add_column(split, justify="right")
    for name in about["classes"]:
        table.add_row(Text(name), *(f"{splits[split]['per_class'][name]:,}" for split in ("train", "val")))
    table.add_row("all", *(f"{splits[split]['images']:,}" for split in ("train", "val")), style="bold")
    console.print(table)
    test = splits["test"]
    console.print(f"test      {test['images']:,} images, sealed" if test else "test      none")
    console.print(f"sheet     {sheet}", soft_wrap=True)
