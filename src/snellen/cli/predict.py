"""`snellen predict RUN PICTURE…`: the most probable classes of your own pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from snellen.cli.options import WithCode
from snellen.errors import InvalidSetting, UsageError
from snellen.serialize import to_csv
from snellen.show.text import print_json


@dataclass(frozen=True, kw_only=True)
class Args(WithCode):
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
    target_accuracy: float | None = None
    """Reject unsure answers: those given reach this accuracy on val, such as 0.99."""
    csv: Path | None = None
    """Write a table as well, a row per picture: classes, how probable, whether rejected or unlike the training's."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print one JSON list on stdout, an entry per picture."""


def run(args: Args) -> int:
    """Predict; unreadable pictures are named and skipped, and make the exit code 1."""
    if args.top < 1:
        raise InvalidSetting(f"--top {args.top} is not possible: 1 or more.")
    from snellen.metrics.confidence import reject_rule_of
    from snellen.predict.own_pictures import predict_pictures
    from snellen.runs.run import open_run
    from snellen.show.terminal import show_paragraph
    from snellen.show.text import new_console

    if not args.pictures:
        raise UsageError("Which picture? snellen predict RUN cat.jpg")
    run = open_run(args.run)
    rule = None if args.target_accuracy is None else reject_rule_of(run, args.target_accuracy, tta=args.tta)
    results = predict_pictures(run, args.pictures, fit=args.fit, top=args.top, tta=args.tta, device=args.device)
    for result in results:
        if rule is not None and "top" in result:
            result["rejected"] = result["top"][0]["probability"] < rule.threshold
    if args.csv is not None:
        from snellen.paths import user_path
        from snellen.runs.atomic import write_text

        write_text(user_path(args.csv), _table(results, args.top))
    if args.json:
        print_json(results)
    else:
        _print(results)
    if rule is not None:
        show_paragraph(new_console(stderr=True), str(rule))
    return int(any("error" in result for result in results))


def _table(results: list[dict[str, Any]], top: int) -> str:
    """The results as CSV; a cell is empty where there is nothing to say."""
    said, rows = {True: "yes", False: "no", None: ""}, []
    most = min(top, max(len(result.get("top", ())) for result in results))
    pairs = [f"{name}_{place}" for place in range(2, most + 1) for name in ("class", "probability")]
    named = ["picture", "class", "probability", "rejected", "unfamiliar", "farther_than", "error", *pairs]
    for result in results:
        told = result.get("familiarity") or {}
        row = {"picture": result["picture"], "farther_than": told.get("farther_than"), "error": result.get("error")}
        row |= {"rejected": said[result.get("rejected")], "unfamiliar": said[told.get("unfamiliar")]}
        for place, best in enumerate(result.get("top", ()), start=1):
            row |= {name if place == 1 else f"{name}_{place}": value for name, value in best.items()}
        rows.append(row)
    return to_csv(named, rows)


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
        if result.get("rejected"):
            console.print(Text("  rejected: not sure enough", style="yellow"), soft_wrap=True)
        if (told := result["familiarity"]) and told["unfamiliar"]:
            console.print(Text(f"  {told['words']}", style="yellow"), soft_wrap=True)
