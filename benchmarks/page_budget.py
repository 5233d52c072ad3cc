"""What a page of photographs costs: megabytes, seconds and memory of `snellen report`, held against the budget.

    python -m benchmarks.page_budget runs/NAME --out results/speed/NAME.json

RUN is of photographs, such as 736 of val at 224 px. The page is made three times, each by a process of its own, while
nothing else runs. The budget is that of 736 photographs: under 15 MB, under 15 s, under 1 GB; exit code 1 where the
median is over it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.photographs import measured
from snellen.paths import cache_folder, user_path
from snellen.runs.atomic import write_json
from snellen.runs.environment import describe_environment
from snellen.runs.run import open_run

BUDGET = {"megabytes": 15.0, "seconds": 15.0, "peak_mb": 1_000.0}
_TIMES = 3


def main(arguments: list[str]) -> int:
    """Make the page three times, write down what it took; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page_budget")
    parser.add_argument("run")
    parser.add_argument("--out", required=True)
    parsed = parser.parse_args(arguments)
    about = open_run(user_path(parsed.run)).info["data"]
    rows = []
    with tempfile.TemporaryDirectory() as place:
        page = Path(place) / "report.html"
        for _ in range(_TIMES):
            command = ["-m", "snellen", "report", parsed.run, "--out", str(page), "--json"]
            row = measured(command, cache=cache_folder().parent)
            row.pop("report")
            rows.append({"megabytes": round(row.pop("bytes") / 1e6, 2), **row})
            print(rows[-1], flush=True)
    medians = {name: median(row[name] for row in rows) for name in BUDGET}
    environment = describe_environment()
    environment.pop("command")  # of the product's own verbs
    pictures = {"val": about["val"]["count"], "shape": about["image_shape"]}
    write_json(
        user_path(parsed.out),
        {
            "what": __doc__.partition("\n")[0],
            "command": "python -m benchmarks.page_budget RUN",
            "environment": environment,
            "load_average": os.getloadavg(),
            "pictures": pictures,
            "budget": BUDGET,
            "median": medians,
            "times": rows,
        },
    )
    return int(any(medians[name] > most for name, most in BUDGET.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
