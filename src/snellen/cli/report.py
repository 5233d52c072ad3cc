"""`snellen report RUN…`: the detective page as one offline HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from snellen.errors import InvalidSetting, UsageError
from snellen.show.text import print_json


@dataclass(frozen=True)
class Args:
    """What `snellen report` takes."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Finished run folders on the same data; the first one is looked at closely."""
    out: Path | None = None
    """Where to write; by default report.html in the first run's folder."""
    data: Path | None = None
    """Where the data are, if not where they were."""
    ledger: Path | None = None
    """The ledger's file; else $SNELLEN_LEDGER, else ledger.jsonl beside the runs."""
    layer_views: int = 60
    """Pictures with activations, Grad-CAM and nearest training pictures; 0 leaves the model unread."""
    map: Literal["tsne", "umap"] | None = None
    """A second map of feature space beside the principal components; needs pip install 'snellen[map]'."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    json: bool = False
    """Print where the file is as JSON."""


def run(args: Args) -> int:
    """Write the page; returns the exit code."""
    if not args.runs:
        raise UsageError("Which run? snellen report runs/NAME")
    if args.layer_views < 0:
        raise InvalidSetting(f"--layer-views {args.layer_views} is not possible: 0 or more pictures.")
    if args.map and not args.layer_views:
        raise UsageError(f"--map {args.map} has no effect with --layer-views 0, which leaves the model unread.")
    from snellen.report.page import Options, write_report
    from snellen.runs.run import open_run
    from snellen.show.text import new_console

    console = new_console(stderr=True, quiet=args.json)
    options = Options(
        data=args.data,
        device=args.device,
        layer_views=args.layer_views,
        map=args.map,
        ledger=args.ledger,
        say=lambda text: console.print(text, style="dim", markup=False),
    )
    path = write_report([open_run(path) for path in args.runs], out=args.out, options=options)
    size = path.stat().st_size
    if args.json:
        print_json({"report": str(path), "bytes": size})
    else:
        print(f"report   {path} ({size / 1e6:.1f} MB, one file, opens without a network)")
    return 0
