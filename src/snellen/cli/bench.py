"""`snellen bench [SUBJECT …]`: how fast it is here, each number with its conditions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from snellen.bench.catalog import chosen, require_effect
from snellen.bench.settings import Settings
from snellen.errors import UsageError

if TYPE_CHECKING:
    from snellen.bench.measurement import Measurement


@dataclass(frozen=True)
class Args:
    """What `snellen bench` takes."""

    subjects: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """import, load, augment, step, predict (these without a name), memory, scale, to-accuracy."""
    quick: bool = False
    """Small sizes and few repeats: the order of magnitude, in seconds."""
    recipe: str | None = None
    """Measure this recipe instead of each subject's own choice."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    dataset: str = "cifar10"
    """For memory and to-accuracy: cifar10 or eyechart."""
    data: Path | None = None
    """Where the files are; else $SNELLEN_DATA, ./data and the cache are searched."""
    seeds: int = 3
    """For to-accuracy: trainings in one process; the first is cold, the others are warm."""
    final: bool = False
    """For to-accuracy: train on train + val."""
    reason: str | None = None
    """For to-accuracy --final: open the test set once, through the ledger, with this line in it."""
    ledger: Path | None = None
    """The ledger's file; else $SNELLEN_LEDGER, else ledger.jsonl beside the runs."""
    runs: Path = Path("runs/bench")
    """For to-accuracy: folder for its run folders."""
    peer: Path | None = None
    """For to-accuracy: a Python file that takes turns with our trainings; docs/bench.md says how."""
    peer_seeds: int | None = None
    """For to-accuracy --peer: its trainings, in the first turns; else as many as ours."""
    out: Path | None = None
    """Write everything as JSON into this file, with the environment: results/speed/….json"""
    json: bool = False
    """Print everything as JSON on stdout."""


def run(args: Args) -> int:
    """Measure, show each subject's table when it is done, write the file."""
    names = chosen(args.subjects)
    settings = Settings(
        device=args.device, quick=args.quick, data=args.data, dataset=args.dataset, recipe=args.recipe,
        seeds=args.seeds, final=args.final, reason=args.reason, ledger=args.ledger, runs=args.runs,
        peer=args.peer, peer_seeds=args.peer_seeds,
    )  # fmt: skip
    require_effect(names, settings)
    _require_writable(args.out)
    from snellen.bench.catalog import measure
    from snellen.bench.measurement import table

    found: list[Measurement] = []
    for name in names:
        lines = []
        for line in measure(name, settings):
            lines.append(line)
            _write(args.out, [*found, *lines], settings)
        found += lines
        if not args.json:
            print(table(lines), flush=True)
    _draw(args.out, found)
    if args.json:
        print(json.dumps(_document(found, settings), ensure_ascii=False))
    elif args.quick:
        print(
            "Quick: small sizes and few repeats. For numbers to publish, leave out --quick and leave the machine alone."
        )
    return 0


def _require_writable(out: Path | None) -> None:
    """Hours of measuring should not end with a wrong path."""
    if out is None:
        return
    if out.is_dir() or out.suffix != ".json":
        raise UsageError(
            f"--out {out} is not a .json file. Write for example --out results/speed/{out.stem or 'new'}.json"
        )


def _write(out: Path | None, found: list[Measurement], settings: Settings) -> None:
    if out is None:
        return
    from snellen.runs.atomic import write_json

    write_json(out, _document(found, settings))


def _draw(out: Path | None, found: list[Measurement]) -> None:
    """The picture of `scale`, beside the file."""
    lines = [line for line in found if line.subject == "scale"]
    if out is None or not lines:
        return
    from snellen.bench.scale_plot import scale_png

    scale_png(out.with_suffix(".png"), lines)


def _document(found: list[Measurement], settings: Settings) -> dict[str, Any]:
    from snellen.runs.environment import describe_environment
    from snellen.runs.redact_paths import redact_paths

    document = {
        "environment": describe_environment(),
        "quick": settings.quick,
        "measurements": [one.to_json() for one in found],
    }
    return redact_paths(document)  # type: ignore[no-any-return]
