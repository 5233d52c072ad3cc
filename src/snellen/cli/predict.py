"""`snellen predict RUN PICTURE…`: the most probable classes of your own pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snellen.errors import DataError, InvalidSetting, UsageError


@dataclass(frozen=True)
class Args:
    """What `snellen predict` takes."""

    run: Annotated[Path, tyro.conf.Positional]
    """A finished run folder."""
    pictures: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Picture files, or folders of them."""
    top: int = 5
    """How many classes to show."""
    fit: Literal["crop", "pad", "squash"] | None = None
    """How a picture becomes square: the middle, with grey bars, or stretched. By default as in training."""
    tta: bool = False
    """Average over the recipe's test-time views."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print one JSON list."""


def run(args: Args) -> int:
    """Predict; unreadable pictures are named and skipped, and make the exit code 1."""
    if args.top < 1:
        raise InvalidSetting(f"--top {args.top} is not possible: 1 or more.")
    from snellen.predict.own_pictures import predict_pictures
    from snellen.runs.run import open_run

    paths = _expand(args.pictures)
    results = predict_pictures(
        open_run(args.run), paths, fit=args.fit, top=args.top, tta=args.tta, device=args.device
    )  # fmt: skip
    if args.json:
        print(json.dumps(results, ensure_ascii=False))
    else:
        _print(results)
    return int(any("error" in result for result in results))


def _expand(given: tuple[Path, ...]) -> list[Path]:
    if not given:
        raise UsageError("Which picture? snellen predict RUN cat.jpg")
    paths: list[Path] = []
    for path in given:
        inside = sorted(child for child in path.iterdir() if child.is_file()) if path.is_dir() else [path]
        if not inside:
            raise DataError(f"{path} is an empty folder.")
        paths += inside
    return paths


def _print(results: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
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
