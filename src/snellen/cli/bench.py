"""`snellen bench [SUBJECT …]`: how fast it is here, each number with its conditions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from snellen.bench.catalog import Settings, chosen, measure
from snellen.cli.options import AsJson
from snellen.errors import UsageError
from snellen.show.text import print_json

if TYPE_CHECKING:
    from snellen.bench.protocol import Measurement


@dataclass(frozen=True, kw_only=True)
class Args(AsJson, Settings):
    """What `snellen bench` takes."""

    subjects: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """import, load, augment, step, predict (these without a name), memory."""
    out: Path | None = None
    """Write everything as JSON into this file, with the environment: results/speed/….json"""


def run(args: Args) -> int:
    """Measure, show each subject's table when it is done, write the file line by line."""
    names = chosen(args.subjects, args)
    if args.out is not None and (args.out.is_dir() or args.out.suffix != ".json"):
        raise UsageError(
            f"--out {args.out} is not a .json file. Write for example --out results/speed/{args.out.stem or 'new'}.json"
        )
    from snellen.bench.protocol import document, table
    from snellen.runs.atomic import write_json

    found: list[Measurement] = []
    for name in names:
        before = len(found)
        for line in measure(name, args):
            found.append(line)
            if args.out is not None:
                write_json(args.out, document(found, quick=args.quick))
        if not args.json:
            print(table(found[before:]), flush=True)
    if args.json:
        print_json(document(found, quick=args.quick))
    elif args.quick:
        print(
            "Quick: small sizes and few repeats. For numbers to publish, leave out --quick and leave the machine alone."
        )
    return 0
