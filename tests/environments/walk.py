"""Every verb that needs no network, one after the other in one process; prints a JSON line for each.

Run as a script in a folder that holds `letter.png`: `python walk.py [FIRST_VERB …]`, by default all of them.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time

from snellen.cli.main import main
from snellen.data import catalog
from snellen.data.eyechart import make_eyechart

SETTINGS = ("--set", "epochs=1", "widths=[4,8,8]", "batch_size=64", "--device", "cpu")
COMMANDS = (
    ("recipes",),
    ("recipes", "sprint"),
    ("models",),
    ("data", "list"),
    ("data", "info", "eyechart"),
    ("train", "eyechart", *SETTINGS, "--precision", "fp32", "--name", "walked"),
    ("train", "eyechart", *SETTINGS, "--precision", "fp32", "--seed", "1", "--name", "other"),
    ("runs",),
    ("compare", "runs/walked", "runs/other"),
    ("lr", "eyechart", *SETTINGS, "--steps", "20"),
    ("evaluate", "runs/walked"),
    ("evaluate", "runs/walked", "--tta", "flip", "--label-issues", "3"),
    ("evaluate", "runs/walked", "--split", "test"),
    ("predict", "runs/walked", "letter.png"),
    ("explain", "runs/walked"),
    ("report", "runs/walked", "--layer-views", "4"),
    ("ladder", "eyechart", "--rungs", "plain", "mlp", "--seeds", "1", *SETTINGS[:2], "--device", "cpu"),
    (
        "tune",
        "eyechart",
        "--recipe",
        "mlp",
        "--set",
        "epochs=1",
        "--space",
        "optimizer.lr=0.01,0.1",
        "--trials",
        "1",
        "--confirm",
        "0",
        "--device",
        "cpu",
    ),
    ("export", "runs/walked", "--to", "all"),
    ("track", "runs/walked", "--to", "tensorboard"),
    ("bench", "import", "--quick"),
    ("doctor", "runs/walked"),
    ("ledger",),
    ("completion", "bash"),
)
ALLOWED = {"doctor": (0, 1), "export": (0, 1)}
"""A run of one epoch on 270 letters has things to be warned about, and int8 may cost it too much."""

if __name__ == "__main__":
    catalog._LOADERS["eyechart"] = lambda data, download, progress: make_eyechart(seed=0, train=300, test=60)
    for command in COMMANDS:
        if sys.argv[1:] and command[0] not in sys.argv[1:]:
            continue
        out, started = io.StringIO(), time.process_time()
        with contextlib.redirect_stdout(out):
            code = main([*command, "--json"])
        json.loads(out.getvalue())  # one document and nothing else, or this raises
        print(json.dumps({"command": command, "code": code, "seconds": time.process_time() - started}), flush=True)
        if code not in ALLOWED.get(command[0], (0,)):
            raise SystemExit(out.getvalue())
