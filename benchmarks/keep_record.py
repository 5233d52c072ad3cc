"""Keep a run as evidence: its small text files, without weights, pictures or paths of this machine.

    python -m benchmarks.keep_record runs/NAME … --into results/accuracy/2026-11_cifar10

Each run becomes `NAME.json` in that folder: command, seed, commit, machine, recipe, grades and the row of every
epoch. Numbers in README and docs come from such files; tests/test_numbers.py holds the two together.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path, PurePath
from typing import Any

from benchmarks.script import say
from snellen.errors import SnellenError
from snellen.runs.atomic import write_json
from snellen.runs.environment import redact_paths
from snellen.runs.run import Run, open_run


def evidence(run: Run) -> dict[str, Any]:
    """What a reader needs to judge and to repeat a run, JSON-able.

    Raises:
        RunError: the folder is not a finished run.
    """
    info, environment = run.info, run.read("environment.json")
    # Where the files lay says nothing to anybody else; which files they were, the fingerprint says.
    info["data"]["source"] = PurePath(info["data"]["source"]).name
    grades = {
        split: _without_bulk(run.read(f"scorecard_{split}.json"))
        for split in ("val", "test")
        if (run.folder / f"scorecard_{split}.json").exists()
    }
    judged = {
        name.removesuffix(".json"): run.read(name)
        for name in ("confidence_val.json", "confidence_test.json", "robustness.json", "guards.json")
        if (run.folder / name).exists()
    }
    return {
        "run": run.name,
        "command": redact_paths(environment["command"]),
        "environment": {key: value for key, value in environment.items() if key != "command"},
        "recipe": run.read("recipe.json"),
        "info": info,
        "grades": grades,
        **{name: redact_paths(_figures(content)) for name, content in judged.items()},
        "epochs": run.journal.rows(),
    }


def _without_bulk(card: dict[str, Any]) -> dict[str, Any]:
    return {**card, "worst_pairs": card["worst_pairs"][:5]}


_BULK = ("first_ids", "first_issues", "coverage", "risk", "bins", "confident_joint", "rows")


def _figures(content: Any) -> Any:
    """Without lists of single images and points of curves, which the predictions file has; a card's rows stay."""
    if isinstance(content, list):
        return [_figures(item) for item in content]
    if not isinstance(content, dict):
        return content
    bulk = _BULK[:-1] if "clean" in content else _BULK
    return {key: _figures(value) for key, value in content.items() if key not in bulk}


def main(arguments: list[str]) -> int:
    """Record each run named; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keep_record", description="Keep runs as evidence.")
    parser.add_argument("runs", type=Path, nargs="+", help="finished run folders")
    parser.add_argument("--into", type=Path, required=True, help="folder below results/")
    parsed = parser.parse_args(arguments)
    for path in parsed.runs:
        try:
            run = open_run(path)
            write_json(parsed.into / f"{run.name}.json", evidence(run))
        except SnellenError as error:
            return say(error)
        print(parsed.into / f"{run.name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
