"""`snellen predict RUN PICTURE…`: the most probable classes of your own pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snellen.cli.options import AsJson
from snellen.errors import InvalidSetting, UsageError
from snellen.show.text import print_json


@dataclass(frozen=True, kw_only=True)
class Args(AsJson):
    """What `snellen predict` takes."""

    run: Annotated[Path, tyro.conf.Positional]
    """A run folder with weights."""
    pictures: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Picture files, or folders of them, with their subfolders."""
    top: int = 5
    """How many classes to show."""
    fit: Literal["crop", "pad", "squash"] | None = None
    """How a picture becomes square: the middle, with grey bars, or stretched. By default as in training."""
    tta: bool = False
    """Average over the recipe's test-time views."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print one JSON list on stdout, an entry per picture."""


def run(args: Args) -> int:
    """Predict; unreadable pictures are named and skipped, and make the exit code 1."""
    if args.top < 1:
        raise InvalidSetting(f"--top {args.top} is not possible: 1 or more.")
    from snellen.predict.own_pictures import predict_pictures
    from snellen.runs.run import open_run

    if not args.pictures:
        raise UsageError("Which picture? snellen predict RUN cat.jpg")
    run = open_run(args.run)
    results = predict_pictures(run, args.pictures, fit=args.fit, top=args.top, tta=args.tta, device=args.device)
    if args.json:
        print_json(results)
    else:
        _print(results)
    return int(any("error" in result for result in results))


def _print(results: list[dict[str, object]]) -> None:
    from rich.text import Text

    from snellen.show.text import new_console

    console = new_console()
    for result in results:
        console.print(Text(str(result["picture"]), style="bold"), soft_wrap=True)
        if "error" in result:
            console.print(Text(f"  {result['error']}", style="red"), soft_wrap=True)
            continue
        rows = result["top"]
        assert isinstance(rows, list)
        width = max(len(row["class"]) for row in rows)
        for row in rows:
            bar = "█" * round(30 * row["probability"])
            console.print(Text(f"  {row['class']:<{width}}  {100 * row['probability']:5.1f} %  {bar}"))
