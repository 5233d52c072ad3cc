"""`snellen doctor DATA|RUN`: every known mistake, looked for; each with evidence and a way out."""

from __future__ import annotations

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
    from snellen.guards.guard import GuardResult


@dataclass(frozen=True, kw_only=True)
class Args(AboutData):
    """What `snellen doctor` takes."""

    subject: Annotated[str | None, tyro.conf.Positional] = None
    """A data set (cifar10, eyechart, a folder of your own pictures) or the folder of a run."""
    ledger: Path | None = None
    """The ledger's file; else $SNELLEN_LEDGER, else ledger.jsonl beside the run."""
    device: str = "cpu"
    """Where a run's model answers a few images: cpu, auto, cuda or mps."""


def run(args: Args) -> int:
    """Judge; exit code 1 when a guard failed with more than a note."""
    if args.subject is None:
        raise UsageError("Whose doctor? snellen doctor cifar10, or snellen doctor runs/NAME")
    from snellen.guards.guard import summary
    from snellen.serialize import to_json
    from snellen.show.terminal import show_guard_results
    from snellen.show.text import new_console

    results = _judge(args, args.subject)
    if args.json:
        print_json({"subject": args.subject, "summary": summary(results), "results": to_json(results)})
    else:
        show_guard_results(new_console(), results, passed=True)
    return int(any(result.passed is False and result.severity != "note" for result in results))


def _judge(args: Args, subject: str) -> Sequence[GuardResult]:
    from snellen.data.catalog import NAMES

    folder = user_path(subject)
    if (folder / "run.json").is_file():
        return _judge_run(args, folder)
    if subject not in NAMES and not folder.exists() and ("/" in subject or "\\" in subject):
        from snellen.runs.run import open_run

        open_run(folder)  # says which runs there are
    from snellen.data.splits import split
    from snellen.guards.check import check_data
    from snellen.show.progress import Progress

    if args.ledger is not None:
        raise UsageError("--ledger has no effect on a data set; only runs are held against the ledger. Leave it out.")
    dataset = args.load(subject, Progress(quiet=True))
    return check_data(split(dataset), data=args.data)


def _judge_run(args: Args, folder: Path) -> Sequence[GuardResult]:
    if args.own_pictures != OwnPictures():
        raise UsageError(
            f"--size, --fit, --test-fraction and --strict have no effect on {folder}, whose pictures are read as they "
            "were for its training. Leave them out."
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
