"""`snellen track RUN… --to TRACKER…`: hand runs to other people's pages of curves, or a model to the hub."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from snellen.cli.options import WithCode
from snellen.errors import RunError, UsageError
from snellen.show.text import print_json

if TYPE_CHECKING:
    from snellen.runs.run import Run
    from snellen.trackers.tracker import Target


@dataclass(frozen=True, kw_only=True)
class Args(WithCode):
    """What `snellen track` takes."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run folders with at least one epoch."""
    to: tuple[str, ...] = ()
    """tensorboard, wandb, wandb:online, mlflow, mlflow:URI, hub:OWNER/NAME; one or several."""
    yes: bool = False
    """hub: send it; without this, what would be sent is prepared and listed."""
    public: bool = False
    """hub: a new repository that everybody can read, instead of a private one."""
    data: Path | None = None
    """hub: where the data are, if not where they were: the export is compared on val images."""
    ledger: Path | None = None
    """hub: the ledger's file, for the card; else $SNELLEN_LEDGER, else ledger.jsonl beside the runs."""


def run(args: Args) -> int:
    """Hand over; exit code 1 when an upload was only prepared, or its export was refused."""
    from snellen.runs.run import open_run
    from snellen.trackers.tracker import TRACKERS, targets

    if not args.runs:
        raise UsageError("Which run? snellen track runs/NAME --to tensorboard")
    if not args.to:
        listed = "; ".join(f"{name} ({kind.sentence})" for name, kind in TRACKERS.items())
        raise UsageError(f"To what? {listed}. For example: snellen track RUN --to tensorboard")
    named = targets(args.to)
    _require_effect(args, named)
    runs = [open_run(path) for path in args.runs]
    for each in runs:
        if not each.journal.rows():
            raise RunError(f"{each.folder} has no epoch to hand over yet. {each.way_out}")
    lines = [_hand_over(args, each, target) for each in runs for target in named]
    if args.json:
        print_json(lines)
    return int(any(line["sent"] is False for line in lines))


def _require_effect(args: Args, named: tuple[Target, ...]) -> None:
    hub = [target for target in named if target.name == "hub"]
    if len(args.runs) > 1 and hub:
        raise UsageError(f"{hub[0]} takes one run, since a repository holds one model; these are {len(args.runs)}.")
    plain = Args(runs=args.runs, to=args.to, code=args.code, json=args.json)
    if not hub and args != plain:
        raise UsageError("--yes, --public, --data and --ledger are for hub:OWNER/NAME. Leave them out.")


def _hand_over(args: Args, each: Run, target: Target) -> dict[str, Any]:
    from snellen.trackers.callbacks import send
    from snellen.trackers.tracker import make

    if target.name == "hub":
        return _upload(args, each, target)
    tracker = make(target)
    count = send(each, target, tracker)
    line = {"run": each.name, "tracker": str(target), "rows": count, "where": tracker.where(), "sent": True}
    if not args.json:
        from snellen.paths import visible

        rows = f"{count} row{'' if count == 1 else 's'}"
        print(f"{target!s:<12} {visible(each.name)}: {rows} to {tracker.where()}")
    return line


def _upload(args: Args, each: Run, target: Target) -> dict[str, Any]:
    """Export, list and, with --yes, send; `sent` says which."""
    from snellen.export.write import export_run
    from snellen.show.text import new_console
    from snellen.trackers.callbacks import send
    from snellen.trackers.hub import Hub, files_to_upload
    from snellen.trackers.tracker import outcome_of

    console = new_console(stderr=True, quiet=args.json)
    say = lambda text: console.print(text, style="dim", soft_wrap=True)  # noqa: E731
    export = export_run(each, ["safetensors"], each.folder / "hub", data=args.data, ledger=args.ledger, say=say)
    if export.refused:
        raise RunError(f"{export.refused[0].refusal} Nothing was sent.")
    files, hub = files_to_upload(export.folder), Hub(target.place, public=args.public)
    if args.yes:
        send(each, target, hub, replace(outcome_of(each), files=files))
    if not args.json:
        for path in files:
            print(f"{path.stat().st_size:>12,} bytes  {path}")
        kind = "public" if args.public else "private"
        if args.yes:
            print(f"sent     {hub.where()}")
        else:
            print(f"nothing was sent. To {hub.where()} ({kind} if it is new): the same command with --yes")
    sizes = {path.name: path.stat().st_size for path in files}
    return {"run": each.name, "tracker": str(target), "files": sizes, "where": hub.where(), "sent": args.yes}
