"""`snellen export RUN`: the model for other tools, compared with the run before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from snellen.cli.options import WithCode
from snellen.show.text import print_json

if TYPE_CHECKING:
    from snellen.export.write import Export
    from snellen.metrics.intervals import Rate


@dataclass(frozen=True, kw_only=True)
class Args(WithCode):
    """What `snellen export` takes."""

    run: Annotated[Path, tyro.conf.Positional]
    """A finished run folder."""
    to: tuple[Literal["onnx", "int8", "torch", "safetensors", "all"], ...] = ("onnx",)
    """One or several: --to onnx int8. torch is torch.export's .pt2."""
    out: Path | None = None
    """The folder to write into; by default RUN/export."""
    data: Path | None = None
    """Where the data are, if not where they were: val images for the comparison, training images for int8."""
    ledger: Path | None = None
    """The ledger's file, for the card's line about test; else $SNELLEN_LEDGER, else ledger.jsonl beside the runs."""
    json: bool = False
    """Print what was written and how it compares as JSON on stdout."""


def run(args: Args) -> int:
    """Export; a file that disagrees with the run is not left on disk and makes the exit code 1."""
    from snellen.errors import UsageError
    from snellen.export.write import export_run
    from snellen.runs.run import open_run
    from snellen.show.text import new_console

    if not args.to:
        raise UsageError("To what? snellen export RUN --to onnx")
    console = new_console(stderr=True, quiet=args.json)
    export = export_run(
        open_run(args.run),
        args.to,
        args.out,
        data=args.data,
        ledger=args.ledger,
        say=lambda text: console.print(text, style="dim", soft_wrap=True),
    )
    if args.json:
        print_json(export)
    else:
        _print(export)
    return int(bool(export.refused))


def _print(export: Export) -> None:
    from rich.table import Table
    from rich.text import Text

    from snellen.show.text import new_console

    console = new_console()
    first = export.parities[0]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("file", no_wrap=True)
    for column in ("size", f"{first.split} accuracy", "minus PyTorch"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_row("PyTorch fp32", "", _percent(first.accuracy.first), "", style="dim")
    for one in export.parities:
        paired = one.accuracy
        difference = f"{100 * paired.value:+.2f} ({100 * paired.low:+.2f} to {100 * paired.high:+.2f})"
        size = f"{export.sizes[one.file] / 1e6:.2f} MB" if one.file in export.sizes else "refused"
        table.add_row(one.file, size, _percent(paired.second), difference)
    console.print(table)
    console.print(f"95 % intervals, n={first.accuracy.first.n}; the difference is paired, in points", style="dim")
    for one in export.refused:
        console.print(Text(str(one.refusal), style="red"), soft_wrap=True)
    console.print(f"\nfolder   {export.folder}     (parity.json, MODEL_CARD.md)", soft_wrap=True)
    if "model.onnx" in export.sizes:
        name = export.folder / "model.onnx"
        console.print(f"next     python examples/predict_onnx.py {name} YOUR_PICTURE.jpg", soft_wrap=True)


def _percent(rate: Rate) -> str:
    return rate.text(2).rpartition(",")[0] + ")"
