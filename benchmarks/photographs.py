"""A folder of photographs to a graded answer: our command, cold and once more, in turns with full fine-tuning.

    python -m benchmarks.photographs FOLDER --seeds 0 1 2 --peer-epochs 6 --out results/speed/NAME.json

Ours is `snellen train FOLDER` as a user types it, a process of its own with an empty cache, timed from start to end;
then the same again with what it left in the cache. The peer is `benchmarks.photographs_peer`. Accuracies are of val.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from snellen.bench.protocol import conditions_here
from snellen.runs.atomic import write_json
from snellen.serialize import to_json


def measured(command: Sequence[str], *, cache: Path) -> dict[str, Any]:
    """Run a command; its last line on stdout, as JSON, with seconds, seconds of processor and peak memory in MB."""
    read, write = os.pipe()
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    started = time.perf_counter()
    actions = [(os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)]
    process = os.posix_spawn(sys.executable, [sys.executable, *command], environment, file_actions=actions)
    os.close(write)
    with os.fdopen(read) as stream:
        printed = stream.read()
    _, status, used = os.wait4(process, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    answer: dict[str, Any] = json.loads(printed[printed.index("{") :])
    return answer | {
        "seconds": round(seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
    }


def ours(folder: Path, seed: int, place: Path, *options: str) -> list[dict[str, Any]]:
    """Our command into an empty cache, and once more."""
    rows = []
    for again in (False, True):
        command = ["-m", "snellen", "train", str(folder), "--seed", str(seed), "--runs", str(place / "runs"), *options]
        row = measured([*command, "--json"], cache=place / "cache")
        val = row["val"]
        rows.append(
            {
                "who": "ours, again" if again else "ours",
                "seed": seed,
                "accuracy": val["accuracy"]["value"],
                "with_tta": val["tta"]["accuracy"]["value"],
                **{name: val["accuracy"][name] for name in ("low", "high", "n")},
                **{name: row[name] for name in ("best_epoch", "precision", "seconds", "processor_seconds", "peak_mb")},
            }
        )
        print(rows[-1], flush=True)
    return rows


def main(arguments: Sequence[str]) -> int:
    """Measure, and write what was measured after each turn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photographs")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--options", nargs="*", default=[], help="further options of `snellen train`, without dashes")
    parser.add_argument("--peer-epochs", type=float, default=0, help="of full fine-tuning; 0: ours alone")
    parser.add_argument("--peer-options", nargs="*", default=[], help="further options of the peer, without dashes")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as place:
            rows += ours(given.folder, seed, Path(place), *(f"--{each}" for each in given.options))
            if given.peer_epochs:
                peer = ["-m", "benchmarks.photographs_peer", str(given.folder), "--seed", str(seed)]
                peer += ["--epochs", str(given.peer_epochs), *(f"--{each}" for each in given.peer_options)]
                rows.append({"who": "peer", "seed": seed, **measured(peer, cache=Path(place) / "cache")})
                print(rows[-1], flush=True)
        write_json(given.out, _document(given, rows))
    return 0


def _document(given: argparse.Namespace, rows: list[dict[str, Any]]) -> dict[str, Any]:
    mean = {}
    for who in dict.fromkeys(row["who"] for row in rows):
        own = [row for row in rows if row["who"] == who]
        mean[who] = {name: round(fmean(row[name] for row in own), 4) for name in ("accuracy", "with_tta", "seconds")}
    return {
        "what": "a folder of photographs to a graded answer: the whole command, in turns, nothing else running",
        "folder": given.folder.name,
        "options": given.options,
        "conditions": to_json(conditions_here()),
        "n": len(given.seeds),
        "mean": mean,
        "rows": rows,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
