"""`snellen predict RUN PICTURE…`: the most probable classes of your own pictures."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

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
    csv: Path | None = None
    """Write a table as well, a row per picture: its class, how probable, and whether it is unlike the training's."""
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
    if args.csv is not None:
        from snellen.paths import user_path
        from snellen.runs.atomic import write_text

        write_text(user_path(args.csv), _table(results))
    if args.json:
        print_json(results)
    else:
        _print(results)
    return int(any("error" in result for result in results))


def _table(results: list[dict[str, Any]]) -> str:
    """The results as CSV; a cell is empty where there is nothing to say."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["picture", "class", "probability", "unfamiliar", "farther_than", "error"])
    for result in results:
        best, told = (result.get("top") or [{}])[0], result.get("familiarity") or {}
        unfamiliar = {True: "yes", False: "no"}.get(told.get("unfamiliar"), "")  # type: ignore[arg-type]
        known = [best.get("class", ""), best.get("probability", ""), unfamiliar, told.get("farther_than", "")]
        rows.writerow([result["picture"], *known, result.get("error", "")])
    return text.getvalue()


def _print(results: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from snellen.show.text import new_console

    console = new_console()
    for result in results:
        console.print(Text(str(result["picture"]), style="bold"), soft_wrap=True)
        if "error" in result:
            console.print(Text(f"  {result['error']}", style="red"), soft_wrap=True)
            continue
        rows = result["top"]
        width = max(len(row["class"]) for row in rows)
        for row in rows:
            bar = "█" * round(30 * row["probability"])
            console.print(Text(f"  {row['class']:<{width}}  {100 * row['probability']:5.1f} %  {bar}"))
        if (told := result["familiarity"]) and told["unfamiliar"]:
            console.print(Text(f"  {told['words']}", style="yellow"), soft_wrap=True)
