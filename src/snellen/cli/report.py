"""`snellen report RUN…`: the detective page as one offline HTML file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from snellen.cli.options import OfPage
from snellen.errors import UsageError
from snellen.show.text import print_json


@dataclass(frozen=True, kw_only=True)
class Args(OfPage):
    """What `snellen report` takes."""

    out: Path | None = None
    """Where to write; by default report.html in the first run's folder."""
    map: Literal["tsne", "umap"] | None = None
    """A second map of feature space beside the principal components; needs pip install 'snellen[map]'."""
    originals: bool = False
    """Put the mistakes into the page as they lie on the disk too, 640 pixels wide, with what the network saw framed."""


def run(args: Args) -> int:
    """Write the page; returns the exit code."""
    if args.map and not args.layer_views:
        raise UsageError(f"--map {args.map} has no effect with --layer-views 0, which leaves the model unread.")
    from snellen.report.page import write_report
    from snellen.runs.run import open_run

    options = replace(args.page_options("report"), map=args.map, originals=args.originals)
    path = write_report([open_run(path) for path in args.runs], out=args.out, options=options)
    size = path.stat().st_size
    if args.json:
        print_json({"report": str(path), "bytes": size})
    else:
        print(f"report   {path} ({size / 1e6:.1f} MB, one file, opens without a network)")
    return 0
