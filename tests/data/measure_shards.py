"""How reading shards grows with the number of pictures: time and memory, each number in a process of its own.

    python -m tests.data.measure_shards OUT.json [5000 20000 50000]

The shards are made in a temporary folder (64x64 px JPEG, 5,000 a shard) and read into an empty cache, then once more
from the full one. Memory is the process's own (anonymous); pages of the mapped cache are the system's to take back.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from tests.made_shards import write_shards

from snellen.bench.protocol import conditions_here
from snellen.data.image_folder import list_pictures
from snellen.runs.environment import describe_environment
from snellen.serialize import to_json

PER_SHARD, SIDE = 5_000, 64


class Peak:
    """The most anonymous memory this process has held while it is entered, in bytes."""

    def __enter__(self) -> Peak:
        self.most, self._over = _anonymous(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, _anonymous())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _anonymous() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("RssAnon")).split()[1])


def _processor() -> float:
    """Processor seconds of this process and of its workers that have ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _read_once(folder: Path) -> None:
    """In a process of its own: read, and print what it took."""
    from snellen.data.folder_dataset import ImageOptions, load_folder

    list_pictures(folder / "warm-up")  # the library is imported
    before = _anonymous()
    clock = [(time.perf_counter(), _processor())]
    with Peak() as peak:
        count = len(list_pictures(folder / "shards").found)
        listing_memory = peak.most
        clock.append((time.perf_counter(), _processor()))
        data = load_folder(folder / "shards", ImageOptions(SIDE))  # which lists them once more
        clock.append((time.perf_counter(), _processor()))
    assert len(data.train) == count, "nothing was left out"
    (listing_s, listing_processor_s), (loading_s, loading_processor_s) = (
        (round(later - earlier, 2) for earlier, later in zip(clock[at], clock[at + 1], strict=True)) for at in (0, 1)
    )
    print(json.dumps({
        "listing_s": listing_s, "listing_processor_s": listing_processor_s,
        "loading_s": loading_s, "loading_processor_s": loading_processor_s,
        "before_mb": round(before / 1e6, 1), "listing_peak_mb": round(listing_memory / 1e6, 1),
        "peak_mb": round(peak.most / 1e6, 1),
    }))  # fmt: skip


def measure(images: int, root: Path) -> dict[str, Any]:
    """Reading so many pictures the first and the second time."""
    folder = root / str(images)
    write_shards(folder / "shards", [PER_SHARD] * (images // PER_SHARD), side=SIDE)
    write_shards(folder / "warm-up", [20], side=SIDE)
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-m", "tests.data.measure_shards", "--read", str(folder)]
    first, second = (
        json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
        for _ in range(2)
    )
    shards = sum(path.stat().st_size for path in (folder / "shards").iterdir())
    cache = sum(path.stat().st_size for path in (folder / "cache").rglob("*") if path.is_file())
    return {"images": images, "shards_mb": round(shards / 1e6, 1), "cache_mb": round(cache / 1e6, 1),
            "first": first, "again": second}  # fmt: skip


def slopes(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Straight lines through what was measured, per million pictures."""
    counts = np.array([row["images"] for row in rows]) / 1e6

    def slope(kind: str, key: str) -> float:
        return round(float(np.polyfit(counts, [row[kind][key] for row in rows], 1)[0]), 1)

    return {
        "first_loading_processor_s": slope("first", "loading_processor_s"),
        "listing_processor_s": slope("again", "listing_processor_s"), "memory_mb": slope("first", "peak_mb"),
    }  # fmt: skip


def main(out: Path, counts: list[int]) -> None:
    """Measure all counts and write them down."""
    with tempfile.TemporaryDirectory() as root:
        conditions = conditions_here()
        rows = [measure(count, Path(root)) for count in counts]
    environment = describe_environment()
    content = {
        "what": f"tar shards of {SIDE}x{SIDE} px JPEG, {PER_SHARD:,} a shard, read into an empty cache and once more",
        "commit": environment["commit"],
        "command": "python -m tests.data.measure_shards " + " ".join(map(str, [out.name, *counts])),
        "conditions": to_json(conditions.after()),
        "n": 1,
        "rows": rows,
        "per_million_images": slopes(rows),
    }
    out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "--read":
        _read_once(Path(sys.argv[2]))
    else:
        main(Path(sys.argv[1]), [int(text) for text in sys.argv[2:]] or [5_000, 20_000, 50_000])
