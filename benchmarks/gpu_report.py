"""All GPU measurements of this project in one call, in less than eight minutes, with PyTorch, NumPy and Pillow.

    python -m benchmarks.gpu_report --data DIR --out DIR

Each section has a share of the time, writes its own JSON line by line, and is left out when the time is out. A cell
that was not measured says so. Nothing has to be installed: run it from the
repository's root with PYTHONPATH=src.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_sections import SECTIONS, Plan
from benchmarks.script import say
from benchmarks.substitutes import dataset_in
from snellen.bench.catalog import Settings
from snellen.bench.protocol import Measurement, conditions_here, table
from snellen.errors import DataNotFound, SnellenError
from snellen.models.catalog import options_of
from snellen.recipes.catalog import RECIPES
from snellen.recipes.recipe import Recipe
from snellen.runs.atomic import write_json, write_text
from snellen.runs.environment import describe_environment
from snellen.serialize import to_json

_MINUTES = 7.5  # "under 8", and a section may overrun by one line
_STEP_RECIPES = ("sprint", "marathon", "resnet18", "small_cnn", "mlp", "plain")
_LETTERS, _DRY_LETTERS = 50_000, 200


def report(plan: Plan, out: Path, *, minutes: float, available: str | None) -> list[Measurement]:
    """Measure section by section and write `SECTION.json` and `table.txt` into `out`.

    Args:
        plan: what is measured.
        out: folder; made where it is missing.
        minutes: for everything.
        available: why nothing can be measured at all, or None.
    """
    end = time.monotonic() + 60 * minutes
    found: list[Measurement] = []
    for name, section in SECTIONS.items():
        now = time.monotonic()
        reason = available or ("the time was out" if now >= end else None)
        bounded = replace(plan, until=min(end, now + 60 * minutes * section.share))
        lines = [_not_measured(name, reason)] if reason else _measure(name, bounded, out)
        _write(name, lines, out)
        found += lines
        write_text(out / "table.txt", table(found) + "\n")
    return found


def _measure(name: str, plan: Plan, out: Path) -> list[Measurement]:
    lines: list[Measurement] = []
    try:
        for line in SECTIONS[name].measure(plan):
            lines.append(line)
            _write(name, lines, out)
            if plan.expired and SECTIONS[name].many:
                lines.append(_not_measured(name, "the section's time was out: what would follow is missing"))
                break
    except (SnellenError, RuntimeError, OSError) as error:  # one section must not cost the others
        lines.append(_not_measured(name, f"failed: {str(error).splitlines()[0]}"))
    return lines


def _not_measured(name: str, reason: str) -> Measurement:
    return Measurement(
        name, "the rest" if "missing" in reason else name, {"result": None}, conditions_here(), note=reason
    )


def _write(name: str, lines: Sequence[Measurement], out: Path) -> None:
    environment = {**describe_environment(), "command": "python -m benchmarks.gpu_report"}
    document: dict[str, Any] = {
        "environment": environment,
        "measurements": to_json(lines),
    }
    write_json(out / f"{name}.json", document)


def make_plan(asked: argparse.Namespace) -> Plan:
    """The plan of a command line; a dry run has tiny recipes, letters and the CPU.

    Raises:
        DataNotFound: CIFAR-10 is not where it was said to be.
    """
    data: Path | None = asked.data
    if asked.dry_run:
        dataset, data = dataset_in(None, letters=_DRY_LETTERS), None
    elif data is None:
        dataset = dataset_in(None, letters=_LETTERS)
    else:
        dataset = dataset_in(data)
    return Plan(
        dataset=dataset,
        data=data,
        recipes={name: _tiny(RECIPES[name]) if asked.dry_run else RECIPES[name] for name in _STEP_RECIPES},
        settings=Settings(device="cpu" if asked.dry_run else "cuda", quick=asked.dry_run),
        warm_seeds=2 if asked.dry_run else asked.seeds,
        val_seeds=2 if asked.dry_run else 10,
        cold_runs=1 if asked.dry_run else 3,
        long_runs=1 if asked.dry_run else 3,
        reason=None if asked.dry_run else asked.reason,
        ledger=asked.out / "ledger.jsonl",
        until=0.0,
    )


def _tiny(recipe: Recipe) -> Recipe:
    stages = len(options_of(recipe.model)["widths"])
    return recipe.replace(batch_size=8, epochs=0.25, widths=(8,) * stages)


def main(arguments: Sequence[str]) -> int:
    """Run the report and print its table; exit code 0 also where there is no GPU: the table then says so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_report", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10; without it letters stand in for pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for the JSON files and table.txt")
    parser.add_argument("--minutes", type=float, default=_MINUTES, help="for everything")
    parser.add_argument("--seeds", type=int, default=50, help="warm trainings")
    parser.add_argument("--reason", help="open the test set once for the warm trainings, with this line in the ledger")
    parser.add_argument("--dry-run", action="store_true", help="every section with tiny settings on the CPU")
    asked = parser.parse_args(arguments)
    try:
        plan = make_plan(asked)
        no_gpu = None if asked.dry_run or torch.cuda.is_available() else "no GPU at hand"
        found = report(plan, asked.out, minutes=asked.minutes, available=no_gpu)
    except (DataNotFound, SnellenError) as error:
        return say(error)
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
