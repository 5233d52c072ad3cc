"""`snellen models`: the networks by name, how large each is, and which come with weights that know something."""

from __future__ import annotations

from dataclasses import dataclass

from snellen.cli.options import WithCode
from snellen.show.text import print_json

_CLASSES, _SIDE, _PHOTOGRAPHS = 10, 32, 224  # pixels a side, of networks for small pictures and for photographs


@dataclass(frozen=True, kw_only=True)
class Args(WithCode):
    """What `snellen models` takes."""


def run(args: Args) -> int:
    """List ours, those of installed packages, and those of --code."""
    from rich.table import Table

    from snellen.models.catalog import ModelSpec, build
    from snellen.models.pretrained import PUBLISHED
    from snellen.parts import known
    from snellen.show.text import new_console

    rows = []
    table = Table("model", "parameters", "pixels", "weights", box=None, pad_edge=False, header_style="dim")
    for name in known("model"):
        weights = PUBLISHED[name].learned_from if name in PUBLISHED else None
        side = _PHOTOGRAPHS if weights else _SIDE
        model = build(ModelSpec(name, (side, side, 3), _CLASSES, (0.5,) * 3, (0.25,) * 3), seed=0)
        count = sum(parameter.numel() for parameter in model.parameters())
        rows.append({"name": name, "parameters": count, "side": side, "weights": weights})
        table.add_row(name, f"{count:>10,}", str(side), weights)
    if args.json:
        print_json(rows)
        return 0
    new_console().print(table)
    print(f"For {_CLASSES} classes. Also timm:NAME and torchvision:NAME where those are installed, and your")
    print("own (docs/own.md). To train one: snellen train DATA --set model=NAME")
    return 0
