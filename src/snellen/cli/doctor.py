"""`snellen doctor DATA|RUN`: every known mistake, looked for; each with evidence and a way out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from snellen.cli.options import AboutData, OwnPictures
from snellen.errors import DataNotFound, UsageError
from snellen.paths import user_path
from snellen.show.text import print_json

if TYPE_CHECKING:
    from rich.console import Console

    from snellen.guards.copies import Copies
    from snellen.guards.guard import GuardResult

_SHOWN = 5
_LABELS_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Args(AboutData):
    """What `snellen doctor` takes."""

    subject: Annotated[str | None, tyro.conf.Positional] = None
    """Data by name (snellen data list), FILE.py:FUNCTION or the path of your own pictures; or the folder of a run."""
    ledger: Path | None = None
    """The ledger's file; else $SNELLEN_LEDGER, else ledger.jsonl beside the run."""
    labels: bool = False
    """Look for wrong labels in train and val instead, by answers of a network that did not learn from each picture."""
    csv: Path | None = None
    """Write a table: every pair of copies in a data set; with --labels every doubted label, to be filled in."""
    device: str = "cpu"
    """Where a run's model answers a few images: cpu, auto, cuda or mps."""


def run(args: Args) -> int:
    """Judge; exit code 1 when a guard failed with more than a note."""
    if args.subject is None:
        raise UsageError("Whose doctor? snellen doctor cifar10, or snellen doctor runs/NAME")
    if args.labels:
        return _labels(args, args.subject)
    from snellen.guards.copies import CopyPair
    from snellen.guards.guard import summary
    from snellen.runs.atomic import write_text
    from snellen.serialize import to_csv, to_json
    from snellen.show.terminal import show_guard_results
    from snellen.show.text import new_console

    results, copies = _judge(args, args.subject)
    if args.csv is not None:
        columns = [field.name for field in dataclasses.fields(CopyPair)]
        write_text(user_path(args.csv), to_csv(columns, map(to_json, copies.pairs if copies else ())))
    if args.json:
        found = {"subject": args.subject, "summary": summary(results), "results": to_json(results)}
        print_json(found if copies is None else found | {"copies": to_json(copies)})
    else:
        console = new_console()
        show_guard_results(console, results, passed=True)
        _show_copies(console, copies)
    return int(any(result.passed is False and result.severity != "note" for result in results))


def _labels(args: Args, subject: str) -> int:
    """Doubted labels; nothing is changed and nothing is decided, so the exit code is 0."""
    from snellen.data.corrections import COLUMNS
    from snellen.runs.atomic import write_text
    from snellen.serialize import to_csv, to_json
    from snellen.show.progress import Progress
    from snellen.show.terminal import show_label_issues, show_line
    from snellen.show.text import new_console
    from snellen.train.out_of_fold import doubted_labels

    if (user_path(subject) / "run.json").is_file() or args.ledger is not None:
        raise UsageError(
            "--labels is for a data set: snellen doctor DATA --labels; of a run: snellen report RUN --labels"
        )
    progress = Progress(quiet=args.json, brief=True)
    dataset = args.load(subject, progress)
    progress.begin(steps=len(dataset.train), done=0, images_per_step=1)
    try:
        found = doubted_labels(dataset, device=args.device, progress=progress.advance).suspects
    finally:
        progress.end()
    if args.csv is not None:
        write_text(user_path(args.csv), to_csv([*COLUMNS, "suggested"], [each.correction for each in found]))
    if args.json:
        issues = [to_json(each.issue) | {"hash": each.hash, "nearest": to_json(each.nearest)} for each in found]
        print_json({"subject": subject, "images": len(dataset.train), "count": len(found), "issues": issues})
        return 0
    console, images = new_console(), len(dataset.train)
    if found:
        show_label_issues(console, [each.issue for each in found[:_LABELS_SHOWN]])
        console.print()
    more = f", the first {_LABELS_SHOWN} of them above" if len(found) > _LABELS_SHOWN else ""
    show_line(
        console, "labels", f"{len(found):,} of {images:,} in train and val are doubted{more}. Look before you act."
    )
    if found and args.csv is None:
        show_line(
            console, "next", "snellen report RUN --labels shows them in a page, beside their pictures, to be marked"
        )
        show_line(console, "", f"or as a table: snellen doctor {subject} --labels --csv corrections.csv")
    elif found:
        show_line(console, "next", f"fill in the column new of {args.csv}, with the right class or - to leave it out:")
        show_line(console, "", f"snellen train {subject} --corrections {args.csv}")
    return 0


def _show_copies(console: Console, copies: Copies | None) -> None:
    from snellen.show.terminal import show_line

    pairs = copies.pairs if copies else ()
    for number, pair in enumerate(pairs[:_SHOWN]):
        show_line(console, "copies" if number == 0 else "", str(pair))
    if len(pairs) > _SHOWN:
        show_line(console, "", f"and {len(pairs) - _SHOWN:,} more: all are in --csv PATH and --json")


def _judge(args: Args, subject: str) -> tuple[Sequence[GuardResult], Copies | None]:
    """The results; and for a data set the copies in it."""
    from snellen.data.catalog import reference

    folder = user_path(subject)
    if (folder / "run.json").is_file():
        if args.csv is not None:
            raise UsageError("--csv writes the copies in a data set: snellen doctor DATA --csv PATH")
        return _judge_run(args, folder), None
    if reference(subject) is None and not folder.exists() and ("/" in subject or "\\" in subject):
        from snellen.runs.run import open_run

        open_run(folder)  # says which runs there are
    from snellen.data.splits import split
    from snellen.guards.check import check_data
    from snellen.guards.copies import find_copies
    from snellen.guards.duplicates import MOST_COMPARED
    from snellen.show.progress import Progress

    if args.ledger is not None or args.device != Args.device:
        raise UsageError("--ledger and --device have no effect on a data set; they are for runs. Leave them out.")
    parts = split(args.load(subject, Progress(quiet=True)))
    few = len(parts.train) <= MOST_COMPARED
    copies = find_copies(parts.train, parts.val, parts.test, within_train=few or args.csv is not None)
    return check_data(parts, copies, data=args.data), copies


def _judge_run(args: Args, folder: Path) -> Sequence[GuardResult]:
    if args.own_pictures != OwnPictures() or args.corrections is not None or args.subset is not None:
        raise UsageError(
            f"--size, --fit, --test-fraction, --strict, --subset and --corrections have no effect on {folder}: its "
            "pictures are read as they were for its training. Leave them out."
        )
    from snellen.data.run_images import images_of
    from snellen.evaluate.test_set import ledger_of
    from snellen.guards.check import check_run
    from snellen.models.device import choose_device
    from snellen.runs.run import open_run

    judged = open_run(folder)
    try:
        images = images_of(judged, args.data)
    except DataNotFound:
        images = None
    return check_run(
        judged, images, ledger=ledger_of(judged, args.ledger), device=choose_device(args.device), data=args.data
    )
